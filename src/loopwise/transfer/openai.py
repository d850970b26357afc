"""OpenAI-style logs, one JSON object a line.

- ``{request, response}``: what a proxy or an SDK's hook writes; with ``id``, ``at`` (or ``created``), ``user`` and the
  other fields of ``POST /v1/exchanges`` where they are known. The same with ``messages`` for ``request``, and with
  ``content`` or ``choices`` for ``response``.
- The Batch API: a line of the output ``{custom_id, response: {status_code, body}, error}`` does not hold what was
  asked, so the batch's input ``{custom_id, method, url, body}`` must stand before it: ``cat input.jsonl
  output.jsonl``.
- Chat fine-tuning ``{messages: […]}``: the last message is the answer, if it is the assistant's.
- Stored completions: the completion object with its ``messages``.

Ids are those of the row or the response; a row without any is known again by its content.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from loopwise.transfer.row import Record, Refused, Row, RowError, Taken, digest, exchange, instant, table, taken, text
from loopwise.types import JsonObject

_PASSED_ON = ("user", "episode_id", "status", "latency_s", "first_token_s", "train", "store", "metadata", "choices",
              "content", "error")  # fmt: skip
_MOST_WAITING = 200_000  # requests of a batch whose answers did not come yet; OpenAI takes 50,000 in one


def knows(row: JsonObject) -> bool:
    return "messages" in row or "custom_id" in row or {"request", "response"} <= row.keys() or "choices" in row


def reader(rows: Iterator[Row], key: bytes | None) -> Iterator[Taken | Refused]:
    """The exchanges of the rows; the requests of a batch wait for their answers."""
    waiting: dict[str, Row] = {}
    for row in rows:
        custom_id = row.value.get("custom_id")
        if isinstance(custom_id, str) and "body" in row.value and "response" not in row.value:
            waiting[custom_id] = row
            if len(waiting) > _MOST_WAITING:
                oldest = waiting.pop(next(iter(waiting)))
                yield Refused(oldest.line, _unanswered(oldest))
            continue
        request = waiting.pop(custom_id, None) if isinstance(custom_id, str) else None
        yield taken(row.line, lambda value=row.value, asked=request: [_exchange(value, asked, key)])
    for row in waiting.values():
        yield Refused(row.line, _unanswered(row))


def _unanswered(request: Row) -> str:
    return f"The batch's request {request.value['custom_id']!r} has no answer in this file."


def _exchange(row: JsonObject, asked: Row | None, key: bytes | None) -> Record:
    fields = _batch(row, asked) if "custom_id" in row else _log(row)
    found = {
        "id": text(row.get("id"), "id"),
        "at": instant(_first(row, "at", "created", "created_at", "timestamp"), "at"),
        "model": text(row.get("model"), "model"),
        **{name: row.get(name) for name in _PASSED_ON},
        **fields,
    }
    response = table(found.get("response"), "response")
    if found["at"] is None:
        found["at"] = instant(_first(response, "created", "created_at"), "response.created")
    found["id"] = found["id"] or text(response.get("id"), "response.id") or f"openai:{digest(row)}"
    request = table(found.get("request"), "request")
    found["model"] = found["model"] or request.get("model") or response.get("model") or "unknown"
    found["endpoint"] = _endpoint(request, response)
    return exchange(found, key)


def _log(row: JsonObject) -> JsonObject:
    """A request with its response; a fine-tuning example; a stored completion."""
    if "request" in row:
        request, response = table(row["request"], "request"), row.get("response")
        if isinstance(response, dict) and isinstance(response.get("body"), dict):  # pyright: ignore[reportUnknownMemberType]
            response = cast(JsonObject, response)
            return {"request": request, "response": response["body"], "status": response.get("status_code")}
        return {"request": request, "response": response}
    messages: Any = row.get("messages") or row.get("input")
    if not isinstance(messages, list) or not messages:
        raise RowError("The row does not say what was asked: it has neither 'request' nor 'messages'.")
    parameters = {name: row[name] for name in ("tools", "temperature", "top_p", "seed") if row.get(name) is not None}
    if row.get("object") == "chat.completion":
        answer = {name: value for name, value in row.items() if name not in ("messages", "input", "metadata")}
        return {"request": {**parameters, "messages": messages}, "response": answer, "choices": None}
    if any(row.get(name) is not None for name in ("response", "content", "choices", "error")):
        return {"request": {**parameters, "messages": messages}, "response": row.get("response")}
    return _fine_tuning(cast(list[Any], messages), parameters)


def _fine_tuning(messages: list[Any], parameters: JsonObject) -> JsonObject:
    *asked, answer = messages
    if not isinstance(answer, dict) or cast(JsonObject, answer).get("role") != "assistant":
        raise RowError("The last message is not the assistant's: the row holds no answer.")
    choice: JsonObject = {"index": 0, "message": cast(JsonObject, answer), "finish_reason": "stop"}
    return {"request": {**parameters, "messages": asked}, "choices": [choice]}


def _batch(row: JsonObject, asked: Row | None) -> JsonObject:
    """A line of a batch's output, with the request that stood before it in the file, or in the line itself."""
    request = row.get("request") or row.get("body") or (asked.value["body"] if asked else None)
    if request is None:
        raise RowError(
            f"The file does not hold what was asked under the custom_id {row['custom_id']!r}: put the batch's input "
            "before its output (cat input.jsonl output.jsonl)."
        )
    response, error = table(row.get("response"), "response"), row.get("error")
    body = table(response.get("body"), "response.body")
    status = response.get("status_code")
    failed: Any = (
        error or body.get("error") or (f"status {status}" if isinstance(status, int) and status >= 400 else None)
    )
    fields: JsonObject = {"id": body.get("id") or row.get("id"), "request": request, "status": status}
    fields["metadata"] = {**table(row.get("metadata"), "metadata"), "custom_id": row["custom_id"]}
    if failed:
        return {**fields, "error": _told(failed), "response": None}
    return {**fields, "error": None, "response": body}


def _told(error: Any) -> str:
    """An error's message, where it is OpenAI's object."""
    message = cast(JsonObject, error).get("message") if isinstance(error, dict) else error
    return str(cast(Any, error) if message is None else message)


def _endpoint(request: JsonObject, response: JsonObject) -> str:
    if "prompt" in request:
        return "completions"
    if "input" in request and "messages" not in request:
        return "embeddings" if response.get("object") == "list" else "responses"
    return "chat.completions"


def _first(row: JsonObject, *names: str) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)
