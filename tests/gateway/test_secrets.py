"""No secret gets out: a real gateway process that has three kinds, everything that can fail, and a search of it all.

And no request says where the model is asked: upstream addresses come from the settings alone.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from commands import Done, here, in_process
from loopwise.release.transitions import promote, register
from loopwise.store import Store, keys
from loopwise.types import Release
from scripted import Model, serving

UPSTREAM_KEY = "sk-proj-7hQmVt2LrXw9Zb4NcY8KdE3P"
PASSWORD = "correct-horse-battery"
VARIABLE = "LOOPWISE_TEST_UPSTREAM_KEY"


@dataclass
class Echo:
    """A model's server that quotes the key it was sent in whatever it says."""

    url: str = ""
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    async def answer(self, request: Request) -> Response:
        self.headers.append(dict(request.headers))
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        said = f"Incorrect API key provided: {key}."
        body = await request.json()
        match json.dumps(body):
            case text if "refuse" in text:
                error = {"message": said, "type": f"type {key}", "param": key, "code": f"code {key}"}
                return JSONResponse({"error": error}, 401)
            case text if "crash" in text:
                return PlainTextResponse(f"Traceback: {said}", 500)
            case text if "garbage" in text:
                return PlainTextResponse(said)
            case text if "stream" in text:
                return StreamingResponse(self._stream(said), media_type="text/event-stream")
            case _:
                return JSONResponse({"id": "c", "object": "chat.completion", "model": "m", "choices": []})

    async def _stream(self, said: str) -> AsyncIterator[bytes]:
        delta = {"index": 0, "delta": {"content": "well"}, "finish_reason": None}
        yield b"data: " + json.dumps({"id": "c", "model": "m", "choices": [delta]}).encode() + b"\n\n"
        yield b"data: " + json.dumps({"error": {"message": said, "code": said}}).encode() + b"\n\n"


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    paths = ("chat/completions", "completions", "responses", "embeddings")
    with serving(Starlette(routes=[Route(f"/v1/{path}", echo.answer, methods=["POST"]) for path in paths])) as echo.url:
        yield echo


