"""The stream parser against an independent one, and the gateway against servers that stream anything."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from loopwise.gateway.app import create_app
from loopwise.gateway.endpoints import ENDPOINTS, Endpoint
from loopwise.gateway.sse import events
from loopwise.gateway.upstream import Upstream
from loopwise.release.transitions import promote, register
from loopwise.store import Store, exchanges
from loopwise.types import Exchange, JsonObject, Release
from scripted import serving

SEEDED = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck), max_examples=100
)
THROUGH_HTTP = settings(SEEDED, max_examples=40)


def parsed(pieces: Sequence[bytes]) -> list[tuple[str, bytes]]:
    async def read() -> list[tuple[str, bytes]]:
        async def stream() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        return [(event.kind, event.data) async for batch in events(stream()) for event in batch]

    return asyncio.run(read())


def reference(content: bytes) -> list[tuple[str, bytes]]:
    """Section 9.2.6 of WHATWG's HTML, sentence by sentence, on the whole stream at once. An event without data is left
    out: the standard would dispatch one whose data is the empty text, and no model's server means anything by it."""
    content = content[3:] if content[:3] == b"\xef\xbb\xbf" else content
    lines: list[bytes] = []
    line = bytearray()
    place = 0
    while place < len(content):
        if content[place : place + 2] == b"\r\n":
            place += 1
        if content[place] in b"\r\n":
            lines.append(bytes(line))
            line.clear()
        else:
            line.append(content[place])
        place += 1
    found: list[tuple[str, bytes]] = []  # what is left in ``line`` is incomplete, and so is discarded
    data, kind = b"", b""
    for each in lines:
        if each == b"":
            if data.strip(b"\n") or data.count(b"\n") > 1:
                found.append((kind.decode("utf-8", "replace"), data[:-1]))
            data, kind = b"", b""
            continue
        if each.startswith(b":"):
            continue
        if b":" in each:
            field, value = each[: each.index(b":")], each[each.index(b":") + 1 :]
            if value.startswith(b" "):
                value = value[1:]
        else:
            field, value = each, b""
        if field == b"event":
            kind = value
        elif field == b"data":
            data += value + b"\n"
    return found


def test_the_reference_reads_the_standards_own_examples():
    stocks = b"data: YHOO\ndata: +2\ndata: 10\n\n"
    assert reference(stocks) == [("", b"YHOO\n+2\n10")]
    kinds = b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n"
    assert reference(kinds) == [("add", b"73857293"), ("remove", b"2153")]
    comment = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n"
    assert reference(comment) == [("", b"first event"), ("", b"second event")]  # the third is never ended
    assert reference(b"data:test\n\ndata: test\n\n") == [("", b"test"), ("", b"test")]


