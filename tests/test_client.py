"""Client and AsyncClient against real gateways: what is acknowledged is stored once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import math
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

import loopwise
from loopwise.delivery import pause_s
from loopwise.errors import BusyError, RefusedError, UnreachableError, UsageError
from loopwise.gateway.app import create_app
from loopwise.gateway.upstream import Upstream
from loopwise.store import Store, feedback
from loopwise.types import Exchange, Feedback
from scripted import Model, serving

KINDS: list[tuple[Callable[[Any], Any], str, Any, str]] = [
    (lambda c: c.thumbs("ex_1", -1), "thumbs", -1, "human"),
    (lambda c: c.rating("ex_1", 4, scale=(1, 5)), "rating", 4, "human"),
    (lambda c: c.metric("ex_1", "minutes", 3.5), "metric", 3.5, "human"),
    (lambda c: c.correct("ex_1", "42"), "correction", "42", "human"),
    (lambda c: c.prefer("ex_1", 1, 0), "preference", {"chosen": 1, "rejected": 0}, "human"),
    (lambda c: c.comment("ex_1", "too long"), "comment", "too long", "human"),
    (lambda c: c.accept("ex_1"), "accept", None, "implicit"),
    (lambda c: c.copy("ex_1"), "copy", None, "implicit"),
    (lambda c: c.copy("ex_1", "a part"), "copy", "a part", "implicit"),
    (lambda c: c.edit("ex_1", "Dear Ms. Li"), "edit", "Dear Ms. Li", "implicit"),
    (lambda c: c.regenerate("ex_1"), "regenerate", None, "implicit"),
    (lambda c: c.abandon("ex_1"), "abandon", None, "implicit"),
    (lambda c: c.follow_up("ex_1", "no, the other"), "follow_up", "no, the other", "implicit"),
]


@pytest.fixture
def stored(store: Store) -> Callable[[], list[Feedback]]:
    def read() -> list[Feedback]:
        with store.reading() as conn:
            return [row for _, row in feedback.up_to(conn, feedback.watermark(conn))]

    return read


@pytest.fixture
def client(gateway: str) -> Iterator[loopwise.Client]:
    with loopwise.Client(gateway) as client:
        yield client


@contextmanager
def answering(*answers: Response) -> Iterator[tuple[str, list[Any]]]:
    """A server that gives ``answers`` in turn, and what it was sent."""
    seen: list[Any] = []

    async def take(request: Request) -> Response:
        seen.append(await request.json())
        return answers[len(seen) - 1]

    with serving(Starlette(routes=[Route("/v1/feedback", take, methods=["POST"])])) as url:
        yield url, seen


@asynccontextmanager
async def losing_first_answer(gateway: str) -> AsyncIterator[str]:
    """A way to the gateway on which the first answer is lost: the connection breaks once the gateway has answered."""
    address = httpx.URL(gateway)
    lost = asyncio.Event()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(address.host, address.port)
        while request := await reader.read(65_536):
            back.write(request)
            answer = await there.read(65_536)
            if not lost.is_set():
                lost.set()
                break
            writer.write(answer)
        back.close()
        writer.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert lost.is_set()


@pytest.mark.parametrize(("say", "kind", "value", "source"), KINDS, ids=lambda value: value if value else "")
def test_each_kind_is_stored_as_it_was_said(
    client: loopwise.Client, stored: Any, say: Any, kind: str, value: Any, source: str
):
    receipt = say(client)
    (row,) = stored()
    assert (row.id, row.kind, row.value, row.source, row.exchange_id) == (receipt.id, kind, value, source, "ex_1")
    assert receipt.joined is False  # nobody knows ex_1


async def test_the_asynchronous_client_says_the_same(gateway: str, stored: Any):
    async with loopwise.AsyncClient(gateway) as client:
        receipts = [await say(client) for say, *_ in KINDS]
    found = [(row.id, row.kind, row.value, row.source) for row in stored()]
    assert found == [(receipt.id, *said) for receipt, (_, *said) in zip(receipts, KINDS, strict=True)]


def test_what_else_feedback_says_is_stored(client: loopwise.Client, stored: Any):
    first = client.thumbs(None, 1, episode_id="chat-7", user="u1", comment="nice", at=1.5)
    at = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    client.rating("ex_1", 2, scale=(1, 5), choice=3, metadata={"screen": "a"}, at=at, id="mine", supersedes=first.id)
    thumb, rating = stored()
    assert (thumb.episode_id, thumb.exchange_id, thumb.comment, thumb.at) == ("chat-7", None, "nice", 1.5)
    assert thumb.user not in (None, "u1")  # a pseudonym
    assert (rating.id, rating.choice, rating.supersedes, rating.at) == ("mine", 3, first.id, 1795348800.0)
    assert rating.metadata == {"screen": "a", "scale": [1, 5]}


def test_feedback_on_an_answer_of_the_gateway_is_joined(gateway: str, client: loopwise.Client):
    body = {"model": "loopwise", "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx.post(f"{gateway}/v1/chat/completions", json=body).json()
    assert client.thumbs(answer["id"], 1).joined is True


def test_a_list_longer_than_a_request_takes_is_split_in_order(client: loopwise.Client, stored: Any):
    rows = [{"exchange_id": "ex_1", "kind": "comment", "value": f"no. {n}"} for n in range(2_001)]
    receipt = client.feedback(rows)
    assert [row.value for row in stored()] == [f"no. {n}" for n in range(2_001)]
    assert receipt.ids == tuple(row.id for row in stored())


def test_large_rows_are_split_by_bytes():
    texts = ["x" * 1_900_000, "y" * 1_900_000, "z" * 1_900_000]
    answers = (JSONResponse({"ids": ["a", "b"]}), JSONResponse({"ids": ["c"]}))
    with answering(*answers) as (url, seen), loopwise.Client(url) as client:
        receipt = client.feedback({"exchange_id": "e", "kind": "comment", "value": text} for text in texts)
    assert [[row["value"][0] for row in batch] for batch in seen] == [["x", "y"], ["z"]]
    assert receipt.ids == ("a", "b", "c")


def test_nothing_to_send_sends_nothing():
    with answering() as (url, seen), loopwise.Client(url) as client:
        assert client.feedback([]).ids == ()
        assert seen == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_gateway_that_is_busy_is_asked_again_with_the_same_ids(status: int):
    busy = Response(status_code=status, headers={"retry-after": "0"})
    with answering(busy, busy, JSONResponse({"ids": ["f"]})) as (url, seen), loopwise.Client(url) as client:
        assert client.thumbs("ex_1", 1).ids == ("f",)
    assert len({row["id"] for row in seen}) == 1
    assert len(seen) == 3


def test_after_the_last_try_the_gateways_own_sentence_is_raised():
    error = {"error": {"message": "The disk is full.", "type": "server_error", "param": None, "code": "store_failed"}}
    busy = JSONResponse(error, 503, {"retry-after": "0"})
    with (
        answering(busy, busy) as (url, seen),
        loopwise.Client(url, retries=1) as client,
        pytest.raises(BusyError, match=r"^The disk is full\.$") as caught,
    ):
        client.thumbs("ex_1", 1)
    assert (caught.value.status, caught.value.code) == (503, "store_failed")
    assert caught.value.unsent == seen[:1]
    assert len(seen) == 2


def test_a_gateway_that_wants_minutes_is_not_waited_for():
    with (
        answering(Response(status_code=429, headers={"retry-after": "300"})) as (url, _),
        loopwise.Client(url) as c,
        pytest.raises(BusyError) as caught,
    ):
        c.thumbs("ex_1", 1)
    assert caught.value.status == 429


async def test_an_acknowledgment_that_is_lost_on_the_way_leaves_one_row(gateway: str, stored: Any):
    async with losing_first_answer(gateway) as url, loopwise.AsyncClient(url) as client:
        receipt = await client.thumbs("ex_1", 1)
    assert [row.id for row in stored()] == [receipt.id]


def test_feedback_waits_until_the_store_can_be_written(model: Model, tmp_path: Path):
    Store("sqlite:///loopwise.db", tmp_path, create=True).close()
    store = Store("sqlite:///loopwise.db", tmp_path, lock_timeout_s=0.1)
    other = sqlite3.connect(tmp_path / "loopwise.db", check_same_thread=False, isolation_level=None)
    with serving(create_app(store, Upstream(model.url, None, "embedded", "tiny"))) as url:
        other.execute("BEGIN IMMEDIATE")
        with loopwise.Client(url, retries=0) as hasty, pytest.raises(BusyError, match="lock") as caught:
            hasty.thumbs("ex_1", 1)
        release = Timer(0.5, other.rollback)
        release.start()
        with loopwise.Client(url) as client:
            receipt = client.feedback(caught.value.unsent)
        release.join()
    other.close()
    with store.reading() as conn:
        rows = [row for _, row in feedback.up_to(conn, feedback.watermark(conn))]
    store.close()
    assert [row.id for row in rows] == list(receipt.ids) == [caught.value.unsent[0]["id"]]


def test_what_a_later_part_of_a_list_meets_leaves_the_earlier_part_acknowledged():
    refusal = JSONResponse({"error": {"message": "No.", "type": "x", "param": "[0]value", "code": None}}, 400)
    answers = (JSONResponse({"ids": ["a"] * 1_000}), refusal)
    rows = [{"id": f"f{n}", "exchange_id": "e", "kind": "thumbs", "value": 1} for n in range(1_500)]
    with answering(*answers) as (url, _), loopwise.Client(url) as client, pytest.raises(RefusedError) as caught:
        client.feedback(rows)
    assert [row["id"] for row in caught.value.unsent] == [f"f{n}" for n in range(1_000, 1_500)]
    assert (caught.value.param, caught.value.status) == ("[0]value", 400)


def test_a_refusal_says_what_was_expected_and_is_not_repeated(client: loopwise.Client, stored: Any):
    with pytest.raises(RefusedError, match=r"1 or -1.*5") as caught:
        client.thumbs("ex_1", 5)
    assert (caught.value.status, caught.value.param) == (400, "value")
    assert stored() == []


def test_where_no_gateway_listens_the_address_is_named():
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with loopwise.Client(url, retries=1) as client, pytest.raises(UnreachableError, match=url) as caught:
        client.thumbs("ex_1", 1)
    assert [row["kind"] for row in caught.value.unsent] == ["thumbs"]


def test_a_password_in_the_address_is_not_in_the_message():
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://me:lw_secret@127.0.0.1:{free.getsockname()[1]}"
    with loopwise.Client(url, retries=0) as client, pytest.raises(UnreachableError) as caught:
        client.thumbs("ex_1", 1)
    assert "secret" not in str(caught.value)


def test_an_answer_that_cannot_be_unpacked_is_no_answer():
    broken = Response(b"no gzip", headers={"content-encoding": "gzip"})
    with answering(broken) as (url, _), loopwise.Client(url, retries=0) as client, pytest.raises(UnreachableError):
        client.thumbs("ex_1", 1)


def test_a_gateway_that_does_not_answer_in_time_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with loopwise.Client(url, timeout_s=0.05, retries=0) as client, pytest.raises(UnreachableError):
            client.thumbs("ex_1", 1)


def test_another_server_than_loopwise_is_told_apart():
    with (
        answering(PlainTextResponse("<html>hello</html>")) as (url, _),
        loopwise.Client(url) as client,
        pytest.raises(RefusedError, match="correct base_url"),
    ):
        client.thumbs("ex_1", 1)


def test_an_exchange_of_another_gateway_is_found_by_the_teams_own_id(
    client: loopwise.Client, recorded: Callable[[], list[Exchange]]
):
    asked = [{"role": "user", "content": "6 times 7?"}]
    receipt = client.exchange(
        id="msg-7", model="gpt-5", messages=asked, content="42", user="u1", episode_id="chat-7", at=1.5
    )
    (exchange,) = recorded()
    assert (exchange.id, exchange.arm, exchange.episode, exchange.at) == ("msg-7", "external", "chat-7", 1.5)
    assert (receipt.ids, receipt.known) == (("msg-7",), ())
    assert exchange.response is not None
    assert exchange.response["choices"][0]["message"]["content"] == "42"
    assert client.thumbs("msg-7", 1).joined is True
    again = client.exchanges([{"id": "msg-7", "model": "gpt-5", "messages": asked, "content": "43"}])
    assert again.known == ("msg-7",)
    assert len(recorded()) == 1


async def test_exchanges_of_another_gateway_are_brought_in_asynchronously(gateway: str, recorded: Any):
    async with loopwise.AsyncClient(gateway) as client:
        receipt = await client.exchange(model="m", messages=[{"role": "user", "content": "hi"}], error="it broke")
    (exchange,) = recorded()
    assert (exchange.id, exchange.error, exchange.response) == (receipt.id, "it broke", None)


def test_the_base_url_of_an_openai_client_does(gateway: str, stored: Any):
    with loopwise.Client(f"{gateway}/v1/") as client:
        client.thumbs("ex_1", 1)
    assert len(stored()) == 1


def test_the_key_is_sent_and_a_malformed_one_is_not_quoted():
    seen: list[str] = []

    async def take(request: Request) -> Response:
        seen.append(request.headers["authorization"])
        return JSONResponse({"ids": ["f"]})

    app = Starlette(routes=[Route("/v1/feedback", take, methods=["POST"])])
    with serving(app) as url, loopwise.Client(url, api_key="lw_abc") as client:
        client.thumbs("ex_1", 1)
    assert seen == ["Bearer lw_abc"]
    for key in ("", "lw_secret\n", " lw_secret", "lw_sécret"):
        with pytest.raises(UsageError, match="api_key") as caught:
            loopwise.Client(api_key=key)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, object(), "\ud800"])
def test_what_is_no_json_is_refused_before_anything_is_sent(value: Any):
    with (
        answering() as (url, seen),
        loopwise.Client(url) as client,
        pytest.raises(UsageError, match="cannot be written as JSON"),
    ):
        client.comment("ex_1", value)
    assert seen == []


def test_an_address_without_a_scheme_is_refused():
    with pytest.raises(UsageError, match=r"'localhost:4040'.*http://"):
        loopwise.Client("localhost:4040")


def test_pauses_double_and_follow_what_the_gateway_wants():
    broken = httpx.ConnectError("refused")
    for tried, longest in ((0, 0.5), (1, 1.0), (2, 2.0), (20, 30.0)):
        pauses = [pause_s(broken, tried) for _ in range(50)]
        assert all(pause is not None and longest / 2 <= pause <= longest for pause in pauses)
        assert len(set(pauses)) > 1
    in_a_while = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    wanted = pause_s(httpx.Response(503, headers={"retry-after": in_a_while}), 0)
    assert wanted is not None
    assert 15 < wanted <= 20
    assert pause_s(httpx.Response(503, headers={"retry-after": "7"}), 0) == 7.0
    assert pause_s(httpx.Response(422), 0) is None


def test_importing_loopwise_loads_nothing_and_its_client_no_server():
    code = """
import sys, time
import loopwise
assert not [name for name in sys.modules if name.startswith("loopwise.")]
began = time.perf_counter()
loopwise.Client
print(time.perf_counter() - began)
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"torch", "numpy", "scipy", "starlette", "uvicorn", "sqlalchemy", "pydantic", "aiohttp"}))
"""
    ran = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    assert {run.stdout.splitlines()[1] for run in ran} == {"[]"}
    assert min(float(run.stdout.splitlines()[0]) for run in ran) < 0.3


def test_threads_may_share_a_client(client: loopwise.Client, stored: Any):
    threads = [Thread(target=client.thumbs, args=(f"ex_{n}", 1)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {row.exchange_id for row in stored()} == {f"ex_{n}" for n in range(16)}


def _is_exported(name: str) -> bool:
    return callable(getattr(loopwise, name))


def test_what_loopwise_exports_is_there():
    assert all(map(_is_exported, loopwise.__all__))
    with pytest.raises(AttributeError, match="no attribute 'Clint'"):
        loopwise.Clint  # pyright: ignore  # noqa: B018
