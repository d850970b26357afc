"""Langfuse: exports of the tables Scores, Observations and Traces (CSV, JSON, JSONL), a trace's "Download JSON", and
pages of its public API. Columns as ``worker/src/features/database-read-stream`` of langfuse writes them.

- An observation of the type GENERATION becomes an exchange under its own id, with the trace as its episode; other types
  (spans, events, tools) are no answers and are left out. A trace becomes an exchange under its id, unless its
  generations stand in the same row.
- A score on an observation is feedback on that exchange. A score on a trace is feedback on the exchange of the trace's
  id and on the episode of that name, so that it finds whichever was imported. A score on a session is on the episode.
- NUMERIC and BOOLEAN are the kind ``metric``, with the score's name; CORRECTION is a correction; CATEGORICAL and TEXT
  are comments, with the name in the metadata. What a named metric means is not guessed here.
- ANNOTATION and API are the source ``human`` (API is also what evaluators of your own use: ``metadata.langfuse_source``
  tells), EVAL is ``judge``. The user is the annotator, or else the trace's user.
"""

from __future__ import annotations

import json
from typing import Any, cast

from loopwise.gateway.opinion import shown
from loopwise.transfer.row import Record, RowError, digest, exchange, instant, opinion, table, text
from loopwise.types import JsonObject

_JSON_COLUMNS = {"input", "output", "metadata", "modelParameters", "usageDetails"}
_SOURCES = {"ANNOTATION": "human", "API": "human", "EVAL": "judge"}


def knows(row: JsonObject) -> bool:
    score = "name" in row and bool({"stringValue", "dataType"} & row.keys())
    observation = "traceId" in row and "startTime" in row
    trace = "timestamp" in row and {"input", "output"} <= row.keys()
    return score or observation or trace or isinstance(row.get("observations"), list)


def read(row: JsonObject, key: bytes | None) -> list[Record]:
    """The exchanges and feedback of a row. Raises RowError."""
    row = {name: _cell(value) if name in _JSON_COLUMNS else value for name, value in row.items()}
    if "startTime" in row:
        return _observation(row, key)
    if "dataType" in row or "stringValue" in row:
        return [_score(row, key, None)]
    if "input" in row or "output" in row or "observations" in row:
        return _trace(row, key)
    raise RowError("The row is no score, observation or trace of Langfuse.")


def _cell(value: Any) -> Any:
    """A cell of the CSV export holds JSON where it is no text."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _trace(row: JsonObject, key: bytes | None) -> list[Record]:
    listed = [_object(item) for item in _list(row.get("observations"))]
    user = row.get("userId")
    found: list[Record] = []
    for item in listed:
        found += _observation({"traceId": row.get("id"), "userId": user, **item}, key)
    generations = [record.id for record in found]
    if not generations:
        found.append(_exchange(row, row.get("timestamp"), text(row.get("sessionId"), "sessionId"), key))
    # what is said of a trace with one answer is said of that answer
    only = generations[0] if len(generations) == 1 else None
    for item in _list(row.get("scores")):
        if isinstance(item, dict):  # a list of ids is all that some pages give
            found.append(_score({"traceId": row.get("id"), "userId": user, **_object(item)}, key, only))
    return found


def _observation(row: JsonObject, key: bytes | None) -> list[Record]:
    if row.get("type", "GENERATION") != "GENERATION":
        return []
    return [_exchange(row, row.get("startTime"), text(row.get("traceId"), "traceId"), key)]


def _exchange(row: JsonObject, at: Any, episode: str | None, key: bytes | None) -> Record:
    model = row.get("model") or row.get("providedModelName") or row.get("provided_model_name") or "unknown"
    parameters = table(row.get("modelParameters"), "modelParameters")
    began = instant(at, "startTime")
    return exchange(
        {
            "id": text(row.get("id"), "id"),
            "at": began,
            "model": model,
            "request": {**parameters, "model": model, "messages": _asked(row.get("input"))},
            **_answered(row),
            "latency_s": _since(began, row.get("endTime")),
            "first_token_s": _since(began, row.get("completionStartTime")),
            "usage": _usage(row),
            "user": text(row.get("userId"), "userId"),
            "episode_id": episode,
        },
        key,
    )


def _since(began: float | None, then: Any) -> float | None:
    at = instant(then, "a time")
    return None if began is None or at is None else max(0.0, at - began)


def _asked(given: Any) -> list[JsonObject]:
    if isinstance(_object(given).get("messages"), list):
        given = _object(given)["messages"]
    listed = _list(given) or [given]
    if all("role" in _object(item) for item in listed):
        return listed
    if given in (None, "", [], {}):
        raise RowError("input is empty: the row does not say what was asked.")
    return [{"role": "user", "content": given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)}]


def _answered(row: JsonObject) -> JsonObject:
    output = row.get("output")
    if isinstance(output, list) and output:
        output = cast(list[Any], output)[-1]
    if isinstance(output, dict) and isinstance(_object(output).get("choices"), list):
        return {"choices": _object(output)["choices"]}
    if isinstance(output, dict) and "content" in output:
        message = {"role": "assistant", **_object(output)}
        return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    if output not in (None, ""):
        return {"content": output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)}
    if row.get("level") == "ERROR" or row.get("statusMessage"):
        return {"error": str(row.get("statusMessage") or "Langfuse noted an error")}
    raise RowError("output is empty: the row does not say what was answered.")


def _usage(row: JsonObject) -> JsonObject | None:
    """OpenAI's names for the tokens that Langfuse counts."""
    counted = table(row.get("usageDetails") or row.get("usage"), "usageDetails")
    names = {"input": "prompt_tokens", "output": "completion_tokens", "total": "total_tokens"}
    return {names[name]: count for name, count in counted.items() if name in names and count is not None} or None


