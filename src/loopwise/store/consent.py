"""Which exchanges were served with ``store: false``, so that what is said of them is kept without its text.

What is said of a whole episode is kept without text as soon as one exchange of the episode was served so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection

from loopwise.store.lookups import find
from loopwise.store.textless import textless_feedback
from loopwise.types import Feedback

_STORED = "SELECT id, store FROM exchanges WHERE id IN ({marks})"
_WITHHELD = "SELECT DISTINCT episode FROM exchanges WHERE NOT store AND episode IN ({marks})"


def text_kept(conn: Connection, ids: Collection[str]) -> dict[str, bool]:
    """Of those exchanges among ``ids`` that are stored, whether their text may be kept."""
    return {found: bool(store) for found, store in find(conn, _STORED, ids)}


def as_allowed(conn: Connection, rows: Sequence[Feedback], kept: Mapping[str, bool]) -> list[Feedback]:
    """``rows`` as they may be stored; ``kept`` is what ``text_kept`` says of their exchanges."""
    episodes = {row.episode_id for row in rows if row.episode_id and not row.exchange_id}
    withheld = {episode for (episode,) in find(conn, _WITHHELD, episodes)}

    def allowed(row: Feedback) -> bool:
        return kept.get(row.exchange_id, True) if row.exchange_id else row.episode_id not in withheld

    return [row if allowed(row) else textless_feedback(row) for row in rows]
