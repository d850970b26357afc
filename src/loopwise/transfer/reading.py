"""Files of rows: JSON lines and CSV line by line, a JSON array row by row, a JSON document whole. A large file is never
held in memory; only a single document of several lines is, up to a limit."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from loopwise.errors import UsageError
from loopwise.transfer.row import Refused, Row
from loopwise.types import JsonObject, Progress

LONGEST_ROW = 100_000_000  # bytes
_LARGEST_DOCUMENT = 200_000_000  # bytes
_CHUNK = 1_000_000
_TOLD_EVERY = 500  # rows
_GAP = re.compile(r"[\s,]*")


def rows_of(path: Path, progress: Progress) -> Iterator[Row | Refused]:
    """The rows of a file, each with its line, or why it could not be read. Raises UsageError for a file that holds no
    rows, or none that could be read."""
    if not path.is_file():
        raise UsageError(f"There is no file {path}: correct the path.")
    size = path.stat().st_size
    with path.open("rb") as file:
        found = _rows(file, path)
        for count, row in enumerate(found):
            if count % _TOLD_EVERY == 0:
                progress("rows", min(file.tell(), size - 1), size)
            yield row
    progress("rows", size, size)


def _rows(file: BinaryIO, path: Path) -> Iterator[Row | Refused]:
    start = file.read(_CHUNK)
    file.seek(0)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UsageError(f"{path} is text in UTF-16: save it as UTF-8.")
    if start[:2] == b"\x1f\x8b" or start[:4] == b"PK\x03\x04":
        raise UsageError(f"{path} is compressed: unpack it first.")
    start = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        raise UsageError(f"{path} is empty: there is nothing to import.")
    if start[:1] == b"[":
        return _array(_decoded(file))
    if start[:1] == b"{":
        document = None if _is_json(start.partition(b"\n")[0]) else _document(file)
        return _lines(file) if document is None else document
    if path.suffix.lower() == ".csv" or b"," in start.partition(b"\n")[0]:
        return _csv(_decoded(file, newline=""))
    raise UsageError(f"{path} is neither JSON nor CSV: it begins with {start[:20]!r}.")


def _decoded(file: BinaryIO, newline: str | None = None) -> io.TextIOWrapper:
    """Bytes that are no UTF-8 become lone surrogates, so that the row that holds them can be told."""
    return io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline)


def _lines(file: BinaryIO) -> Iterator[Row | Refused]:
    line = 0
    while content := file.readline(LONGEST_ROW):
        line += 1
        if len(content) == LONGEST_ROW and not content.endswith(b"\n"):
            while content and not content.endswith(b"\n"):
                content = file.readline(LONGEST_ROW)
            yield Refused(line, f"The line is longer than {LONGEST_ROW} bytes.")
            continue
        content = content.removeprefix(b"\xef\xbb\xbf") if line == 1 else content
        if content.strip():
            yield from _line(line, content)


def _line(line: int, content: bytes) -> Iterator[Row | Refused]:
    try:
        value = _loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        yield Refused(line, f"The line is not UTF-8 text ({error.reason} at byte {error.start}).")
    except json.JSONDecodeError as error:
        yield Refused(line, f"The line is not JSON ({error.msg} at character {error.pos}).")
    except (ValueError, RecursionError) as error:
        yield Refused(line, f"The line is not JSON ({error}).")
    else:
        page = _page(value)
        yield from [_row(line, value)] if page is None else [_row(line, item) for item in page]


def _array(text: io.TextIOWrapper) -> Iterator[Row | Refused]:
    """The elements of a JSON array, as they come: each is decoded once it is whole."""
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    with text:
        buffer, at, place = text.read(_CHUNK).lstrip(), 1, 0
        while True:
            at = cast("re.Match[str]", _GAP.match(buffer, at)).end()
            if buffer.startswith("]", at):
                return
            try:
                value, at = decoder.raw_decode(buffer, at)
            except (ValueError, RecursionError) as error:
                more = "" if len(buffer) - at > LONGEST_ROW else text.read(max(_CHUNK, len(buffer) - at))
                if not more:
                    why = error.msg if isinstance(error, json.JSONDecodeError) else error
                    yield Refused(
                        place + 1, f"The JSON breaks off or is broken here ({why}); nothing after it is read."
                    )
                    return
                buffer, at = buffer[at:] + more, 0
            else:
                place += 1
                yield _row(place, value)


def _document(file: BinaryIO) -> Iterator[Row | Refused] | None:
    """The rows of a document of several lines. None where the file is no single document."""
    content = file.read(_LARGEST_DOCUMENT + 1)
    file.seek(0)
    if len(content) > _LARGEST_DOCUMENT or not _is_json(content):
        return None
    value = _loads(content.decode("utf-8-sig"))
    page = _page(value)
    return (_row(place, item) for place, item in enumerate([value] if page is None else page, 1))


def _page(value: Any) -> list[Any] | None:
    """The rows of a page as APIs give them, ``{"data": […], …}``; None for anything else."""
    found: Any = cast(JsonObject, value).get("data") if isinstance(value, dict) else None
    return cast(list[Any], found) if isinstance(found, list) else None


def _csv(text: io.TextIOWrapper) -> Iterator[Row | Refused]:
    csv.field_size_limit(LONGEST_ROW)
    with text:
        reader = csv.DictReader(text)
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Refused(reader.line_num, f"The line is not CSV ({error}).")
                continue
            if None in row or None in row.values():
                yield Refused(
                    reader.line_num, f"The row does not have {len(reader.fieldnames or ())} cells, as the head."
                )
            else:
                yield _row(reader.line_num, row)


def _row(line: int, value: Any) -> Row | Refused:
    if not isinstance(value, dict):
        return Refused(line, f"A row must be a JSON object; it was {str(value)[:80]!r}.")
    found = cast(JsonObject, value)
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Refused(line, "The row holds bytes or escapes that are no UTF-8 text.")
    return Row(line, found)


def _is_json(content: bytes) -> bool:
    try:
        _loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return False
    return True


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
