"""A real store in a folder of its own, on SQLite and on Postgres."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopwise.store import Store


@pytest.fixture
def store(store_url: str, empty_store: Path, tmp_path: Path) -> Iterator[Store]:
    if store_url.startswith("sqlite"):  # the address on Postgres is one of a copy already
        shutil.copy(empty_store, tmp_path)
    store = Store(store_url, tmp_path)
    yield store
    store.close()


@pytest.fixture
def sqlite_store(empty_store: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(empty_store, tmp_path)
    store = Store("sqlite:///loopwise.db", tmp_path)
    yield store
    store.close()
