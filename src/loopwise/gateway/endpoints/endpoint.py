"""What the gateway must know of one of OpenAI's calls; everything else travels untouched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard, cast

from loopwise.gateway.errors import ApiError
from loopwise.types import Endpoint as Name, JsonObject


class Assembly(Protocol):
    """Puts the events of a streamed answer together to the object that an unstreamed answer would be."""

    first_token_at: float | None  # on the monotonic clock

    @property
    def failure(self) -> str | None:
        """What the server says went wrong, in an answer that is in OpenAI's form."""
        ...

    @property
    def complete(self) -> bool:
        """Nothing more is to come: what counts where a server leaves out its last event."""
        ...

    def add(self, chunk: JsonObject) -> None:
        """Takes over one event that ``Endpoint.is_chunk`` accepts: its parts may be changed afterwards."""
        ...

    def response(self) -> JsonObject: ...


@dataclass(frozen=True)
class Endpoint:
    """``check`` raises ApiError for a request that no server could answer; ``is_answer`` and ``is_chunk`` say whether
    what a server sent has the shape that clients and the record rely on. ``assembly`` makes one for a request, and is
    None where nothing streams. ``recorded`` is what is kept of a whole answer."""

    name: Name
    path: str  # under /v1
    check: Callable[[JsonObject], None]
    is_answer: Callable[[JsonObject], bool]
    is_chunk: Callable[[JsonObject], bool]
    assembly: Callable[[JsonObject], Assembly] | None
    embedded: bool  # whether the embedded engine answers it
    recorded: Callable[[JsonObject], JsonObject]


def whole(answer: JsonObject) -> JsonObject:
    return answer


def checked_messages(value: Any, name: str) -> None:
    """Raises ApiError unless ``value`` is a list of at least one message with a role."""
    if not isinstance(value, list) or not value:
        raise ApiError(400, f"{name!r} must be a list with at least one message.", name)
    for index, message in enumerate(cast(list[Any], value)):
        if not isinstance(message, dict) or not isinstance(cast(JsonObject, message).get("role"), str):
            place = f"{name}[{index}]"
            raise ApiError(400, f"{place} must be an object with a string 'role' and 'content'.", place)


def objects(value: Any) -> TypeGuard[list[JsonObject]]:
    """Whether ``value`` is a list of objects."""
    return isinstance(value, list) and all(isinstance(item, dict) for item in cast(list[Any], value))
