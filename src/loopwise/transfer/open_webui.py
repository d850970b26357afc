"""Open WebUI: Admin Panel → Evaluations → Feedbacks → Export as JSON.

Each row is ``{id, user_id, type: "rating", data: {rating, model_id, sibling_model_ids, reason, comment, tags, details},
meta: {arena, chat_id, message_id, tags}, snapshot: {chat}, created_at, updated_at}``, as ``routers/evaluations.py`` and
``ResponseMessage.svelte`` of open-webui write it.

- The rated message and its siblings (what the person could compare it with) become exchanges under their message ids,
  with the messages that led to them; the chat is the episode. The rest of the chat is not taken.
- ``rating`` 1 or -1 is a thumb; 0, a draw in the arena, a rating on [-1, 1]; ``details.rating`` a rating on [1, 10]. A
  row without a rating but with a comment is a comment.
- A rating that was changed later (``updated_at``) is a further feedback, which stands in place of the earlier one.
- The CSV export names no message, so nothing can be joined with it: it is refused.
"""

from __future__ import annotations

from typing import Any, cast

from loopwise.gateway.opinion import shown
from loopwise.transfer.row import Record, RowError, exchange, instant, opinion, table, text
from loopwise.types import JsonObject


def knows(row: JsonObject) -> bool:
    return "user_id" in row and ("snapshot" in row or "sibling_model_ids" in row or isinstance(row.get("meta"), dict))


def read(row: JsonObject, key: bytes | None) -> list[Record]:
    """The exchanges of the snapshot, then what is said of the rated one. Raises RowError."""
    if "data" not in row and "rating" in row:
        raise RowError("This is the CSV export, which does not name the message that is rated: export as JSON.")
    data, meta = table(row.get("data"), "data"), table(row.get("meta"), "meta")
    message_id = text(meta.get("message_id"), "meta.message_id")
    chat_id = text(meta.get("chat_id"), "meta.chat_id")
    if message_id is None:
        raise RowError("meta.message_id is missing: the row does not say which message is rated.")
    user = text(row.get("user_id"), "user_id")
    chat = table(table(row.get("snapshot"), "snapshot").get("chat"), "snapshot.chat")
    asker, messages = text(chat.get("user_id"), "snapshot.chat.user_id") or user, _messages(chat)
    rated = messages.get(message_id)
    answers = [] if rated is None else _siblings(rated, messages)
    comment = text(data.get("comment"), "data.comment")
    common: JsonObject = {
        "exchange_id": message_id,
        "episode_id": chat_id,
        "user": user,
        "at": instant(row.get("updated_at") or row.get("created_at"), "updated_at"),
        "comment": comment,
        "metadata": _kept(data, meta),
    }
    name = f"open-webui:{row.get('id')}:{row.get('updated_at')}"
    said = [opinion({**common, **each, "id": name + mark}, key) for mark, each in _said(data, comment)]
    return [*(_exchange(answer, messages, (chat_id, asker, data.get("model_id")), key) for answer in answers), *said]


def _said(data: JsonObject, comment: str | None) -> list[tuple[str, JsonObject]]:
    """What the row says, each with a mark that tells the feedback ids apart."""
    rating, found = str(data.get("rating")), list[tuple[str, JsonObject]]()
    if rating in ("1", "-1"):
        found.append(("", {"kind": "thumbs", "value": int(rating)}))
    elif rating == "0":
        found.append(("", {"kind": "rating", "value": 0, "scale": [-1, 1]}))
    elif data.get("rating") is not None:
        raise RowError(f"data.rating must be 1, 0 or -1; it was {shown(data['rating'])}.")
    elif comment is not None:
        found.append(("", {"kind": "comment", "value": comment, "comment": None}))
    details = table(data.get("details"), "data.details").get("rating")
    if details is not None:
        found.append((":details", {"kind": "rating", "value": details, "scale": [1, 10], "comment": None}))
    if not found:
        raise RowError("The row has neither a rating nor a comment.")
    return found


def _kept(data: JsonObject, meta: JsonObject) -> JsonObject:
    """What else the row tells of the rating."""
    told = {
        "reason": data.get("reason"),
        "tags": data.get("tags"),
        "model_id": data.get("model_id"),
        "sibling_model_ids": data.get("sibling_model_ids"),
        "arena": meta.get("arena"),
    }
    return {name: value for name, value in told.items() if value not in (None, "", [])}


def _messages(chat: JsonObject) -> dict[str, JsonObject]:
    """The chat's messages by id; none where the row has no snapshot."""
    inner = table(chat.get("chat"), "snapshot.chat.chat") or chat
    found = table(table(inner.get("history"), "history").get("messages"), "history.messages")
    return {id: cast(JsonObject, message) for id, message in found.items() if isinstance(message, dict)}


def _siblings(rated: JsonObject, messages: dict[str, JsonObject]) -> list[JsonObject]:
    """The rated answer and the other answers to the same message that have text."""
    parent = rated.get("parentId")
    return [
        message
        for message in messages.values()
        if message is rated
        or (message.get("role") == "assistant" and message.get("parentId") == parent and message.get("content"))
    ]


def _exchange(
    answer: JsonObject, messages: dict[str, JsonObject], known: tuple[str | None, str | None, Any], key: bytes | None
) -> Record:
    chat_id, asker, model_id = known
    usage = answer.get("usage")
    return exchange(
        {
            "id": answer.get("id"),
            "at": instant(answer.get("timestamp"), "timestamp"),
            # an arena's answer is by the model that was drawn
            "model": answer.get("selectedModelId") or answer.get("model") or model_id or "unknown",
            "messages": _before(answer, messages),
            "content": str(answer.get("content") or ""),
            "user": asker,
            "episode_id": chat_id,
            "usage": usage if isinstance(usage, dict) else None,
        },
        key,
    )


def _before(answer: JsonObject, messages: dict[str, JsonObject]) -> list[JsonObject]:
    """The messages that led to an answer, first to last."""
    chain: list[JsonObject] = []
    seen: set[str] = set()
    place = answer.get("parentId")
    while isinstance(place, str) and place in messages and place not in seen:
        seen.add(place)
        message = messages[place]
        chain.append({"role": message.get("role"), "content": message.get("content")})
        place = message.get("parentId")
    return chain[::-1]
