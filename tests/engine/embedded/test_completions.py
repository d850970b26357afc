from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from loopwise.engine.embedded.local import LocalEngine
from loopwise.engine.embedded.weights import fingerprint
from loopwise.engine.embedded.wire.completions import _Offsets
from loopwise.types import SamplingParams

TEXTS = ["Spell this word backward (example: sun -> nus): cat", "ünï 漢 and on", "a"]


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def ask(url: str, **more: object) -> httpx.Response:
    body = {"model": "tiny@0", "prompt": TEXTS[0], "max_tokens": 20, **more}
    return httpx.post(f"{url}/v1/completions", json=body, timeout=30)


def texts(answer: httpx.Response) -> list[str]:
    return [choice["text"] for choice in answer.json()["choices"]]


def continued(folder: Path, ids: list[int], max_tokens: int) -> list[int]:
    """What transformers adds, greedily."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    made = model.generate(
        input_ids=torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        do_sample=False,
        max_new_tokens=max_tokens,
    )
    return made[0, len(ids) :].tolist()


@pytest.mark.parametrize("release", ["tiny@0", "llama"])
def test_each_form_of_prompt_is_continued_as_transformers_continues_its_ids(
    url: str, folder: Path, release: str
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder / release)
    ids = [tokenizer(text).input_ids for text in TEXTS]
    expected = [tokenizer.decode(continued(folder / release, one, 12), skip_special_tokens=True) for one in ids]
    assert len(set(expected)) == len(TEXTS)
    asked: Any = {"model": release, "temperature": 0, "max_tokens": 12}
    assert texts(ask(url, **asked, prompt=TEXTS)) == expected
    assert texts(ask(url, **asked, prompt=ids)) == expected
    assert texts(ask(url, **asked, prompt=TEXTS[1])) == [expected[1]]
    assert texts(ask(url, **asked, prompt=ids[1])) == [expected[1]]


def test_prompts_and_samples_are_numbered_and_drawn_as_the_local_engine_draws_them(url: str, folder: Path) -> None:
    messages = [[{"role": "user", "content": text}] for text in TEXTS]
    params = SamplingParams(n=3, max_tokens=12, seed=4, temperature=0.9, top_p=0.95)
    with LocalEngine(folder, processes=1) as engine:
        expected = engine.sample("tiny@0", messages, params)
    written_out = [f"<|user|>{text}<|assistant|>" for text in TEXTS]  # what the template makes of such messages
    answer = ask(url, prompt=written_out, n=3, max_tokens=12, seed=4, temperature=0.9, top_p=0.95)
    assert [choice["index"] for choice in answer.json()["choices"]] == list(range(9))
    assert texts(answer) == [completion.text for completions in expected for completion in completions]
    reasons = [choice["finish_reason"] for choice in answer.json()["choices"]]
    assert reasons == [completion.finish_reason for completions in expected for completion in completions]


def test_the_official_client_gets_probabilities_usage_and_fingerprint(client: openai.OpenAI, folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder / "tiny@0")
    answer = client.completions.create(model="tiny@0", prompt=TEXTS[:2], temperature=0, logprobs=0, max_tokens=12)
    assert (answer.object, answer.model, answer.id[:5]) == ("text_completion", "tiny@0", "cmpl-")
    assert answer.system_fingerprint == fingerprint(folder / "tiny@0")
    model, counted = AutoModelForCausalLM.from_pretrained(folder / "tiny@0"), 0
    for text, choice in zip(TEXTS, answer.choices, strict=False):
        ids = tokenizer(text).input_ids
        made = continued(folder / "tiny@0", ids, 12)
        logits = model(input_ids=torch.tensor([ids + made])).logits[0, len(ids) - 1 : -1].detach()
        expected = torch.log_softmax(logits, dim=-1)[range(len(made)), made].tolist()
        assert choice.logprobs
        assert choice.logprobs.token_logprobs == pytest.approx(expected, abs=1e-4)
        assert choice.logprobs.tokens == [tokenizer.decode([one]) for one in made]
        assert choice.logprobs.top_logprobs is None
        counted += len(made)
    prompt_tokens = sum(len(tokenizer(text).input_ids) for text in TEXTS[:2])
    assert answer.usage
    used = (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens)
    assert used == (prompt_tokens, counted, prompt_tokens + counted)


def test_offsets_say_where_tokens_begin_in_the_text(url: str, folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder / "tiny@0")
    seen = 0
    for choice in ask(url, prompt=TEXTS, n=20, seed=1, max_tokens=12, logprobs=0).json()["choices"]:
        rows = choice["logprobs"]
        for token, at in zip(rows["tokens"], rows["text_offset"], strict=True):
            if "\ufffd" not in token and token not in tokenizer.all_special_tokens:
                assert choice["text"].startswith(token, at)
                seen += at > 0
    assert seen > 100


def test_all_bytes_of_one_character_begin_where_it_begins() -> None:
    pieces = [
        b"\xc3",
        b"\xa9",
        b"xy",
        b"\xe6",
        b"\xbc",
        b"\xa2",
        b"\xff",
        b"\xff",
        b"\xe6",
        b"\xbc",
        b"z",
    ]  # é, xy, 漢, z
    offsets = _Offsets(lambda ids: b"".join(pieces[at] for at in ids).decode(errors="replace"))
    assert [offsets.of_next(at) for at in range(len(pieces))] == [0, 0, 1, 3, 3, 3, 4, 5, 6, 6, 7]


def test_a_stream_says_what_a_whole_answer_says_with_choices_interleaved(client: openai.OpenAI) -> None:
    asked: Any = {"model": "tiny@0", "prompt": TEXTS, "n": 2, "max_tokens": 25, "seed": 9, "logprobs": 0}
    whole = client.completions.create(**asked)
    pieces = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert pieces[-1].choices == []
    assert pieces[-1].usage == whole.usage
    assert {(piece.object, piece.system_fingerprint) for piece in pieces} == {(whole.object, whole.system_fingerprint)}
    assert len({piece.id for piece in pieces}) == 1
    parts = [part for piece in pieces for part in piece.choices]
    assert {part.index for part in parts[:6]} == set(range(6))
    for choice in whole.choices:
        mine = [part for part in parts if part.index == choice.index]
        assert "".join(part.text for part in mine) == choice.text
        assert [part.finish_reason for part in mine if part.finish_reason] == [choice.finish_reason]
        rows = [part.logprobs for part in mine if part.logprobs]
        assert choice.logprobs
        assert [token for row in rows for token in row.tokens or []] == choice.logprobs.tokens
        assert [at for row in rows for at in row.text_offset or []] == choice.logprobs.text_offset
        streamed = [value for row in rows for value in row.token_logprobs or []]
        assert streamed == pytest.approx(choice.logprobs.token_logprobs, abs=1e-4)


def test_without_a_limit_sixteen_tokens_are_given_and_stop_strings_cut_them(url: str) -> None:
    body = {"model": "endless", "prompt": TEXTS[0], "seed": 3, "n": 4}
    answer = httpx.post(f"{url}/v1/completions", json=body, timeout=30)
    assert answer.json()["usage"]["completion_tokens"] == 4 * 16
    stop = max(texts(answer), key=len)[3]
    cut = httpx.post(f"{url}/v1/completions", json={**body, "stop": stop}, timeout=30)
    assert texts(cut) == [text.split(stop)[0] for text in texts(answer)]


def test_unknown_fields_nulls_and_what_asks_for_nothing_more_are_taken(url: str) -> None:
    plain = ask(url, temperature=0, n=2).json()["choices"]
    more: Any = {"echo": False, "suffix": None, "best_of": 2, "logprobs": None, "stop": None, "color": "red"}
    assert ask(url, temperature=0, n=2, **more).json()["choices"] == plain
    assert plain[0]["logprobs"] is None


FORMS = "a text, a list of texts, a list of token ids or a list of such lists"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompt": None}, FORMS),
        ({"prompt": ["a", [1]]}, FORMS),
        ({"prompt": [True]}, FORMS),
        ({"prompt": [1.0]}, FORMS),
        ({"prompt": [[]]}, FORMS),
        ({"prompt": []}, "0 choices"),
        ({"prompt": ["a"] * 1025, "n": 2}, "2050 choices"),
        ({"prompt": ""}, "0 tokens"),
        ({"prompt": "x" * 200}, "200 tokens"),
        ({"prompt": [1, 328]}, "token id 328; this model's are 0 to 327"),
        ({"prompt": [-1]}, "token id -1"),
        ({"prompt": ["a", "x" * 200]}, "200 tokens"),
        ({"logprobs": 5}, "send 0"),
        ({"logprobs": True}, "logprobs"),
        ({"echo": True}, "'echo'"),
        ({"suffix": "end"}, "'suffix'"),
        ({"best_of": 3, "n": 2}, "it is 3 and n is 2"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
    ],
)
def test_a_bad_request_is_refused_in_openai_s_form(url: str, change: dict, words: str) -> None:
    answer = ask(url, **change)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert words in answer.json()["error"]["message"]
    assert ask(url, stream=True, **change).json()["error"] == answer.json()["error"]


def test_a_name_that_is_no_release_is_not_found(url: str) -> None:
    answer = ask(url, model="missing")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_one_bad_prompt_leaves_none_of_the_others_running(url: str) -> None:
    body = {"model": "endless", "prompt": [[1], [2], [9999]], "max_tokens": 8000}
    assert "9999" in httpx.post(f"{url}/v1/completions", json=body, timeout=30).json()["error"]["message"]
    assert httpx.get(f"{url}/healthz").json()["running"] == 0


def test_a_client_that_leaves_a_stream_ends_the_rows_of_all_its_prompts(url: str) -> None:
    body = {"model": "endless", "prompt": TEXTS, "n": 20, "max_tokens": 8000, "stream": True}
    with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=30) as answer:
        lines = answer.iter_lines()  # dropping it closes the connection
        assert json.loads(next(lines).removeprefix("data: "))["choices"][0]["index"] == 0
        assert httpx.get(f"{url}/healthz", timeout=30).json()["running"] == 60
    deadline = time.monotonic() + 5  # 8,000 steps of 60 rows take far longer
    while httpx.get(f"{url}/healthz", timeout=30).json()["running"]:
        assert time.monotonic() < deadline, "rows still run"
