"""The HTTP engine against a real OpenAI-shaped server on a real port."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from loopwise.engine.openai import OpenAIEngine, prompt_seed
from loopwise.errors import EngineError
from loopwise.types import JsonObject, SamplingParams
from scripted import serving

seen: list[JsonObject] = []


async def chat(request: Request) -> Response:
    body = await request.json()
    seen.append({**body, "authorization": request.headers.get("authorization")})
    text = body["messages"][-1]["content"]
    match body["model"]:
        case "refuses":
            return JSONResponse({"error": {"message": "The model 'refuses' does not exist.", "type": "x"}}, 404)
        case "garbage":
            return PlainTextResponse("<html>hello</html>")
        case "slow":
            await asyncio.Event().wait()
        case "one":
            return JSONResponse(answer(body, [text]))
    await asyncio.sleep(0.05 if text == "first" else 0.0)  # the first prompt is answered last
    choices = [f"{text}/{body.get('seed')}/{index}" for index in range(body["n"])]
    return JSONResponse(answer(body, choices))


def answer(body: JsonObject, texts: list[str]) -> JsonObject:
    logprobs = {"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.25}]}
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "length" if text.startswith("long") else "stop",
            "logprobs": logprobs if body.get("logprobs") else None,
        }
        for index, text in enumerate(texts)
    ]
    fingerprint = {"ours": "sha256:abc", "theirs": "fp_9"}.get(body["model"])
    usage = {"prompt_tokens": 1, "completion_tokens": 7 * len(texts), "total_tokens": 8}
    return {
        "id": "x",
        "model": body["model"],
        "system_fingerprint": fingerprint,
        "choices": choices[::-1],  # out of order on purpose
        "usage": usage,
    }


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])) as url:
        yield url


def user(text: str) -> list[JsonObject]:
    return [{"role": "user", "content": text}]


def test_answers_come_in_the_order_of_prompts_and_choices_however_they_arrive(url: str):
    found = OpenAIEngine(url).sample("m", [user("first"), user("second")], SamplingParams(n=2))
    texts = [[completion.text for completion in completions] for completions in found]
    assert texts == [["first/None/0", "first/None/1"], ["second/None/0", "second/None/1"]]


def test_all_parameters_are_sent_as_the_api_names_them(url: str):
    seen.clear()
    params = SamplingParams(n=1, temperature=0.5, top_p=0.9, max_tokens=3, seed=4, stop=("\n",), logprobs=True)
    OpenAIEngine(url + "/v1/", api_key="k").sample("m", [user("hello")], params)
    assert seen == [
        {
            "model": "m",
            "messages": user("hello"),
            "n": 1,
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 3,
            "seed": prompt_seed(4, 0),
            "stop": ["\n"],
            "logprobs": True,
            "authorization": "Bearer k",
        }
    ]


def test_what_is_not_asked_for_is_not_sent(url: str):
    seen.clear()
    OpenAIEngine(url).sample("m", [user("hello")], SamplingParams())
    assert not {"seed", "stop", "logprobs"} & seen[0].keys()
    assert seen[0]["authorization"] is None


def test_the_seed_of_a_prompt_depends_on_seed_and_place_alone(url: str):
    engine = OpenAIEngine(url, concurrency=2)
    once = engine.sample("m", [user("a")] * 5, SamplingParams(seed=1))
    again = engine.sample("m", [user("a")] * 5, SamplingParams(seed=1))
    other = engine.sample("m", [user("a")] * 5, SamplingParams(seed=2))
    assert once == again
    texts = [completions[0].text for completions in once + other]
    assert len(set(texts)) == 10


def test_logprobs_tokens_and_finish_reasons_are_read(url: str):
    [[found]] = OpenAIEngine(url).sample("m", [user("long")], SamplingParams(logprobs=True))
    assert found.logprobs == (-0.5, -1.25)
    assert (found.tokens, found.finish_reason) == (2, "length")
    [[plain]] = OpenAIEngine(url).sample("m", [user("short")], SamplingParams())
    assert (plain.logprobs, plain.tokens, plain.finish_reason) == (None, 7, "stop")


def test_no_prompts_give_no_answers():
    assert OpenAIEngine("http://127.0.0.1:9").sample("m", [], SamplingParams()) == []


def test_it_works_from_several_threads_at_once(url: str):
    engine = OpenAIEngine(url)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda t: engine.sample("m", [user(t)], SamplingParams())[0][0].text, "abcd"))
    assert found == ["a/None/0", "b/None/0", "c/None/0", "d/None/0"]


def test_a_refusal_carries_the_servers_own_words_and_status(url: str):
    with pytest.raises(EngineError, match=r"status 404: The model 'refuses' does not exist\.") as refused:
        OpenAIEngine(url).sample("refuses", [user("a"), user("b")], SamplingParams())
    assert refused.value.status == 404


@pytest.mark.parametrize(
    ("model", "params", "sentence"),
    [
        ("garbage", SamplingParams(), "did not answer in OpenAI's form: b'<html>hello</html>'"),
        ("one", SamplingParams(n=2), "gave 1 answers where n = 2 were asked for"),
        ("slow", SamplingParams(), "did not answer within 0.3 s"),
    ],
)
def test_a_bad_answer_is_one_clear_sentence(url: str, model: str, params: SamplingParams, sentence: str):
    with pytest.raises(EngineError, match=sentence):
        OpenAIEngine(url, timeout_s=0.3).sample(model, [user("a")], params)


def test_a_server_that_is_not_there_is_one_clear_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(EngineError, match=r"cannot be reached .*: start it, or correct \[engine\] url"):
        OpenAIEngine(url).sample("m", [user("a")], SamplingParams())


@pytest.mark.parametrize(
    ("model", "fingerprint"),
    [("ours", "sha256:abc"), ("theirs", "upstream:fp_9"), ("silent", "upstream:silent")],
)
def test_only_a_hash_counts_as_proof_of_weights(url: str, model: str, fingerprint: str):
    assert OpenAIEngine(url).fingerprint(model) == fingerprint


def test_importing_it_loads_no_torch():
    code = "import sys, loopwise.engine.openai; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
