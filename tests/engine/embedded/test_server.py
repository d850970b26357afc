from __future__ import annotations

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import openai
import pytest

from loopwise.engine.embedded.weights import fingerprint

ASK = [{"role": "user", "content": "Spell this word backward (example: sun -> nus): cat"}]


def ask(url: str, **more: object) -> httpx.Response:
    body = {"model": "tiny@0", "messages": ASK, "max_tokens": 20, **more}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=30)


def test_the_official_client_gets_answers_tokens_and_fingerprint(url: str, folder: Path) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    answer = client.chat.completions.create(
        model="tiny@0", messages=ASK, n=3, max_tokens=12, seed=4, logprobs=True, temperature=0.9
    )
    assert answer.system_fingerprint == fingerprint(folder / "tiny@0")
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    counted = sum(len(choice.logprobs.content) for choice in answer.choices)
    assert answer.usage.completion_tokens == counted
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + counted
    for choice in answer.choices:
        assert all(token.logprob <= 0 for token in choice.logprobs.content)
        assert choice.finish_reason == ("length" if len(choice.logprobs.content) == 12 else "stop")


def test_a_stream_by_the_official_client_says_what_a_whole_answer_says(url: str) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    asked = {"model": "tiny@0", "messages": ASK, "n": 2, "max_tokens": 30, "seed": 9, "logprobs": True}
    whole = client.chat.completions.create(**asked)
    pieces = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert pieces[-1].choices == []
    assert pieces[-1].usage == whole.usage
    assert {piece.system_fingerprint for piece in pieces} == {whole.system_fingerprint}
    assert len({piece.id for piece in pieces}) == 1
    for choice in whole.choices:
        mine = [part for piece in pieces for part in piece.choices if part.index == choice.index]
        assert mine[0].delta.role == "assistant"
        assert "".join(part.delta.content or "" for part in mine) == choice.message.content
        assert [part.finish_reason for part in mine if part.finish_reason] == [choice.finish_reason]
        streamed = [row.logprob for part in mine if part.logprobs for row in part.logprobs.content]
        assert streamed == pytest.approx([row.logprob for row in choice.logprobs.content], abs=1e-4)


def test_the_same_seed_gives_the_same_answer_and_stop_strings_cut_it(url: str) -> None:
    first, second = (ask(url, seed=3, n=4).json() for _ in range(2))
    texts = [choice["message"]["content"] for choice in first["choices"]]
    assert [choice["message"]["content"] for choice in second["choices"]] == texts
    longest = max(texts, key=len)
    stop = longest[len(longest) // 2]
    cut = ask(url, seed=3, n=4, stop=stop).json()
    assert [choice["message"]["content"] for choice in cut["choices"]] == [text.split(stop)[0] for text in texts]


def test_releases_asked_at_once_never_mix(url: str, folder: Path) -> None:
    names = ["tiny@0", "tiny@1", "llama"]
    alone = {name: ask(url, model=name, n=8, seed=1).json() for name in names}
    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        jobs = [(name, threads.submit(ask, url, model=name, n=8, seed=1)) for name in names * 8]
        for name, job in jobs:
            answer = job.result().json()
            assert answer["model"] == name
            assert answer["system_fingerprint"] == fingerprint(folder / name)
            assert answer["choices"] == alone[name]["choices"]


def test_models_lists_what_there_is_and_what_is_in_memory(url: str, folder: Path) -> None:
    ask(url, model="tiny@1")
    shutil.copytree(folder / "tiny@0", folder / "fresh")
    rows = {row["id"]: row for row in httpx.get(f"{url}/v1/models").json()["data"]}
    assert {"tiny@0", "tiny@1", "llama", "fresh"} <= set(rows)
    assert rows["tiny@1"]["resident"]
    assert not rows["fresh"]["resident"]
    assert rows["fresh"]["fingerprint"] == fingerprint(folder / "tiny@0")


def test_a_new_release_is_served_within_a_second(url: str, folder: Path) -> None:
    shutil.copytree(folder / "tiny@1", folder / "tiny@2")
    began = time.perf_counter()
    answer = ask(url, model="tiny@2").json()
    assert time.perf_counter() - began < 1
    assert answer["system_fingerprint"] == fingerprint(folder / "tiny@1")


def test_a_release_whose_folder_changed_is_refused_and_never_served_in_silence(url: str, folder: Path) -> None:
    shutil.copytree(folder / "tiny@0", folder / "moving")
    before = ask(url, model="moving").json()["system_fingerprint"]
    shutil.copy(folder / "tiny@1" / "model.safetensors", folder / "moving" / "model.safetensors")
    assert ask(url, model="moving").json()["system_fingerprint"] == before  # in memory: not reloaded
    for i in range(4):  # more releases than stay in memory
        shutil.copytree(folder / "tiny@0", folder / f"other{i}")
        ask(url, model=f"other{i}")
    refused = ask(url, model="moving")
    assert refused.status_code == 409
    assert "has changed since it was first served" in refused.json()["error"]["message"]


@pytest.mark.parametrize("name", ["missing", "../tiny@0", "tiny@0/../tiny@1", "..", ".", "", "tiny@0\n"])
def test_a_name_that_is_no_release_is_not_found(url: str, name: str) -> None:
    answer = ask(url, model=name)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"temperature": "warm"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"n": 0}, "'n'"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "text"),
        ({"messages": [{"role": "robot", "content": "hello"}]}, "robot"),
        ({"messages": [{"role": "user", "content": "x" * 200}]}, "204|202 tokens"),
        ({"top_logprobs": 5}, "top_logprobs"),
    ],
)
def test_a_bad_request_is_refused_in_openai_s_form(url: str, change: dict, word: str) -> None:
    answer = ask(url, **change)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert any(part in error["message"] for part in word.split("|"))


