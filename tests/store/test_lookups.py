"""Looking up what came before: right at the edges, and by a step into an index however much is stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopwise.store import Store, exchanges, lookups
from loopwise.types import Exchange

ROW = Exchange("", 1.0, "loopwise", "a@1", "sha256:aa", "champion", 1.0, {}, None, 200, 0.1)


def rows() -> list[Exchange]:
    """Of conversation n % 10 and episode n % 7; later ones are dated earlier, since what counts is the arrival."""
    return [
        replace(ROW, id=f"e{n}", at=100.0 - n, conversation=(n % 10) - 2**63, episode=f"p{n % 7}") for n in range(70)
    ]


def test_the_latest_exchange_of_each_conversation_and_episode_is_found(store: Store):
    with store.writing() as conn:
        assert exchanges.latest_of_episodes(conn, ["p1"]) == {}
        exchanges.add(conn, rows())
        assert exchanges.latest_of_conversations(conn, [-(2**63), 3 - 2**63, 77]) == {
            -(2**63): ("e60", 40.0),
            3 - 2**63: ("e63", 37.0),
        }
        assert exchanges.latest_of_episodes(conn, {"p1", "p6", "z"}) == {"p1": ("e64", 36.0), "p6": ("e69", 31.0)}
        assert exchanges.latest_of_episodes(conn, []) == exchanges.latest_of_conversations(conn, []) == {}


def test_an_embedding_is_no_turn_of_an_episode(store: Store):
    with store.writing() as conn:
        exchanges.add(
            conn, [replace(ROW, id="a", episode="p"), replace(ROW, id="b", episode="p", endpoint="embeddings")]
        )
        assert exchanges.latest_of_episodes(conn, ["p"]) == {"p": ("a", 1.0)}


def test_more_values_than_a_statement_takes_are_looked_up_all_the_same(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lookups, "_AT_ONCE", 3)
    with store.writing() as conn:
        exchanges.add(conn, rows())
        assert exchanges.known(conn, [f"e{n}" for n in range(0, 100, 5)]) == {f"e{n}" for n in range(0, 70, 5)}
        assert len(exchanges.latest_of_conversations(conn, [n - 2**63 for n in range(20)])) == 10


def test_text_that_a_database_cannot_hold_is_found_nowhere(store: Store):
    with store.writing() as conn:
        exchanges.add(conn, rows())
        assert exchanges.known(conn, ["e1\0", "e2", "'; --"]) == {"e2"}
        assert exchanges.latest_of_episodes(conn, ["p1\0", "p2"]) == {"p2": ("e65", 35.0)}


@pytest.mark.parametrize(
    ("column", "index"), [("episode", "exchanges_episode"), ("conversation", "exchanges_conversation")]
)
def test_the_latest_is_found_by_a_step_into_its_index(store: Store, store_url: str, column: str, index: str):
    statement = exchanges._LATEST.format(column=column).format(
        rows="(1), (2)" if column == "conversation" else "('p1')"
    )
    explain = "EXPLAIN QUERY PLAN" if store_url.startswith("sqlite") else "EXPLAIN"
    with store.writing() as conn:
        many = [replace(ROW, id=f"e{n}", conversation=n % 500, episode=f"p{n % 500}") for n in range(3_000)]
        exchanges.add(conn, many)
        if not store_url.startswith("sqlite"):
            conn.exec_driver_sql("ANALYZE exchanges")
        plan = "\n".join(str(row) for row in conn.exec_driver_sql(f"{explain} {statement}"))
    assert index in plan
    assert "SCAN exchanges" not in plan
    assert "Seq Scan on exchanges" not in plan
