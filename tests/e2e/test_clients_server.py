"""A real server of somebody else's behind the gateway: ``transformers serve`` with the repository's small model, as a
project that ``loopwise init --url`` makes and ``loopwise up`` serves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from loopwise.cli.project import opened
from loopwise.compute.services import answers, free_port
from loopwise.store import exchanges
from loopwise.tiny import MODEL
from loopwise.types import Exchange

from .conftest import loopwise

pytestmark = pytest.mark.slow

QUESTION = "Spell this word backward (example: sun -> nus): loop"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of ``transformers serve``, offline."""
    pytest.importorskip("fastapi", reason="transformers serve wants fastapi")
    folder = tmp_path_factory.mktemp("transformers")
    port = free_port()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", "--host", "127.0.0.1", "--port", str(port)]
    surroundings = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder), "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--device", "cpu"], stdout=log, stderr=subprocess.STDOUT, env=surroundings
        )
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 120
            while not answers(f"{url}/health"):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.2)
            yield url
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def project(server: str, tmp_path: Path, serving: Callable[[Path], str]) -> tuple[openai.OpenAI, Path]:
    """A client of the gateway in front of that server, and the project's folder."""
    folder = tmp_path / "project"
    loopwise("init", str(folder), "--url", server, "--model", str(MODEL))
    toml = folder / "loopwise.toml"
    toml.write_text(toml.read_text().replace("port = 4040", f"port = {free_port()}"))
    return openai.OpenAI(base_url=f"{serving(folder)}/v1", api_key="unused", max_retries=0), folder


def asked(model: str, **more: Any) -> Any:
    return {"model": model, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0, **more}


def recorded(folder: Path) -> list[Exchange]:
    with opened(folder) as project, project.store.reading() as conn:
        return [exchange for _, exchange in exchanges.up_to(conn, exchanges.watermark(conn))]


def test_answers_through_the_gateway_are_the_servers_own(server: str, project: tuple[openai.OpenAI, Path]):
    client, folder = project
    direct = openai.OpenAI(base_url=f"{server}/v1", api_key="unused")
    own = direct.chat.completions.create(**asked(str(MODEL), max_tokens=16)).choices[0].message.content
    whole = client.chat.completions.create(**asked("loopwise", max_tokens=16))
    chunks = list(client.chat.completions.create(**asked("loopwise", max_tokens=16, stream=True)))
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert own
    assert whole.choices[0].message.content == streamed == own
    assert len(chunks) > 4
    first, second = recorded(folder)
    assert [first.id, second.id] == [whole.id, chunks[0].id]
    for exchange in (first, second):
        assert exchange.response is not None
        assert exchange.response["choices"][0]["message"]["content"] == own
        assert exchange.response["usage"]["completion_tokens"] > 0
        assert exchange.fingerprint.startswith("upstream:")


def test_completions_and_responses_get_through(server: str, project: tuple[openai.OpenAI, Path]):
    client, folder = project
    completion = client.completions.create(model="loopwise", prompt="loop", max_tokens=4, temperature=0)
    assert completion.choices[0].text
    whole = client.responses.create(model="loopwise", input=QUESTION, max_output_tokens=16, temperature=0, stream=False)
    events = list(
        client.responses.create(model="loopwise", input=QUESTION, max_output_tokens=16, temperature=0, stream=True)
    )
    last: Any = events[-1]
    assert whole.output_text == last.response.output_text != ""
    assert [exchange.id for exchange in recorded(folder)] == [completion.id, whole.id, last.response.id]
    assert all(exchange.status == 200 for exchange in recorded(folder))


def test_what_the_server_does_not_offer_is_told_with_its_status(project: tuple[openai.OpenAI, Path]):
    client, folder = project
    with pytest.raises(openai.NotFoundError, match="The model's server"):
        client.embeddings.create(model="loopwise", input="tea")
    assert [(exchange.endpoint, exchange.status) for exchange in recorded(folder)] == [("embeddings", 404)]