def test_a_body_that_is_no_json_is_refused(url: str) -> None:
    answer = httpx.post(f"{url}/v1/chat/completions", content=b"{")
    assert answer.status_code == 400


def test_unknown_fields_nulls_and_text_parts_are_taken(url: str) -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": ASK[0]["content"]}]}]
    plain = ask(url, seed=1, temperature=0).json()
    other = ask(url, messages=parts, seed=1, temperature=0, top_p=None, stop=None, n=None, tools=[], color="red").json()
    assert other["choices"] == plain["choices"]


def test_a_client_that_leaves_a_stream_ends_its_rows(url: str) -> None:
    body = {"model": "endless", "messages": ASK, "n": 64, "stream": True}
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=30) as answer:
        lines = answer.iter_lines()
        next(lines)
        assert running(url) == 64
    assert_idle_soon(url)


def test_a_client_that_waits_no_longer_for_a_whole_answer_ends_its_rows(url: str) -> None:
    ask(url, model="endless")  # loads it, so that the rows are running when time is up
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/v1/chat/completions", json={"model": "endless", "messages": ASK, "n": 64}, timeout=0.5)
    assert_idle_soon(url)


def running(url: str) -> int:
    return httpx.get(f"{url}/healthz", timeout=30).json()["running"]


def assert_idle_soon(url: str) -> None:
    """8,192 steps of 64 rows take far longer than this."""
    deadline = time.monotonic() + 5
    while running(url) > 0:
        assert time.monotonic() < deadline, "rows still run"


def test_stream_ends_with_done(url: str) -> None:
    lines = [line for line in ask(url, stream=True, seed=1).text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    assert all(json.loads(line.removeprefix("data: "))["object"] == "chat.completion.chunk" for line in lines[:-1])


BROKEN = """
import asyncio, pathlib
from loopwise.engine.embedded.serving import Job, Serving
from loopwise.types import SamplingParams

class Broken(Serving):
    def _deliver(self):
        raise ZeroDivisionError("a bug")

async def main():
    serving = Broken(pathlib.Path("nowhere"))
    serving.start()
    job = Job("tiny@0", lambda chat: [[1]], SamplingParams(), False)
    serving.submit(job)
    await job.events.get()

asyncio.run(main())
"""


def test_an_engine_whose_sampling_breaks_ends_instead_of_hanging() -> None:
    done = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True, timeout=60)
    assert done.returncode == os.EX_SOFTWARE
    assert "ZeroDivisionError: a bug" in done.stderr
