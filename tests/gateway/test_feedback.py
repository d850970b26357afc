"""Feedback over HTTP: each kind's value, lists whole or not at all, pseudonyms, repeats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from itertools import islice
from typing import Any, get_args

import httpx
import pytest
from starlette.requests import Request

from loopwise.errors import StoreError, UnstorableError
from loopwise.gateway.app import create_app
from loopwise.gateway.errors import ApiError, on_store_error
from loopwise.gateway.opinion import EXPECTED, parse_opinion
from loopwise.gateway.upstream import Upstream
from loopwise.store import Store, feedback as rows, keys
from loopwise.types import Feedback, FeedbackKind, JsonObject
from scripted import Model, serving

Stored = Callable[[], list[Feedback]]


@pytest.fixture
def stored(store: Store) -> Stored:
    def read() -> list[Feedback]:
        with store.reading() as conn:
            return [row for _, row in rows.up_to(conn, rows.watermark(conn))]

    return read


@pytest.fixture
def gateway_with_keys(store: Store, model: Model) -> Iterator[Callable[[str], tuple[str, str]]]:
    """The address of a gateway that wants keys, and a key of the given role."""
    with ExitStack() as stack:

        def serve(role: str) -> tuple[str, str]:
            with store.writing() as conn:
                _, text = keys.make(conn, "test", role, 1.0)
            return stack.enter_context(serving(create_app(store, Upstream(model.url, None, "embedded", "tiny")))), text

        yield serve


def send(gateway: str, body: Any) -> httpx.Response:
    return httpx.post(f"{gateway}/v1/feedback", json=body)


def asked(gateway: str) -> str:
    body = {"model": "loopwise", "messages": [{"role": "user", "content": "hi"}]}
    return httpx.post(f"{gateway}/v1/chat/completions", json=body).json()["id"]


GOOD: list[tuple[JsonObject, Any, JsonObject]] = [
    ({"kind": "thumbs", "value": 1}, 1, {}),
    ({"kind": "thumbs", "value": -1}, -1, {}),
    ({"kind": "rating", "value": 4, "scale": [1, 5]}, 4.0, {"scale": [1.0, 5.0]}),
    ({"kind": "metric", "value": 0.25, "name": "resolved"}, 0.25, {"name": "resolved"}),
    ({"kind": "correction", "value": "42"}, "42", {}),
    ({"kind": "preference", "value": {"chosen": "a", "rejected": "b"}}, {"chosen": "a", "rejected": "b"}, {}),
    ({"kind": "comment", "value": "fine \u0000 \U0001f600"}, "fine \u0000 \U0001f600", {}),
    ({"kind": "accept"}, None, {}),
    ({"kind": "copy", "value": "part"}, "part", {}),
    ({"kind": "edit", "value": "after"}, "after", {}),
    ({"kind": "regenerate", "value": True}, True, {}),
    ({"kind": "abandon", "value": None}, None, {}),
    ({"kind": "follow_up", "value": "and then?", "metadata": {"page": 2}}, "and then?", {"page": 2}),
]


def test_what_is_seen_rather_than_said_is_implicit_unless_it_is_said_otherwise(gateway: str, stored: Stored):
    seen = [
        ("accept", None),
        ("copy", None),
        ("edit", "a"),
        ("regenerate", True),
        ("abandon", None),
        ("follow_up", "a"),
    ]
    rows = [{"exchange_id": "e", "kind": kind, "value": value} for kind, value in [*seen, ("correction", "a")]]
    assert send(gateway, [*rows, {**rows[2], "source": "human"}]).status_code == 202
    assert [row.source for row in stored()] == ["implicit"] * 6 + ["human"] * 2


def test_every_kind_is_stored_as_it_was_meant(gateway: str, stored: Stored):
    exchange_id = asked(gateway)
    answer = send(gateway, [{"exchange_id": exchange_id, "source": "implicit", **row} for row, _, _ in GOOD])
    assert answer.status_code == 200
    found = stored()
    assert answer.json() == {"ids": [row.id for row in found]}
    assert [(row.kind, row.value, row.metadata) for row in found] == [
        (row["kind"], value, metadata) for row, value, metadata in GOOD
    ]
    assert {(row.source, row.exchange_id, row.choice) for row in found} == {("implicit", exchange_id, 0)}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"kind": "thumbs", "value": 2}, "kind 'thumbs' takes the value 1 or -1; it was 2."),
        ({"kind": "thumbs", "value": True}, "takes the value 1 or -1; it was True."),
        ({"kind": "thumbs"}, "takes the value 1 or -1; it was None."),
        ({"kind": "rating", "value": 4}, "kind 'rating' needs 'scale'."),
        ({"kind": "rating", "value": 6, "scale": [1, 5]}, "the rating 6.0 lies outside its scale [1.0, 5.0]."),
        ({"kind": "rating", "value": "4", "scale": [1, 5]}, "takes a number"),
        ({"kind": "rating", "value": 4, "scale": [5]}, "scale: List should have at least 2 items"),
        ({"kind": "metric", "value": 1.0}, "kind 'metric' needs 'name'."),
        ({"kind": "thumbs", "value": 1, "name": "x"}, "kind 'thumbs' takes no 'name'."),
        ({"kind": "correction", "value": ""}, "takes the right answer, a text"),
        ({"kind": "correction", "value": 42}, "takes the right answer, a text"),
        ({"kind": "preference", "value": {"chosen": "a", "rejected": "a"}}, "two different texts"),
        ({"kind": "preference", "value": {"chosen": "a", "rejected": 1}}, "two different texts"),
        ({"kind": "preference", "value": {"chosen": "a"}}, "two different texts"),
        ({"kind": "accept", "value": "yes"}, "takes the value true, or none"),
        ({"kind": "edit"}, "takes the text after the edit"),
        ({"kind": "applause", "value": 1}, "kind: Input should be one of thumbs, rating"),
        ({"kind": "thumbs", "value": 1, "source": "crowd"}, "source: Input should be 'human', 'implicit', 'judge'"),
        ({"kind": "accept", "value": 1}, "takes the value true, or none; it was 1."),
        ({"kind": "rating", "value": 3, "scale": [5, 1]}, "scale is [low, high] with low below high"),
        ({"kind": "thumbs", "value": 1, "user": "a\0b"}, "user: it holds the character NUL"),
        ({"kind": "thumbs", "value": 1, "comment": "a\0b"}, "comment: it holds the character NUL"),
        ({"kind": "thumbs", "value": 1, "id": "\0"}, "id: it holds the character NUL"),
        ({"kind": "thumbs", "value": 1, "exchange_id": "\0"}, "exchange_id: it holds the character NUL"),
        ({"kind": "thumbs", "value": 1, "choice": -1}, "choice: Input should be greater than or equal to 0"),
        ({"kind": "thumbs", "value": 1, "choice": 2**70}, "choice: "),
        ({"kind": "thumbs", "value": 1, "at": "yesterday"}, "at: "),
        ({"kind": "thumbs", "value": 1, "colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"kind": "thumbs", "value": 1, "exchange_id": None}, "name the exchange_id"),
        ({"kind": "thumbs", "value": "x" * 1_000}, "it was '" + "x" * 199 + "…."),
        ("thumbs", "Feedback [1]: the row: Input should be a JSON object; it was 'thumbs'."),
    ],
)
def test_a_wrong_row_is_a_sentence_with_its_place(row: Any, message: str):
    wrong = {"exchange_id": "e", **row} if isinstance(row, dict) else row
    with pytest.raises(ApiError) as refused:
        parse_opinion(wrong, "[1]", None)
    assert refused.value.status == 400
    assert message in refused.value.message
    assert refused.value.message.startswith("Feedback [1]: ")
    assert str(refused.value.param).startswith("[1]")


def test_a_list_is_taken_whole_or_not_at_all(gateway: str, stored: Stored):
    right = {"exchange_id": "e", "kind": "thumbs", "value": 1}
    answer = send(gateway, [right, {**right, "value": 2}])
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "[1].value")
    assert stored() == []


def test_feedback_before_its_exchange_is_kept_and_acknowledged_as_such(gateway: str, stored: Stored):
    assert send(gateway, {"exchange_id": "ex_later", "kind": "thumbs", "value": 1}).status_code == 202
    assert send(gateway, {"episode_id": "e1", "kind": "thumbs", "value": 1}).status_code == 200
    assert [(row.exchange_id, row.episode_id) for row in stored()] == [("ex_later", None), (None, "e1")]


def test_the_same_id_twice_is_one_feedback(gateway: str, stored: Stored):
    row = {"id": "f1", "exchange_id": "e", "kind": "thumbs", "value": 1, "at": 1700000000.5}
    for _ in range(2):
        assert send(gateway, row).json() == {"ids": ["f1"]}
        assert send(gateway, [row, row]).json() == {"ids": ["f1", "f1"]}
    assert [(row.id, row.at) for row in stored()] == [("f1", 1700000000.5)]


def test_a_date_may_be_written_as_a_timestamp(gateway: str, stored: Stored):
    send(gateway, {"exchange_id": "e", "kind": "accept", "at": "2023-11-14T22:13:20.500Z"})
    assert stored()[0].at == 1700000000.5


def test_the_rater_has_the_same_pseudonym_as_the_asker(gateway: str, stored: Stored, recorded: Any):
    body = {"model": "loopwise", "messages": [{"role": "user", "content": "hi"}], "user": "lena"}
    exchange_id = httpx.post(f"{gateway}/v1/chat/completions", json=body).json()["id"]
    send(gateway, {"exchange_id": exchange_id, "kind": "thumbs", "value": 1, "user": "lena"})
    assert stored()[0].user == recorded()[0].user
    assert len(str(stored()[0].user)) == 32


@pytest.mark.parametrize("n", [0, 1001])
def test_a_list_holds_up_to_a_thousand(gateway: str, n: int):
    rows = [{"exchange_id": "e", "kind": "accept"}] * n
    assert f"holds {n}" in send(gateway, rows).json()["error"]["message"]


@pytest.mark.parametrize("body", [7, "x"])
def test_a_body_that_is_neither_object_nor_list_is_refused(gateway: str, body: Any):
    assert "one feedback object, or a list" in send(gateway, body).json()["error"]["message"]


def test_feedback_is_never_acknowledged_unless_it_is_on_disk(gateway: str, store: Store):
    with store.writing() as conn:
        conn.exec_driver_sql("DROP TABLE feedback")
    for body in ({"exchange_id": "e", "kind": "accept"}, [{"exchange_id": "e", "kind": "accept"}] * 2):
        answer = send(gateway, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_failed")
        assert int(answer.headers["retry-after"]) >= 1


def test_every_kind_says_what_it_takes():
    assert set(EXPECTED) == set(get_args(FeedbackKind))


def test_a_choice_that_a_known_answer_does_not_have_is_refused(gateway: str, stored: Stored):
    exchange_id = asked(gateway)  # one choice
    for row, place in (
        ({"kind": "thumbs", "value": 1, "choice": 1}, "choice"),
        ({"kind": "preference", "value": {"chosen": 0, "rejected": 1}}, "choice"),
    ):
        answer = send(gateway, {"exchange_id": exchange_id, **row})
        assert answer.status_code == 400
        assert "has 1 choice(s), counted from 0: there is no 1" in answer.json()["error"]["message"]
        listed = send(gateway, [{"exchange_id": exchange_id, "kind": "accept"}, {"exchange_id": exchange_id, **row}])
        assert (listed.status_code, listed.json()["error"]["param"]) == (400, f"[1].{place}")
    assert stored() == []
    later = {"exchange_id": "not known yet", "kind": "preference", "value": {"chosen": 1, "rejected": 0}}
    assert send(gateway, later).status_code == 202
    assert stored()[0].value == {"chosen": 1, "rejected": 0}


@pytest.mark.parametrize(("role", "status"), [("operator", 202), ("app", 403), ("feedback", 403)])
def test_judges_and_verifiers_are_heard_through_operators_alone(
    store: Store, gateway_with_keys: Callable[[str], tuple[str, str]], stored: Stored, role: str, status: int
):
    url, key = gateway_with_keys(role)
    for source in ("judge", "verifier"):
        row = {"exchange_id": "e", "kind": "thumbs", "value": 1, "source": source}
        answer = httpx.post(f"{url}/v1/feedback", json=[row], headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == status
        if status == 403:
            assert f"the source {source!r} needs an operator's key" in answer.json()["error"]["message"]
    human = httpx.post(
        f"{url}/v1/feedback",
        json={"exchange_id": "e", "kind": "thumbs", "value": 1},
        headers={"authorization": f"Bearer {key}"},
    )
    assert human.status_code == 202
    assert [row.source for row in stored()] == (["judge", "verifier", "human"] if role == "operator" else ["human"])


def test_a_later_feedback_may_supersede_an_earlier_one(gateway: str, stored: Stored):
    exchange_id = asked(gateway)
    first = send(gateway, {"exchange_id": exchange_id, "kind": "thumbs", "value": 1}).json()["ids"][0]
    send(gateway, {"exchange_id": exchange_id, "kind": "thumbs", "value": -1, "supersedes": first})
    assert [(row.value, row.supersedes) for row in stored()] == [(1, None), (-1, first)]


def test_a_full_queue_is_told_with_a_time_to_try_again(store: Store, model: Model):
    class Told:
        def __init__(self) -> None:
            self.rows: list[Feedback] = []

        def exchanged(self, exchange: Any, recorded: bool) -> None: ...

        def opined(self, rows: Sequence[Feedback]) -> None:
            self.rows += rows

    told = Told()
    app = create_app(store, Upstream(model.url, None, "embedded", "tiny"), observers=[told])
    rows = [{"id": f"f{n}", "exchange_id": "e", "kind": "accept"} for n in range(1_000)]
    with serving(app) as url, ThreadPoolExecutor(22) as pool:
        with store.writing():  # the writer waits for the lock, and the queue fills: 20 lists of 1,000 and no more
            waiting = [pool.submit(send, url, rows) for _ in range(22)]
            refused = next_done(waiting, 2)
        assert [answer.status_code for answer in refused] == [503, 503]
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert "the store cannot keep up" in refused[0].json()["error"]["message"]
        assert sorted(future.result().status_code for future in waiting) == [202] * 20 + [503] * 2
    assert len(told.rows) == 20_000  # observers hear of what is on disk, and of nothing else


def next_done(futures: list[Future[httpx.Response]], n: int) -> list[httpx.Response]:
    return [future.result() for future in islice(as_completed(futures, timeout=10), n)]


async def test_a_row_that_no_database_holds_is_the_callers_error():
    request = Request({"type": "http"})
    unstorable = await on_store_error(request, UnstorableError("The row 'f1' cannot be stored: correct its values."))
    assert (unstorable.status_code, unstorable.headers.get("retry-after")) == (400, None)
    assert (await on_store_error(request, StoreError("The disk is full."))).status_code == 503
