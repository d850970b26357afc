"""A store to import into, and what it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loopwise.cli.progress import silent
from loopwise.gateway.identity import pseudonym
from loopwise.store import Store, exchanges, feedback
from loopwise.transfer.bring import Imported, import_file
from loopwise.types import Exchange, Feedback

KEY = b"a project's secret"
SAMPLES = Path(__file__).parent.parent / "data" / "imports"

Import = Callable[[str | Path, str], Imported]
Held = Callable[[], tuple[dict[str, Exchange], dict[str, Feedback]]]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Store]:
    with_store = Store("sqlite:///loopwise.db", tmp_path, create=True)
    yield with_store
    with_store.close()


@pytest.fixture
def bring(fresh: Store) -> Import:
    """Imports a sample by its name, or any file."""

    def run(file: str | Path, format: str) -> Imported:
        return import_file(fresh, SAMPLES / file, format, KEY, silent)

    return run


@pytest.fixture
def held(fresh: Store) -> Held:
    """The exchanges and the feedback in the store, by id."""

    def read() -> tuple[dict[str, Exchange], dict[str, Feedback]]:
        with fresh.reading() as conn:
            found = [row for _, row in exchanges.up_to(conn, exchanges.watermark(conn))]
            said = [row for _, row in feedback.up_to(conn, feedback.watermark(conn))]
        return {row.id: row for row in found}, {row.id: row for row in said}

    return read


@pytest.fixture
def hashed() -> Callable[[str], str]:
    return lambda user: pseudonym(user, KEY)
