"""API keys in the store of the tests."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
import pytest

from loopwise.store import Store, keys


@pytest.fixture
def make_key(store: Store) -> Callable[..., str]:
    """Makes a key of a role, with limits, and gives its text."""

    def make(role: str = "app", **limits: int) -> str:
        with store.writing() as conn:
            return keys.make(conn, f"of the {role}", role, time.time(), **limits)[1]

    return make


@pytest.fixture
def locked() -> Callable[[str], None]:
    """Waits until a running gateway knows that there are keys: within a second."""

    def wait(url: str) -> None:
        began = time.monotonic()
        while httpx.get(f"{url}/v1/models").status_code != 401:
            assert time.monotonic() - began < 5.0  # a busy machine; the second is promised in test_access.py
            time.sleep(0.01)

    return wait
