"""The API against its document: schemathesis sends what it allows and what it does not, and checks the answers."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from loopwise.gateway.app import create_app
from loopwise.gateway.openapi import document
from loopwise.gateway.upstream import Upstream
from loopwise.page.routes import page_routes
from loopwise.release.transitions import promote, register
from loopwise.store import Store
from loopwise.types import JsonObject, Release
from scripted import serving

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
CHAT = {"id": "c1", "object": "chat.completion", "model": "m", "choices": [], "usage": None}
EVENTS: dict[str, list[JsonObject]] = {
    "chat/completions": [{"id": "c1", "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}],
    "completions": [{"id": "c1", "choices": [{"index": 0, "text": "a", "finish_reason": "stop"}]}],
    "responses": [{"type": "response.completed", "response": {"id": "r1", "output": []}}],
}
ANSWERS: dict[str, JsonObject] = {
    "chat/completions": CHAT,
    "completions": {**CHAT, "object": "text_completion"},
    "responses": {"id": "r1", "object": "response", "output": [], "model": "m"},
    "embeddings": {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "m"},
}


async def agree(request: Request) -> Response:
    """A model's server that takes whatever reaches it."""
    path = request.url.path.removeprefix("/v1/")
    body = await request.json()
    if not (body.get("stream") and path in EVENTS):
        return JSONResponse(ANSWERS[path])

    async def events() -> AsyncIterator[bytes]:
        for event in EVENTS[path]:
            yield b"data: " + json.dumps(event).encode() + b"\n\n"
        yield b"data: [DONE]\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


async def listed(_: Request) -> Response:
    return JSONResponse({"object": "list", "data": []})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway in front of a server that agrees to everything."""
    routes = [Route(f"/v1/{path}", agree, methods=["POST"]) for path in ANSWERS]
    store = Store("sqlite:///loopwise.db", tmp_path_factory.mktemp("project"), create=True)
    register(store, Release("m@0", "candidate", None, None, "sha256:00", "", 0.0), "test", "made")
    promote(store, "m@0", "test", "the base")
    upstream = Starlette(routes=[*routes, Route("/v1/models", listed)])
    with serving(upstream) as url, serving(create_app(store, Upstream(f"{url}/v1", None, "openai", "m"))) as gateway:
        yield gateway
    store.close()


schema = schemathesis.openapi.from_dict(document())
QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
SHORT = settings(max_examples=8, derandomize=True, deadline=None, suppress_health_check=QUIET, database=None)
# The same examples in each run, so that a change is judged by itself: CONTRIBUTING says how to look for others.
LONG = settings(
    max_examples=400,
    derandomize="SCHEMATHESIS_SEARCH" not in os.environ,
    deadline=None,
    suppress_health_check=QUIET,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


def check(case: Any, served: str) -> None:
    """A name of a model that is a text becomes that of the served model: else each call would end with 404."""
    if isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
        case.body["model"] = "loopwise"
    case.call_and_validate(base_url=served, checks=CHECKS)


@schema.parametrize()
@SHORT
def test_the_api_keeps_to_its_document(case: Any, served: str):
    check(case, served)


@pytest.mark.slow
@schema.parametrize()
@LONG
def test_the_api_keeps_to_its_document_at_length(case: Any, served: str):
    check(case, served)


def test_every_route_but_the_pages_is_in_the_document_and_no_other(store: Store):
    app = create_app(store, Upstream("http://127.0.0.1:9", None, "embedded", "tiny"))
    pages = {getattr(route, "path", None) for route in page_routes(store)}
    routes = [route for route in app.routes if isinstance(route, Route) and route.path not in pages]
    there = {
        (route.path.replace(":path", ""), method.lower())
        for route in routes
        for method in (route.methods or ())
        if method != "HEAD"
    }
    told = {(path, key) for path, item in document()["paths"].items() for key in item if key != "parameters"}
    assert told == there


def test_every_schema_is_one_and_every_reference_leads_somewhere():
    told = document()
    for schema in told["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    names = {part.split('"')[0] for part in json.dumps(told).split("#/components/schemas/")[1:]}
    assert names <= told["components"]["schemas"].keys()


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("Feedback", {"kind": "thumbs", "value": 1, "exchange_id": "e"}, True),
        ("Feedback", {"kind": "thumbs", "value": 2, "exchange_id": "e"}, False),
        ("Feedback", {"kind": "thumbs", "value": 1}, False),
        ("Feedback", {"kind": "thumbs", "value": 1, "exchange_id": None}, False),
        ("Feedback", {"kind": "rating", "value": 1, "exchange_id": "e"}, False),
        ("Feedback", {"kind": "comment", "value": "x", "episode_id": "e", "odd": 1}, False),
        ("chat.completions.request", {"model": "m", "messages": [{"role": "user"}], "odd": 1}, True),
        ("chat.completions.request", {"model": "m", "messages": []}, False),
        ("responses.request", {"model": "m"}, True),
    ],
)
def test_the_schemas_tell_right_from_wrong(name: str, value: JsonObject, right: bool):
    components = {"components": document()["components"], "$ref": f"#/components/schemas/{name}"}
    assert jsonschema_rs.is_valid(components, value) is right


def test_the_document_is_served_to_anybody_here(served: str):
    answer = httpx.get(f"{served}/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == document()
    assert answer.json()["openapi"] == "3.1.0"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"at": "08"}, 400),  # found by schemathesis: it was taken for eight seconds after the epoch
        ({"at": "1700000000"}, 400),
        ({"at": "2026-01-31T12:00:00"}, 400),  # nobody knows where
        ({"at": "2026-01-31T12:00:00Z"}, 202),
        ({"at": "2026-01-31 12:00:00+01:00"}, 202),
        ({"at": 8}, 202),
        ({"at": -290819}, 400),  # found by schemathesis: it was taken for seconds before the epoch
        ({"at": 1_700_000_000_000}, 400),  # and this for milliseconds
    ],
)
def test_a_moment_is_a_number_or_a_date_with_its_zone(served: str, fields: JsonObject, status: int):
    row = {"exchange_id": "e", "kind": "thumbs", "value": 1, **fields}
    assert httpx.post(f"{served}/v1/feedback", json=row).status_code == status


def test_an_episode_in_the_metadata_is_checked_beside_the_header_too(served: str):
    body = {"model": "loopwise", "messages": [{"role": "user"}], "metadata": {"episode_id": "a\0b"}}
    answer = httpx.post(f"{served}/v1/chat/completions", json=body, headers={"X-Loopwise-Episode": "ep"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "metadata.episode_id")


def test_any_key_may_read_the_document(gateway: str, make_key: Callable[..., str], locked: Callable[[str], None]):
    key = make_key("feedback")
    locked(gateway)
    assert httpx.get(f"{gateway}/openapi.json").status_code == 401
    assert httpx.get(f"{gateway}/openapi.json", headers={"Authorization": f"Bearer {key}"}).status_code == 200
