"""Importing, whatever the format: twice is once, a wrong format is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loopwise.cli.progress import silent
from loopwise.errors import UsageError
from loopwise.store import Store
from loopwise.transfer.bring import MOST_TOLD, import_file
from loopwise.transfer.formats import IMPORTS

SAMPLES = {
    "open-webui.json": "open-webui",
    "langfuse-scores.json": "langfuse",
    "langfuse-scores.csv": "langfuse",
    "langfuse-observations.jsonl": "langfuse",
    "langfuse-trace.json": "langfuse",
    "openai-logs.jsonl": "openai",
    "openai-batch.jsonl": "openai",
}


@pytest.mark.parametrize(("file", "format"), SAMPLES.items())
def test_twice_imported_is_once_stored(bring: Any, held: Any, file: str, format: str):
    first = bring(file, format)
    before = held()
    again = bring(file, format)
    assert (again.exchanges, again.feedback) == (0, 0)
    assert again.known == first.exchanges + first.feedback + first.known
    assert again.told == first.told
    assert held() == before
    assert len(before[0]) + len(before[1]) == first.exchanges + first.feedback > 0


@pytest.mark.parametrize(("file", "format"), SAMPLES.items())
def test_a_wrong_format_is_known_by_the_first_rows(bring: Any, held: Any, file: str, format: str):
    for other in IMPORTS.keys() - {format}:
        with pytest.raises(UsageError, match=f"looks like {format}, not {other}: say --format {format}"):
            bring(file, other)
    assert held() == ({}, {})


def test_users_are_stored_as_pseudonyms_alone(bring: Any, fresh: Store):
    for file, format in SAMPLES.items():
        bring(file, format)
    content = b"".join(file.read_bytes() for file in fresh.root.rglob("*") if file.is_file())
    for name in (b"user-17", b"uuuuuuuu-0000", b"Ada Annotator"):
        assert name not in content


def test_without_a_key_users_are_stored_as_they_are_named(fresh: Store, held: Any, tmp_path: Path):
    path = tmp_path / "log.jsonl"
    path.write_text(
        json.dumps({"id": "x", "messages": [{"role": "user", "content": "q"}], "content": "a", "user": "u"})
    )
    import_file(fresh, path, "openai", None, silent)
    assert held()[0]["x"].user == "u"


def test_many_refused_rows_are_all_counted_and_some_told(bring: Any, tmp_path: Path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"messages": []}\n' * (MOST_TOLD + 500))
    done = bring(path, "openai")
    assert (done.refused, len(done.told)) == (MOST_TOLD + 500, MOST_TOLD)
    assert done.nothing_taken


def test_names_and_times_beyond_their_limits_are_refused_line_by_line(bring: Any, held: Any, tmp_path: Path):
    def line(id: str, **more: Any) -> str:
        return json.dumps({"id": id, "messages": [{"role": "user", "content": "q"}], "content": "a", **more}) + "\n"

    path = tmp_path / "log.jsonl"
    path.write_text(line("a") + line("b", model="m" * 600) + line("c", at=1e300) + line("d\0") + line("e"))
    done = bring(path, "openai")
    assert set(held()[0]) == {"a", "e"}
    assert [row.line for row in done.told] == [2, 3, 4]
