"""What use itself shows, kept as it is seen; what it means is decided later, in ``signals/``.

Three things can be seen from exchanges alone: a client that hung up, the same conversation asked again, and the next
turn of a person. All are implicit feedback on the earlier exchange, and name in their metadata what was seen and the
exchange by which it was. They hold no words, so that none outlive the exchange in which they were said.

Seen is what comes through the gateway: what it served, and what was brought to ``POST /v1/exchanges``. An imported file
is not looked at: its rows stand in any order, and what use showed there is feedback in the file or it is not known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import Connection

from loopwise.gateway.call import Call
from loopwise.gateway.endpoints.endpoint import objects
from loopwise.gateway.errors import CLIENT_GONE
from loopwise.gateway.jsontext import canonical
from loopwise.store import exchanges
from loopwise.types import Exchange, Feedback, FeedbackKind, JsonObject


def conversation(call: Call, secret: bytes) -> int | None:
    """The keyed hash by which the same conversation of the same person is known again. None for people who are not
    named (two strangers may ask the same), and where text is not to be kept."""
    if not call.store or call.endpoint.name != "chat.completions" or not (call.user or call.episode):
        return None
    return _hash(call.user or call.episode or "", call.request["messages"], secret)


class Seen:
    """Asked by the writer, within the transaction that adds exchanges, what follows from them."""

    def __init__(self, secret: bytes):
        self._secret = secret

    def __call__(self, conn: Connection, new: Sequence[Exchange]) -> list[Feedback]:
        """The implicit feedback that ``new`` give on themselves and on earlier ones. None of them is stored yet, nor
        stands among them twice, or it would be its own next turn: the writer sees to that.

        What is brought in may be older than what is stored: it says nothing about that."""
        before = {row.id: self._before(row) for row in new}
        hashes = {h for row in new for h in (row.conversation, before[row.id]) if h is not None}
        episodes = {row.episode for row in new if row.episode and row.endpoint != "embeddings"}
        by_hash = exchanges.latest_of_conversations(conn, hashes)
        by_episode = exchanges.latest_of_episodes(conn, episodes)
        found: list[Feedback] = []
        for row in new:
            if row.status == CLIENT_GONE:
                found.append(_event("abandon", row.id, row, True, {"seen": "hang-up", "after_s": row.latency_s}))
            found += self._about_earlier(row, before[row.id], by_hash, by_episode)
            if row.conversation is not None:
                by_hash[row.conversation] = (row.id, row.at)
            if row.episode in episodes:
                by_episode[row.episode] = (row.id, row.at)
        return found

    def _about_earlier(
        self,
        row: Exchange,
        before: int | None,
        by_hash: dict[int, tuple[str, float]],
        by_episode: dict[str, tuple[str, float]],
    ) -> list[Feedback]:
        seen: tuple[tuple[str, float], FeedbackKind, Literal[True] | None, str]
        spoke = _person_spoke(row.request)
        again, turn = by_hash.get(row.conversation or 0), by_hash.get(before or 0)
        in_episode = by_episode.get(row.episode or "")
        if again is not None:
            seen = (again, "regenerate", True, "the same conversation again")
        elif turn is not None and spoke:
            seen = (turn, "follow_up", None, "the conversation's next turn")
        elif in_episode is not None and spoke:
            seen = (in_episode, "follow_up", None, "the episode's next turn")
        else:
            return []
        (earlier, at), kind, value, what = seen
        if at > row.at:
            return []
        return [_event(kind, earlier, row, value, {"seen": what, "by": row.id, "after_s": row.at - at})]

    def _before(self, row: Exchange) -> int | None:
        """The hash of the conversation as it was when its last answer was asked for."""
        if row.conversation is None:
            return None
        messages: list[JsonObject] = row.request["messages"]
        answered = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
        if not answered or answered[-1] == 0:
            return None
        return _hash(row.user or row.episode or "", messages[: answered[-1]], self._secret)


def _person_spoke(request: JsonObject) -> bool:
    """Whether the last word is a person's, and not a tool's result, say."""
    said: Any = request.get("messages", request.get("input"))
    if isinstance(said, str):
        return said != ""
    if not objects(said) or not said or said[-1].get("role") != "user":
        return False
    content: Any = said[-1].get("content")
    if isinstance(content, str):
        return content != ""
    return objects(content) and any(isinstance(part.get("text"), str) and part["text"] for part in content)


def _event(kind: FeedbackKind, about: str, by: Exchange, value: Literal[True] | None, metadata: JsonObject) -> Feedback:
    """Its id follows from what was seen, so that it is one event however often it is written."""
    return Feedback(
        id=f"seen_{kind}_{by.id}",
        at=by.at,
        kind=kind,
        value=value,
        exchange_id=about,
        episode_id=by.episode,
        source="implicit",
        user=by.user,
        metadata=metadata,
    )


def _hash(who: str, messages: Sequence[JsonObject], secret: bytes) -> int:
    text = canonical([who, messages])
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, key=secret).digest(), "big", signed=True)
