"""What operators decided about people: appended, and the last word on a person stands."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, exists, or_, select

from loopwise.errors import UnknownNameError
from loopwise.store.schema import exchanges, feedback, quarantine


@dataclass(frozen=True)
class Decision:
    """``out`` keeps the person out of training; False lets them in, whatever is found. ``at`` in seconds since the
    epoch."""

    out: bool
    at: float
    who: str
    why: str


def decisions(conn: Connection) -> dict[str, Decision]:
    """The last decision on each person, by pseudonym, in the order of the first ones."""
    c = quarantine.c
    rows = conn.execute(select(c.user, c.out, c.at, c.who, c.why).order_by(c.seq))
    return {user: Decision(bool(out), at, who, why) for user, out, at, who, why in rows}


def decide(conn: Connection, person: str, decision: Decision) -> None:
    """Appends it. Raises UnknownNameError for somebody of whom the store has nothing."""
    known = select(or_(*(exists().where(table.c.user == person) for table in (exchanges, feedback, quarantine))))
    if not conn.scalar(known):
        raise UnknownNameError(
            f"There is no person {person!r} in this store: give the pseudonym, as 'loopwise quarantine' and 'loopwise "
            "export' show it."
        )
    conn.execute(quarantine.insert(), {"user": person, **vars(decision)})
