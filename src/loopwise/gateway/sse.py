"""Server-sent events read from a stream of bytes, as WHATWG's HTML standard says in section 9.2.6.

Comments and the fields ``id`` and ``retry`` are dropped: a model's answer is not resumed.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

DONE = b"[DONE]"
LONGEST_EVENT_BYTES = 16_000_000
LONGEST_STREAM_BYTES = 64_000_000  # as of an answer that is not streamed

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Event:
    """One event; ``kind`` is empty where the server named none."""

    kind: str
    data: bytes


async def events(pieces: AsyncIterator[bytes]) -> AsyncIterator[list[Event]]:
    """The events that each piece of the stream completes, which may be none, however the bytes were cut; one without a
    blank line at its end is dropped, as the standard says.

    Raises ValueError when an event, or the stream, has no end in sight.
    """
    reader = _Reader()
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > LONGEST_STREAM_BYTES:
            raise ValueError(f"an answer of over {LONGEST_STREAM_BYTES:,} bytes")
        yield reader.feed(piece)


class _Reader:
    """Lines to events, over the borders of pieces."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []  # the pieces of a line without its end
        self._rest_size = 0
        self._begun = False
        self._after_cr = False
        self._kind = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[Event]:
        if self._after_cr and piece[:1] == b"\n":  # CR LF was cut in two
            piece = piece[1:]
            self._after_cr = False
        if not piece:
            return []
        self._after_cr = piece.endswith(b"\r")
        *lines, rest = _LINE_END.split(piece)
        if lines:
            lines[0] = b"".join([*self._rest, lines[0]])
            self._rest, self._rest_size = [], 0
        self._rest.append(rest)
        self._rest_size += len(rest)
        if lines and not self._begun:
            lines[0] = lines[0].removeprefix(_BOM)
            self._begun = True
        found = [event for line in lines if (event := self._line(line)) is not None]
        if self._size + self._rest_size > LONGEST_EVENT_BYTES:
            raise ValueError(f"an event of over {LONGEST_EVENT_BYTES} bytes")
        return found

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatched()
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(line) + 1  # an empty one takes memory, too
        elif name == b"event":
            self._kind = value.removeprefix(b" ")
        return None

    def _dispatched(self) -> Event | None:
        kind, data = self._kind, self._data
        self._kind, self._data, self._size = b"", [], 0
        joined = b"\n".join(data)
        return Event(kind.decode("utf-8", "replace"), joined) if joined else None