def project(directory: Path, url: str, store_url: str = "sqlite:///loopwise.db") -> int:
    """A project in front of ``url``; gives the port of its gateway."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (directory / "loopwise.toml").write_text(
        f'[engine]\nkind = "openai"\nurl = "{url}/v1"\nmodel = "m"\napi_key_env = "{VARIABLE}"\nretries = 0\n'
        f'[gateway]\nport = {port}\n[store]\nurl = "{store_url}"\n'
    )
    return port


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[int], str]]:
    """Starts the real command and gives its address; its output goes to ``log``."""
    started: list[subprocess.Popen[bytes]] = []

    def run(port: int) -> str:
        args = ["up", "--only", "gateway", "--dir", str(tmp_path), "--debug"]
        with (tmp_path / "log").open("ab") as log:
            environment = {**os.environ, VARIABLE: UPSTREAM_KEY}
            command = [sys.executable, "-m", "loopwise.cli.main", *args]
            started.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        url = f"http://127.0.0.1:{port}"
        for _ in range(1_000):
            try:
                httpx.get(f"{url}/healthz")
                return url
            except httpx.TransportError:
                assert started[-1].poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.02)
        raise AssertionError("the gateway did not start")

    yield run
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(20.0)


def in_files(directory: Path, secrets: list[str]) -> list[tuple[str, str]]:
    """Which files hold which of the secrets."""
    return [
        (path.name, secret)
        for path in directory.rglob("*")
        if path.is_file()
        for secret in secrets
        if secret.encode() in path.read_bytes()
    ]


def test_no_secret_is_in_any_answer_log_or_file(tmp_path: Path, echo: Echo, start: Callable[[int], str]):
    port = project(tmp_path, echo.url)
    store = Store("sqlite:///loopwise.db", tmp_path, create=True)
    register(store, Release("m@0", "candidate", None, None, "upstream:m", "", 0.0), "test", "made")
    promote(store, "m@0", "test", "the base")
    with store.writing() as conn:
        made = {role: keys.make(conn, role, role, 0.0, per_minute=60)[1] for role in ("operator", "app", "feedback")}
        revoked = keys.make(conn, "gone", "app", 0.0)[1]
        keys.revoke(conn, revoked[keys.ID_AT], 1.0)
    url = start(port)
    said: list[str] = []

    def call(method: str, path: str, key: str, body: Any = None, **headers: str) -> int:
        answer = httpx.request(method, url + path, json=body, headers={"authorization": f"Bearer {key}", **headers})
        said.extend([answer.text, str(answer.headers)])
        return answer.status_code

    app, stranger = made["app"], "lw_00000000_" + "s" * 43
    wishes = ("refuse", "crash", "garbage", "whole")
    statuses = [
        call("POST", f"/v1/{path}", app, {"model": "loopwise", "stream": stream, **asked})
        for word in wishes
        for stream in (False, True)
        for path, asked in {
            "chat/completions": {"messages": [{"role": "user", "content": word}]},
            "completions": {"prompt": word},
            "responses": {"input": word},
            "embeddings": {"input": word},
        }.items()
    ]
    assert {401, 502} <= set(statuses)
    assert len(echo.headers) == 4 * 8
    for key in (revoked, stranger):
        assert call("POST", "/v1/chat/completions", key, {}) == 401
    assert call("POST", "/v1/chat/completions", made["feedback"], {}) == 403
    assert call("POST", "/v1/feedback", made["feedback"], {"kind": "thumbs"}) == 400
    assert call("GET", "/metrics", made["operator"]) == 200
    assert call("GET", "/readyz", made["operator"]) == 503
    while call("GET", "/v1/models", app) != 429:
        pass
    database = sqlite3.connect(tmp_path / "loopwise.db")
    database.execute("UPDATE releases SET at = 'no number'")  # what no code expects
    database.commit()
    assert call("GET", "/", made["operator"]) == 500
    database.execute("DROP TABLE feedback")
    database.commit()
    database.close()
    given = {"exchange_id": "e", "kind": "thumbs", "value": 1}
    assert call("POST", "/v1/feedback", made["feedback"], given) == 503
    assert call("GET", "/", made["operator"]) in (500, 503)
    secrets = [UPSTREAM_KEY, *(key[12:] for key in (*made.values(), revoked, stranger))]
    assert [secret for secret in secrets if secret in "\n".join(said)] == []
    assert in_files(tmp_path, secrets) == []
    assert "Traceback" in (tmp_path / "log").read_text()  # the log was searched where it matters
    seen = json.dumps(echo.headers)
    assert UPSTREAM_KEY in seen
    assert "lw_" not in seen  # the callers' keys stay here
    store.close()


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql+psycopg://lw:{PASSWORD}@127.0.0.1:9/loopwise",
        f"postgresql+psycopg://lw:{PASSWORD}@127.0.0.1:9/loopwise?connect_timeout=no",
        f"nosuch+driver://lw:{PASSWORD}@127.0.0.1/loopwise",
        f"postgresql:/lw:{PASSWORD}@127.0.0.1/loopwise",
    ],
)
@pytest.mark.parametrize(
    ("run", "command"), [(in_process, ["up", "--only", "gateway"]), (here, ["doctor", "--json"])], ids=["up", "doctor"]
)
def test_the_stores_password_is_in_no_message(
    tmp_path: Path, address: str, run: Callable[..., Done], command: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(VARIABLE, UPSTREAM_KEY)
    project(tmp_path, "http://127.0.0.1:9", address)
    done = run(*command, "--dir", str(tmp_path), "--debug")
    assert done.returncode != 0
    assert PASSWORD not in done.stdout + done.stderr
    assert "127.0.0.1" in done.stdout + done.stderr


CHAT = {"model": "loopwise", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def decoy() -> Iterator[Echo]:
    """A server that nobody must be made to call."""
    decoy = Echo()
    with serving(Starlette(routes=[Route("/{path:path}", decoy.answer, methods=["GET", "POST"])])) as decoy.url:
        yield decoy


def test_no_request_says_where_the_model_is_asked(
    gateway: str, model: Model, decoy: Echo, make_key: Callable[..., str]
):
    key = make_key("operator")
    place = decoy.url.removeprefix("http://")
    base = {"authorization": f"Bearer {key}"}
    sent = 0
    for headers in (
        {"host": place}, {"x-forwarded-host": place, "x-forwarded-proto": "http"}, {"forwarded": f"host={place}"},
        {"x-original-url": decoy.url}, {"x-rewrite-url": decoy.url}, {"x-loopwise-upstream": decoy.url},
        {"openai-base-url": decoy.url}, {"x-litellm-api-base": decoy.url}, {"x-portkey-custom-host": decoy.url},
        {"location": decoy.url}, {"referer": decoy.url}, {"helicone-openai-api-base": decoy.url},
    ):  # fmt: skip
        answer = httpx.post(f"{gateway}/v1/chat/completions", json=CHAT, headers=base | headers)
        sent += answer.status_code == 200
    assert sent == 12
    for name in (
        "base_url",
        "api_base",
        "url",
        "endpoint",
        "upstream",
        "host",
        "proxy",
        "custom_llm_provider",
        "api_key",
    ):
        for body in ({**CHAT, name: decoy.url}, {**CHAT, "metadata": {name: decoy.url}}, {**CHAT, "model": decoy.url}):
            answer = httpx.post(f"{gateway}/v1/chat/completions?{name}={decoy.url}", json=body, headers=base)
            sent += answer.status_code == 200
            assert answer.status_code == (404 if body["model"] == decoy.url else 200)
    assert len(model.seen) == sent
    assert decoy.headers == []


@pytest.mark.parametrize("target", ["http://{decoy}/v1/chat/completions", "//{decoy}/v1/chat/completions", "{decoy}"])
def test_neither_does_the_address_in_the_request_line(gateway: str, model: Model, decoy: Echo, target: str):
    gateway_place, place = gateway.removeprefix("http://"), decoy.url.removeprefix("http://")
    content = json.dumps(CHAT).encode()
    line = f"POST {target.format(decoy=place)} HTTP/1.1\r\nHost: {gateway_place}\r\n"
    with socket.create_connection(("127.0.0.1", int(gateway_place.rpartition(":")[2])), 5.0) as connection:
        connection.sendall(f"{line}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    assert int(answer.split()[1]) in (200, 400, 404)
    assert decoy.headers == []
    assert len(model.seen) == (answer.split()[1] == b"200")