LINES = st.sampled_from(
    [b"data: a", b"data:b", b"data", b"data:", b"data:  c", b"data: \xc3\xa9", b"data: \xff", b": note", b":",
     b"event: x", b"event:y", b"event", b"id: 1", b"retry: 3", b"Data: no", b" data: no", b"data : no", b"data: a:b",
     b"", b"\xef\xbb\xbf", b"\xef\xbb\xbfdata: bom", b"odd", b"data: \x00", b"data: {\"a\": 1}", b"data: [DONE]"]
)  # fmt: skip
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Lines in blocks, most of which a blank line ends."""
    blocks = draw(st.lists(st.lists(st.tuples(LINES, ENDS), max_size=4), max_size=8))
    content = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    for block in blocks:
        content += b"".join(line + end for line, end in block) + draw(st.sampled_from([b"", b"\n", b"\r", b"\r\n"]))
    return content


def cut(content: bytes, places: Sequence[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
    return [content[start:end] for start, end in pairwise(marks)]


@SEEDED
@given(streams(), st.lists(st.integers(0, 1_000), max_size=30))
def test_any_stream_in_any_pieces_is_what_the_standard_says(content: bytes, places: list[int]):
    assert parsed(cut(content, places)) == reference(content)


@SEEDED
@given(st.binary(max_size=200), st.lists(st.integers(0, 1_000), max_size=30))
def test_any_bytes_in_any_pieces_are_what_the_standard_says(content: bytes, places: list[int]):
    assert parsed(cut(content, places)) == reference(content)


@SEEDED
@given(streams())
def test_single_bytes_are_pieces_too(content: bytes):
    assert parsed([content[place : place + 1] for place in range(len(content))]) == reference(content)


def test_a_long_event_in_many_pieces_is_not_read_again_with_each():
    content = b"data: " + b"x" * 12_000_000 + b"\n\n"
    began = time.perf_counter()
    [(_, data)] = parsed([content[start : start + 4_000] for start in range(0, len(content), 4_000)])
    assert len(data) == 12_000_000
    assert time.perf_counter() - began < 5.0  # with each piece searched again: minutes


KEYS = st.sampled_from(
    ["id", "object", "model", "system_fingerprint", "choices", "index", "delta", "role", "content", "tool_calls",
     "function", "name", "arguments", "finish_reason", "logprobs", "usage", "response", "type", "output",
     "output_index", "content_index", "item", "part", "error", "text", "message", "prompt_tokens", "status"]
)  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from(
        [2**70, -1, 0.5, 1e300, "", "a", "stop", "é", "\x00", "\ud800", "assistant", "response.completed"]
    )
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
DELTAS = st.dictionaries(KEYS, JSON, max_size=4) | st.none()
CHUNKS: st.SearchStrategy[JsonObject] = st.dictionaries(KEYS, JSON, max_size=5) | st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries(
                {"index": st.integers(-1, 3)},
                optional={"delta": DELTAS, "finish_reason": JSON, "text": JSON, "logprobs": JSON, "message": JSON},
            ),
            max_size=3,
        )
    },
    optional={"id": JSON, "model": JSON, "usage": JSON, "system_fingerprint": JSON, "response": JSON},
)
KINDS = st.sampled_from(
    ["response.created", "response.completed", "response.failed", "response.output_item.added",
     "response.output_item.done", "response.content_part.added", "response.output_text.delta",
     "response.function_call_arguments.delta", "response.refusal.delta", "odd"]
)  # fmt: skip
EVENTS: st.SearchStrategy[JsonObject] = st.fixed_dictionaries(
    {"type": KINDS},
    optional={
        "response": st.dictionaries(KEYS, JSON, max_size=4),
        "output_index": st.integers(-1, 3) | JSON,
        "content_index": st.integers(-1, 3) | JSON,
        "item": st.dictionaries(KEYS, JSON, max_size=4) | JSON,
        "part": st.dictionaries(KEYS, JSON, max_size=4) | JSON,
        "delta": JSON,
    },
)
NOT_A_NUMBER = b'{"id": "r", "output": [], "choices": [], "data": [], "a": NaN}'
STREAMING = [endpoint for endpoint in ENDPOINTS if endpoint.assembly is not None]


@pytest.mark.parametrize("endpoint", STREAMING, ids=lambda endpoint: endpoint.name)
@SEEDED
@given(st.lists(CHUNKS | EVENTS, max_size=6))
def test_whatever_passes_for_a_chunk_can_be_put_together(endpoint: Endpoint, chunks: list[JsonObject]):
    assert endpoint.assembly is not None
    assembly = endpoint.assembly({"prompt": "a"})
    for chunk in chunks:
        if endpoint.is_chunk(chunk):
            assembly.add(chunk)
    assert isinstance(assembly.complete, bool)
    assert assembly.failure is None or isinstance(assembly.failure, str)
    assert isinstance(json.loads(json.dumps(assembly.response())), dict)


class Anything:
    """A server that answers with the bytes it was given."""

    def __init__(self) -> None:
        self.content: bytes = b""
        self.streams = True

    async def answer(self, _: Request) -> Response:
        if not self.streams:
            return Response(self.content, media_type="application/json")

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(self.content), 40):
                yield self.content[start : start + 40]

        return StreamingResponse(pieces(), media_type="text/event-stream")


@pytest.fixture(scope="module")
def behind() -> Anything:
    return Anything()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store("sqlite:///loopwise.db", tmp_path_factory.mktemp("project"), create=True)
    register(store, Release("m@0", "candidate", None, None, "sha256:00", "", 0.0), "test", "made")
    promote(store, "m@0", "test", "the base")
    yield store
    store.close()


@pytest.fixture(scope="module")
def served(project: Store, behind: Anything) -> Iterator[str]:
    routes = [Route(f"/v1/{endpoint.path}", behind.answer, methods=["POST"]) for endpoint in ENDPOINTS]
    with (
        serving(Starlette(routes=routes)) as url,
        serving(create_app(project, Upstream(f"{url}/v1", None, "openai", "m", retries=0))) as gateway,
    ):
        yield gateway


def recorded(store: Store, exchange_id: str) -> Exchange:
    with store.reading() as conn:
        found = exchanges.get(conn, exchange_id)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def client(served: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served) as client:
        yield client


def ask(client: httpx.Client, endpoint: Endpoint, stream: bool) -> httpx.Response:
    body: JsonObject = {"model": "loopwise", "messages": [{"role": "user"}], "prompt": "a", "input": "a"}
    return client.post(f"/v1/{endpoint.path}", json={**body, "stream": stream} if stream else body)


def strictly(content: bytes) -> Any:
    """Parsed as JSON that every parser takes."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(content, parse_constant=refuse)


