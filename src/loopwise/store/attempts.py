"""What practice did, committed in whole chunks: problems, attempts and verdicts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, collate, func, select

from loopwise.store.inserts import insert_new
from loopwise.store.lookups import STREAMED
from loopwise.store.schema import attempts, chunks, problems
from loopwise.types import Attempt, JsonObject, Judged, Problem, Verdict


def add_chunk(conn: Connection, turn: int, index_seed: tuple[int, int], judged: Sequence[Judged]) -> None:
    """Adds a chunk whole, once; all its attempts were made by the same weights."""
    index, seed = index_seed
    made_by = judged[0].attempts[0]
    insert_new(conn, problems, [_problem_row(group.problem) for group in judged])
    made = {"release": made_by.release, "fingerprint": made_by.fingerprint, "at": time.time()}
    conn.execute(chunks.insert(), {"turn": turn, "index": index, "seed": seed, **made})
    rows = [
        _attempt_row(turn, index, attempt, verdict)
        for group in judged
        for attempt, verdict in zip(group.attempts, group.verdicts, strict=True)
    ]
    if rows:
        conn.execute(attempts.insert(), rows)


def chunks_done(conn: Connection, turn: int) -> set[int]:
    return set(conn.scalars(select(chunks.c.index).where(chunks.c.turn == turn)))


def up_to(conn: Connection, last_turn: int, first_turn: int = 0) -> Iterator[tuple[int, Judged]]:
    """(turn, judged group) of the turns ``first_turn … last_turn``, in a fixed order; none whose text has expired."""
    query = (
        select(attempts, chunks.c.release, chunks.c.fingerprint)
        .join(chunks, (chunks.c.turn == attempts.c.turn) & (chunks.c.index == attempts.c.chunk))
        .where(attempts.c.turn >= first_turn, attempts.c.turn <= last_turn, ~chunks.c.expired)
        .order_by(attempts.c.turn, attempts.c.chunk, _by_bytes(conn, attempts.c.problem_key), attempts.c.index)
    )
    met = select(attempts.c.problem_key).where(attempts.c.turn >= first_turn, attempts.c.turn <= last_turn)
    found_problems = conn.execute(select(problems).where(problems.c.key.in_(met))).mappings()
    problem_by_key = {row["key"]: _problem(row) for row in found_problems}
    rows = conn.execute(query, execution_options=STREAMED).mappings()
    for (turn, _, key), group in groupby(rows, lambda row: (row["turn"], row["chunk"], row["problem_key"])):
        found = list(group)
        problem = problem_by_key[key]
        yield turn, Judged(problem, tuple(map(_attempt, found)), tuple(_verdict(row, problem) for row in found))


def counts(conn: Connection, turn: int | None = None) -> dict[str, int]:
    """``problems`` and ``attempts`` of one turn, or of all."""
    where = [] if turn is None else [attempts.c.turn == turn]
    n_attempts = conn.scalar(select(func.count()).select_from(attempts).where(*where)) or 0
    n_problems = conn.scalar(select(func.count(attempts.c.problem_key.distinct())).where(*where)) or 0
    return {"problems": n_problems, "attempts": n_attempts}


def _by_bytes(conn: Connection, column: ColumnElement[str]) -> ColumnElement[str]:
    """Sorts as SQLite does: a Postgres may sort by the rules of any language, and the order of rows names datasets."""
    return column if conn.dialect.name == "sqlite" else collate(column, "C")


def _problem(row: RowMapping) -> Problem:
    fields: JsonObject = dict(row)
    fields["messages"] = tuple(fields["messages"])
    return Problem(**fields)


def _problem_row(problem: Problem) -> JsonObject:
    row = asdict(problem)
    row["messages"] = [dict(message) for message in problem.messages]
    return row


def _attempt_row(turn: int, chunk: int, attempt: Attempt, verdict: Verdict) -> dict[str, Any]:
    return {
        "turn": turn,
        "chunk": chunk,
        "problem_key": attempt.problem_key,
        "index": attempt.index,
        "text": attempt.text,
        "finish_reason": attempt.finish_reason,
        "tokens": attempt.tokens,
        "logprob": attempt.logprob,
        "score": verdict.score,
        "reason": verdict.reason,
        "failed": verdict.failed,
    }


def _attempt(row: RowMapping) -> Attempt:
    names = ("problem_key", "index", "text", "finish_reason", "tokens", "logprob", "release", "fingerprint")
    return Attempt(**{name: row[name] for name in names})


def _verdict(row: RowMapping, problem: Problem) -> Verdict:
    return Verdict(row["score"], row["reason"], problem.verifier, row["failed"])
