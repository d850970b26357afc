"""What goes in comes out: any JSON, any text, in order of arrival."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from loopwise.errors import StoreError, UnstorableError
from loopwise.store import Store, attempts, exchanges, feedback, journal, meta
from loopwise.types import Attempt, Exchange, Feedback, FeedbackKind, Judged, Problem, Verdict

# Any text but lone surrogates, which are no Unicode text: the store refuses such a row; and NUL, see below.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
said = st.text(max_size=12)  # anything may stand in JSON
numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | numbers | said,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(said, inner, max_size=3),
    max_leaves=6,
)
json_objects = st.dictionaries(said, json_values, max_size=3)
optional_texts = st.none() | texts

any_exchange = st.builds(
    Exchange,
    id=st.just("x"), at=numbers, model=texts, release=texts, fingerprint=texts, arm=texts, propensity=numbers,
    request=json_objects, response=st.none() | json_objects, status=st.integers(0, 999), latency_s=numbers,
    first_token_s=st.none() | numbers, user=optional_texts, episode=optional_texts, train=st.booleans(),
    error=optional_texts, store=st.booleans(), upstream_id=optional_texts,
    conversation=st.none() | st.integers(-(2**63), 2**63 - 1),
)  # fmt: skip
any_feedback = st.builds(
    Feedback,
    id=st.just("x"), at=numbers, kind=st.sampled_from(get_args(FeedbackKind)), value=json_values,
    exchange_id=optional_texts, episode_id=optional_texts, choice=st.integers(0, 1000),
    source=st.sampled_from(["human", "implicit", "judge", "verifier"]), user=optional_texts, comment=optional_texts,
    supersedes=optional_texts, metadata=json_objects,
)  # fmt: skip
quiet = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@quiet
@given(row=any_exchange)
def test_an_exchange_comes_back_as_it_went_in(store: Store, row: Exchange):
    with store.writing() as conn:
        row = replace(row, id=f"x{exchanges.count(conn)}")
        exchanges.add(conn, [row])
        assert exchanges.get(conn, row.id) == row


@quiet
@given(row=any_feedback)
def test_feedback_comes_back_as_it_went_in(store: Store, row: Feedback):
    with store.writing() as conn:
        row = replace(row, id=f"x{feedback.watermark(conn)}")
        feedback.add(conn, [row])
        assert feedback.get(conn, row.id) == row


def test_text_with_nul_is_kept_whole_and_found_by_or_refused_by_name(store: Store, store_url: str):
    row = Feedback("a\0b", 1.0, "comment", "x\0y", "e\0x", comment="c\0d", metadata={"\0": "\0"})
    if not store_url.startswith("sqlite"):
        neighbor = Feedback("n", 1.0, "comment", "in JSON: \0")
        with pytest.raises(UnstorableError, match=r"The row 'a\\x00b' cannot be stored .*NUL"), store.writing() as conn:
            feedback.add(conn, [neighbor, row])
        with store.writing() as conn:
            feedback.add(conn, [neighbor])
            assert feedback.get(conn, "n") == neighbor
        return
    with store.writing() as conn:
        feedback.add(conn, [row])
    with store.reading() as conn:
        assert feedback.get(conn, "a\0b") == row
        assert feedback.of_exchange(conn, "e\0x") == [row]
        assert feedback.of_exchange(conn, "e") == []


@pytest.mark.parametrize(
    "bad",
    [
        Feedback("bad", 1.0, "thumbs", 1, user="\ud800"),
        Feedback("bad", 1.0, "thumbs", {1, 2}),
        Feedback("bad", 1.0, "thumbs", object()),
        Feedback("bad", 1.0, "thumbs", 1, choice=2**63),
    ],
)
def test_a_row_that_no_database_can_hold_is_refused_by_name_and_without_quoting_it(store: Store, bad: Feedback):
    neighbor = Feedback("good", 1.0, "comment", "a secret")
    refused = pytest.raises(UnstorableError, match=r"(The row|One of the rows 'good',) 'bad' cannot be stored")
    with refused as caught, store.writing() as conn:
        feedback.add(conn, [neighbor, bad])
    assert "secret" not in str(caught.value)
    with store.reading() as conn:
        assert feedback.count_by_kind(conn) == {}


def test_not_a_number_is_kept_by_sqlite_and_refused_by_postgres(store: Store, store_url: str):
    row = Feedback("f", 1.0, "comment", [float("-inf")])
    if store_url.startswith("sqlite"):
        with store.writing() as conn:
            feedback.add(conn, [row])
            assert feedback.get(conn, "f") == row
    else:
        with pytest.raises(UnstorableError, match=r"The row 'f' cannot be stored .*not JSON"), store.writing() as conn:
            feedback.add(conn, [row])


def exchange(name: str, **fields: object) -> Exchange:
    row = Exchange(name, 1.0, "loopwise", "a@1", "sha256:aa", "champion", 1.0, {}, None, 200, 0.1)
    return replace(row, **fields)  # type: ignore[arg-type]


def test_a_watermark_fixes_what_is_read_whatever_comes_later(store: Store):
    with store.writing() as conn:
        assert (exchanges.watermark(conn), list(exchanges.up_to(conn, 9))) == (0, [])
        exchanges.add(conn, [exchange("b", at=9.0), exchange("a", at=1.0)])
        mark = exchanges.watermark(conn)
        exchanges.add(conn, [exchange("c")])
        assert [row.id for _, row in exchanges.up_to(conn, mark)] == ["b", "a"]
        assert [seq for seq, _ in exchanges.up_to(conn, 99)] == [1, 2, 3]
        assert exchanges.known(conn, ["a", "c", "z"]) == {"a", "c"}


def test_an_exchange_is_added_once(store: Store):
    with store.writing() as conn:
        exchanges.add(conn, [exchange("a", status=200), exchange("a", status=499)])
        exchanges.add(conn, [exchange("a", status=500)])
        assert [row.status for _, row in exchanges.up_to(conn, 99)] == [200]
        assert exchanges.count_by_release(conn) == {"a@1": 1}


def judged(key: str, scores: list[float], text: str = "t") -> Judged:
    problem = Problem(
        key, "s", ({"role": "user", "content": f"{key}\0\u00e9"},), None, "exact", metadata={"k": [1, None]}
    )
    tried = tuple(Attempt(key, n, text, "stop", 3, -1.5, "a@1", "sha256:aa") for n in range(len(scores)))
    return Judged(problem, tried, tuple(Verdict(score, "because", "exact", score == 0) for score in scores))


def test_a_chunk_comes_back_whole_and_in_order(store: Store):
    groups = [judged("b", [1.0, 0.0]), judged("B", [0.5])]
    with store.writing() as conn:
        attempts.add_chunk(conn, 1, (0, 2**62), groups)
        attempts.add_chunk(conn, 2, (0, 2**62), [judged("B", [0.0])])
        assert attempts.chunks_done(conn, 1) == {0}
        assert list(attempts.up_to(conn, 1)) == [(1, groups[1]), (1, groups[0])]  # by the key's bytes
        assert [turn for turn, _ in attempts.up_to(conn, 2, 2)] == [2]
        assert attempts.counts(conn, 1) == {"problems": 2, "attempts": 3}
        assert attempts.counts(conn) == {"problems": 2, "attempts": 4}


def test_a_chunk_that_is_there_cannot_be_added_again(store: Store):
    with store.writing() as conn:
        attempts.add_chunk(conn, 1, (0, 2**62), [judged("a", [1.0])])
    with (
        pytest.raises(StoreError, match=r"UNIQUE constraint failed|violates unique constraint"),
        store.writing() as conn,
    ):
        attempts.add_chunk(conn, 1, (0, 2**62), [judged("b", [1.0])])
    with store.reading() as conn:
        assert attempts.counts(conn) == {"problems": 1, "attempts": 1}


def test_a_stage_is_done_only_by_its_done_row(store: Store):
    with store.writing() as conn:
        journal.write(conn, 1, "gather", "begun", {})
        assert (journal.done(conn, 1), journal.last_turn(conn)) == ({}, 1)
        journal.write(conn, 1, "gather", "done", {"watermark": 7})
        assert journal.done(conn, 1) == {"gather": {"watermark": 7}}
        assert [row["status"] for row in journal.rows(conn, 1)] == ["begun", "done"]


def test_the_pseudonym_key_is_made_once_per_project(store: Store, store_url: str, tmp_path: Path):
    with store.writing() as conn:
        key = meta.pseudonym_key(conn)
    again = Store(store_url, tmp_path)
    with again.writing() as conn:
        assert meta.pseudonym_key(conn) == key
    again.close()
    assert len(key) == 32