def as_event(endpoint: Endpoint, chunk: Any) -> bytes:
    head = f"event: {chunk.get('type')}\n" if endpoint.name == "responses" and isinstance(chunk, dict) else ""
    return f"{head}data: {json.dumps(chunk)}\n\n".encode()


@pytest.mark.parametrize("endpoint", STREAMING, ids=lambda endpoint: endpoint.name)
@THROUGH_HTTP
@given(st.lists(CHUNKS | EVENTS | JSON, max_size=4), st.booleans())
def test_whatever_a_server_streams_ends_well_and_is_recorded(
    client: httpx.Client, project: Store, behind: Anything, endpoint: Endpoint, chunks: list[Any], done: bool
):
    behind.streams = True
    behind.content = b"".join(as_event(endpoint, chunk) for chunk in chunks) + (b"data: [DONE]\n\n" if done else b"")
    answer = ask(client, endpoint, stream=True)
    exchange = recorded(project, answer.headers["x-loopwise-exchange"])
    if answer.headers["content-type"] == "application/json":
        assert answer.status_code == 502 == exchange.status
        assert strictly(answer.content)["error"]["message"]
        return
    assert answer.status_code == 200
    told = reference(answer.content)
    last = told[-1][1]
    for _, data in told:
        assert data == b"[DONE]" or isinstance(strictly(data), dict)
    failed = last != b"[DONE]" and "error" in strictly(last)
    assert exchange.status == (502 if failed else 200)
    assert b"x-loopwise-recorded: false" not in answer.content


def test_a_stream_of_one_event_that_is_the_last_is_passed_on(client: httpx.Client, project: Store, behind: Anything):
    behind.streams = True
    event = {"type": "response.completed", "response": {"id": "resp_1", "object": "response", "output": []}}
    responses = next(endpoint for endpoint in ENDPOINTS if endpoint.name == "responses")
    behind.content = as_event(responses, event)
    answer = ask(client, responses, stream=True)
    [(kind, data)] = reference(answer.content)
    assert (kind, strictly(data)["response"]["id"]) == ("response.completed", answer.headers["x-loopwise-exchange"])
    exchange = recorded(project, answer.headers["x-loopwise-exchange"])
    assert (exchange.status, exchange.upstream_id) == (200, "resp_1")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_does_not_know_ends_a_stream(client: httpx.Client, behind: Anything, number: str):
    behind.streams = True
    behind.content = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'
    behind.content += b'data: {"choices": [], "a": %s}\n\ndata: [DONE]\n\n' % number.encode()
    first, last = reference(ask(client, ENDPOINTS[0], stream=True).content)
    assert strictly(first[1])["choices"][0]["delta"] == {"content": "a"}
    assert strictly(last[1])["error"]["code"] == "upstream_broken"


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
@THROUGH_HTTP
@given(
    CHUNKS | EVENTS | JSON,
    st.sampled_from([None, None, None, b"", b"{", b"\xff", b"[" * 5_000, NOT_A_NUMBER]),
)
def test_whatever_a_server_answers_is_passed_on_or_refused_and_recorded(
    client: httpx.Client, project: Store, behind: Anything, endpoint: Endpoint, value: Any, content: bytes | None
):
    behind.streams = False
    behind.content = json.dumps(value).encode() if content is None else content
    answer = ask(client, endpoint, stream=False)
    assert answer.status_code in (200, 502)
    assert isinstance(strictly(answer.content), dict)
    assert recorded(project, answer.headers["x-loopwise-exchange"]).status == answer.status_code
    assert answer.headers["x-loopwise-recorded"] == "true"
