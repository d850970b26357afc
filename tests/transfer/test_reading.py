"""Files of every making: lines, arrays and documents, byte order marks, bytes that are no text, what breaks off."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from loopwise.cli.progress import silent
from loopwise.errors import UsageError
from loopwise.transfer.reading import rows_of
from loopwise.transfer.row import Refused, Row

Read = Callable[[bytes], list[Row | Refused]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def run(content: bytes) -> list[Row | Refused]:
        (tmp_path / "file").write_bytes(content)
        return list(rows_of(tmp_path / "file", silent))

    return run


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": 1}\n{"a": 2}\n',
        b'{"a": 1}\r\n{"a": 2}',
        b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n',
        b'[{"a": 1}, {"a": 2}]',
        b'\xef\xbb\xbf [\n  {"a": 1},\n  {\n    "a": 2\n  }\n]\n',
        b'{"data": [{"a": 1}, {"a": 2}], "meta": {}}',
        b'{\n "data": [\n{"a": 1}, {"a": 2}]\n}',
    ],
)
def test_the_same_rows_come_out_of_every_form(read: Read, content: bytes):
    assert [row.value for row in read(content) if isinstance(row, Row)] == [{"a": 1}, {"a": 2}]


def test_a_document_of_several_lines_is_one_row(read: Read):
    assert read(b'{\n "a": {\n  "b": 1}\n}\n') == [Row(1, {"a": {"b": 1}})]


def test_csv_has_a_row_for_each_record_even_where_a_cell_has_lines(read: Read):
    found = read(b'\xef\xbb\xbfa,b\n1,"x\ny"\n2\n3,z\n')
    assert found == [
        Row(3, {"a": "1", "b": "x\ny"}),
        Refused(4, "The row does not have 2 cells, as the head."),
        Row(5, {"a": "3", "b": "z"}),
    ]


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b'{"a": 1}\n{"a": \n', 2, "The line is not JSON (Expecting value at character 7)."),
        (b'{"a": 1}\n\n{"a": NaN}\n', 3, "The line is not JSON (NaN is not JSON)."),
        (b'{"a": 1}\n{"a": "\xff"}\n', 2, "The line is not UTF-8 text (invalid start byte at byte 7)."),
        (b'{"a": 1}\n{"a": "\\ud800"}\n', 2, "The row holds bytes or escapes that are no UTF-8 text."),
        (b'{"a": 1}\n7\n', 2, "A row must be a JSON object; it was '7'."),
        (b'{"a": 1}\n' + b"[" * 100_000, 2, "The line is not JSON (maximum recursion depth exceeded"),
        (b'[{"a": 1}, {"a": "\xff"}]', 2, "The row holds bytes or escapes that are no UTF-8 text."),
        (b'[{"a": 1}, {"a": ', 2, "The JSON breaks off or is broken here (Expecting value); nothing after it is read."),
        (b'[{"a": 1}, {"a" 2}, {"a": 3}]', 2, "The JSON breaks off or is broken here (Expecting ':' delimiter)"),
        (b"a,b\n1,2\n\xff,2\n", 3, "The row holds bytes"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(read: Read, content: bytes, line: int, reason: str):
    first, *rest = read(content)
    assert isinstance(first, Row)
    [refused] = [row for row in rest if isinstance(row, Refused)]
    assert refused.line == line
    assert refused.reason.startswith(reason)


def test_rows_larger_than_what_is_read_at_once_are_whole(read: Read):
    rows = [{"a": "x" * size} for size in (10, 1_500_000, 20, 3_000_000, 30)]
    for content in (json.dumps(rows), "\n".join(map(json.dumps, rows))):
        assert [row.value for row in read(content.encode()) if isinstance(row, Row)] == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\xff\xfe[\0", "is text in UTF-16: save it as UTF-8"),
        (b"\x1f\x8b\x08", "is compressed: unpack it first"),
        (b"hello", "is neither JSON nor CSV: it begins with b'hello'"),
    ],
)
def test_a_file_that_is_no_file_of_rows_is_a_sentence(read: Read, content: bytes, message: str):
    with pytest.raises(UsageError, match=message.replace("(", ".")):
        read(content)


def test_a_file_that_is_missing_is_a_sentence(tmp_path: Path):
    with pytest.raises(UsageError, match="There is no file"):
        list(rows_of(tmp_path / "nothing", silent))


def test_progress_ends_at_the_files_size(tmp_path: Path):
    (tmp_path / "file").write_text('{"a": 1}\n' * 2_000)
    told: list[tuple[str, int, int]] = []
    list(rows_of(tmp_path / "file", lambda step, done, total: told.append((step, done, total))))
    assert told[-1] == ("rows", 18_000, 18_000)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert all(done < total for _, done, total in told[:-1])