def _score(row: JsonObject, key: bytes | None, answer: str | None) -> Record:
    """``answer`` is the id of the exchange that a score on the trace is about, where it is known."""
    name, trace = text(row.get("name"), "name"), text(row.get("traceId"), "traceId")
    observation, session = text(row.get("observationId"), "observationId"), text(row.get("sessionId"), "sessionId")
    source = str(row.get("source"))
    if source not in _SOURCES:
        raise RowError(f"source must be one of {', '.join(_SOURCES)}; it was {shown(row.get('source'))}.")
    author = text(row.get("authorUserId"), "authorUserId") or text(row.get("authorUserName"), "authorUserName")
    user = author or (None if source == "EVAL" else row.get("userId") or table(row.get("trace"), "trace").get("userId"))
    said = _said(row, str(row.get("dataType")), name)
    metadata, comment = table(row.get("metadata"), "metadata"), text(row.get("comment"), "comment")
    return opinion(
        {
            # a score is changed in place: another value is another feedback
            "id": f"langfuse:{row.get('id') or digest(row)}:{digest([said, comment])[:8]}",
            "exchange_id": observation or answer or trace,
            "episode_id": trace or session,
            "at": instant(row.get("timestamp") or row.get("createdAt"), "timestamp"),
            "source": _SOURCES[source],
            "user": text(user, "userId"),
            "comment": comment,
            **said,
            "metadata": {**metadata, **said.get("metadata", {}), "langfuse_source": source},
        },
        key,
    )


def _said(row: JsonObject, kind: str, name: str | None) -> JsonObject:
    value, words = row.get("value"), row.get("stringValue")
    if kind in ("NUMERIC", "BOOLEAN"):
        if name is None:
            raise RowError("name is missing: a score without a name says nothing.")
        boolean = {"metadata": {"boolean": True}} if kind == "BOOLEAN" else {}
        return {"kind": "metric", "name": name, "value": _number(value), **boolean}
    if kind not in ("CATEGORICAL", "TEXT", "CORRECTION"):
        raise RowError(
            f"dataType is none of NUMERIC, BOOLEAN, CATEGORICAL, TEXT, CORRECTION: {shown(row.get('dataType'))}."
        )
    said = words if words not in (None, "") else value
    if not isinstance(said, str):
        raise RowError(f"stringValue is missing, which a score of the type {kind} needs.")
    if kind == "CORRECTION":
        return {"kind": "correction", "value": said}
    return {"kind": "comment", "value": said, "metadata": {"name": name, "type": kind.lower()}}


def _number(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(str(value))
    except ValueError as error:
        raise RowError(f"value must be a number; it was {shown(value)}.") from error


def _list(value: Any) -> list[Any]:
    return cast(list[Any], value) if isinstance(value, list) else []


def _object(value: Any) -> JsonObject:
    return cast(JsonObject, value) if isinstance(value, dict) else {}
