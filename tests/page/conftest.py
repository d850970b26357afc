"""The real page on a real port: the gateway in front of a small streaming server, over a store with history."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from loopwise.gateway.app import create_app
from loopwise.gateway.upstream import Upstream
from loopwise.release.transitions import promote, register, reject
from loopwise.store import Store, exchanges, feedback, scores
from loopwise.types import Exchange, Feedback, Release, SuiteScores
from scripted import serving

HOSTILE = "<script>document.title='owned'</script>"


@dataclass(frozen=True)
class Site:
    url: str
    store: Store


async def stream(body: dict[str, object]) -> AsyncIterator[bytes]:
    """Answers with hostile markup, in pieces."""
    for content in ("I hear ", "<img src=x onerror=\"document.title='owned'\">", HOSTILE, None):
        choice = {
            "index": 0,
            "delta": {"content": content} if content else {},
            "finish_reason": None if content else "stop",
        }
        chunk = {
            "id": "u",
            "created": 1,
            "model": body["model"],
            "system_fingerprint": "sha256:f2",
            "choices": [choice],
        }
        yield b"data: " + json.dumps(chunk).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


async def chat(request: Request) -> StreamingResponse:
    return StreamingResponse(stream(await request.json()), media_type="text/event-stream")


@pytest.fixture
def empty(empty_store: Path, tmp_path: Path) -> Iterator[Site]:
    """A project in which nothing has happened."""
    shutil.copy(empty_store, tmp_path)
    store = Store("sqlite:///loopwise.db", tmp_path)
    model = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])
    with serving(model) as model_url, serving(create_app(store, Upstream(model_url, None, "embedded", "m"))) as url:
        yield Site(url, store)
    store.close()


@pytest.fixture
def site(empty: Site) -> Site:
    """tiny@0 retired at 40 %, tiny@1 rejected at 38 %, tiny@2 champion at 80 %, and one with a hostile name."""
    store = empty.store
    names = ["tiny@0", "tiny@1", "tiny@2", f"x{HOSTILE}"]
    for at, name in enumerate(names):
        register(store, Release(name, "candidate", None, None, f"sha256:f{at}", "p", 1.7e9 + 3600 * at), "t", "made")
    promote(store, "tiny@0", "t", "base")
    reject(store, "tiny@1", "t", "worse")
    promote(store, "tiny@2", "t", "better")
    with store.writing() as conn:
        for at, right in enumerate((40, 38, 80)):
            answers = (1.0,) * right + (0.0,) * (100 - right)
            scores.add(conn, store.blobs, SuiteScores("final", "v1", names[at], f"sha256:f{at}", answers))
        exchanges.add(conn, [exchange(f"e{n}", "tiny@0" if n < 2 else "tiny@2") for n in range(5)])
        kinds = ("thumbs", "thumbs", "follow_up")
        feedback.add(conn, [Feedback(f"f{n}", 1.0, kind, HOSTILE, "e1") for n, kind in enumerate(kinds)])
    return empty


def exchange(name: str, release: str) -> Exchange:
    return Exchange(name, 1.0, "loopwise", release, "sha256:f0", "champion", 1.0, {"text": HOSTILE}, None, 200, 0.1)
