"""The gateway in front of the embedded engine's own process: real weights, real fingerprints."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from loopwise.engine.embedded.local import LocalEngine
from loopwise.engine.openai import OpenAIEngine
from loopwise.release import promote, register
from loopwise.store import Store, exchanges
from loopwise.types import Exchange, Release, SamplingParams

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = tmp_path_factory.mktemp("models")
    shutil.copytree(str(files("loopwise.tiny") / "model"), models / "tiny@0")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "loopwise.engine.embedded.server", "--models", str(models), "--port", str(port)]
    process = subprocess.Popen(command)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None
        assert time.monotonic() < deadline
        try:
            httpx.get(f"{url}/healthz")
            break
        except httpx.ConnectError:
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait()


def test_weights_other_than_the_releases_are_withheld(engine_url: str, serve_before: Any):
    # the store's tiny@0 has another fingerprint than the folder that the engine loads under that name
    body = {"model": "loopwise", "messages": [{"role": "user", "content": "hi"}]}
    with serve_before(engine_url) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "wrong_weights")


def proved_store(engine_url: str, folder: Path) -> tuple[Store, str]:
    """A store whose champion has the fingerprint of the weights that the engine holds, and that fingerprint."""
    fingerprint = OpenAIEngine(engine_url).fingerprint("tiny@0")
    assert fingerprint.startswith("sha256:")
    store = Store("sqlite:///honest.db", folder, create=True)
    register(store, Release("tiny@0", "candidate", None, None, fingerprint, "models/tiny@0", 1.0), "t", "made")
    promote(store, "tiny@0", "t", "base")
    return store, fingerprint


def all_recorded(store: Store) -> list[Exchange]:
    with store.reading() as conn:
        return [row for _, row in exchanges.up_to(conn, exchanges.watermark(conn))]


def test_whole_streamed_and_direct_answers_agree(engine_url: str, tmp_path: Path, serve_whole: Any):
    store, fingerprint = proved_store(engine_url, tmp_path)
    messages: Any = [{"role": "user", "content": "Spell this word backward (example: sun -> nus): cat"}]
    asked: Any = {"model": "loopwise", "messages": messages, "temperature": 0.0, "max_tokens": 20}
    with serve_whole(store, engine_url) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="x") as client:
        whole = client.chat.completions.create(**asked)
        chunks = list(client.chat.completions.create(**asked, stream=True))
    direct = OpenAIEngine(engine_url).sample("tiny@0", [messages], SamplingParams(temperature=0.0, max_tokens=20))[0][0]
    text = whole.choices[0].message.content
    assert text
    assert text == direct.text == "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert whole.system_fingerprint == chunks[0].system_fingerprint == fingerprint
    recorded = all_recorded(store)
    assert [row.id for row in recorded] == [whole.id, chunks[0].id]
    assert all(row.response and row.response["choices"][0]["message"]["content"] == text for row in recorded)
    store.close()


def test_text_completions_are_recorded_as_they_were_streamed_and_equal_chat_over_the_same_tokens(
    engine_url: str, tmp_path: Path, serve_whole: Any
):
    store, fingerprint = proved_store(engine_url, tmp_path)
    words = ["cat", "loop"]
    questions = [f"Spell this word backward (example: sun -> nus): {word}" for word in words]
    written_out = [f"<|user|>{question}<|assistant|>" for question in questions]  # as the chat template writes them
    drawn: Any = {"n": 2, "temperature": 0.8, "seed": 3, "max_tokens": 20}
    asked: Any = {"model": "loopwise", "prompt": written_out, "logprobs": 0, **drawn}
    with serve_whole(store, engine_url) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="x") as client:
        whole = client.completions.create(**asked)
        chunks = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
        refused = httpx.post(f"{url}/v1/completions", json={**asked, "echo": True})
    models = files("loopwise.tiny") / "model"
    with LocalEngine(Path(str(models)).parent, processes=1) as engine:
        messages: Any = [[{"role": "user", "content": question}] for question in questions]
        local = engine.sample("model", messages, SamplingParams(**drawn))
    texts = [completion.text for completions in local for completion in completions]
    assert all(texts)
    assert [choice.text for choice in whole.choices] == texts
    parts = [part for chunk in chunks for part in chunk.choices]
    assert ["".join(part.text for part in parts if part.index == index) for index in range(4)] == texts
    assert {whole.system_fingerprint, *(chunk.system_fingerprint for chunk in chunks)} == {fingerprint}
    assert chunks[-1].usage == whole.usage
    assert (refused.status_code, "echo" in refused.json()["error"]["message"]) == (400, True)
    first, second, third = all_recorded(store)
    assert [row.id for row in (first, second)] == [whole.id, chunks[0].id]
    for row in (first, second):
        assert (row.endpoint, row.fingerprint, row.release) == ("completions", fingerprint, "tiny@0")
        assert row.response
        assert [choice["text"] for choice in row.response["choices"]] == texts
        rows = [choice["logprobs"] for choice in row.response["choices"]]
        assert [row["tokens"] for row in rows] == [
            choice.logprobs.tokens for choice in whole.choices if choice.logprobs
        ]
    assert (third.status, third.response, "echo" in (third.error or "")) == (400, None, True)
    store.close()
