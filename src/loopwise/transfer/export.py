"""Takes out what the store holds, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import Connection

from loopwise.store import exchanges, feedback
from loopwise.transfer.own import header
from loopwise.types import JsonObject, Progress

Writer = Callable[[Connection, bool, Progress], Iterator[JsonObject]]
_TOLD_EVERY = 500  # rows


def own_rows(conn: Connection, pseudonyms: bool, progress: Progress) -> Iterator[JsonObject]:
    """Every exchange and feedback in order of arrival, as one snapshot of the store; ``pseudonyms`` says whether users
    are stored as such."""
    yield header(pseudonyms)
    last = exchanges.watermark(conn)
    for seq, exchange in exchanges.up_to(conn, last):
        yield {"type": "exchange", **vars(exchange)}
        _tell(progress, "exchanges", seq, last)
    last = feedback.watermark(conn)
    for seq, said in feedback.up_to(conn, last):
        yield {"type": "feedback", **vars(said)}
        _tell(progress, "feedback", seq, last)


def _tell(progress: Progress, step: str, seq: int, last: int) -> None:
    if seq % _TOLD_EVERY == 0 or seq == last:
        progress(step, seq, last)
