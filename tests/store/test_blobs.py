"""Blobs are named by their content, and never returned altered."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from loopwise.errors import StoreError
from loopwise.store import Store, scores
from loopwise.store.blobs import Blobs
from loopwise.types import SuiteScores


@given(st.binary(max_size=100))
def test_a_blob_is_named_by_its_hash_and_comes_back(tmp_path_factory: pytest.TempPathFactory, content: bytes):
    blobs = Blobs(tmp_path_factory.getbasetemp() / "blobs")
    name = blobs.put(content)
    assert name == hashlib.sha256(content).hexdigest()
    assert blobs.get(name) == content
    assert blobs.put(content) == name


def test_equal_content_is_one_file_and_nothing_is_left_over(tmp_path: Path):
    blobs = Blobs(tmp_path)
    for _ in range(2):
        blobs.put(b"a")
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_a_missing_blob_is_one_sentence(tmp_path: Path):
    with pytest.raises(StoreError, match=r"is missing from .*: restore it from a backup"):
        Blobs(tmp_path).get("0" * 64)


def test_an_altered_blob_is_never_returned(tmp_path: Path):
    blobs = Blobs(tmp_path)
    name = blobs.put(b"the truth")
    (tmp_path / name[:2] / name).write_bytes(b"the trvth")
    with pytest.raises(StoreError, match="was altered on disk"):
        blobs.get(name)


def test_scores_come_back_oldest_first_and_the_same_weights_are_scored_once(store: Store):
    first = SuiteScores("final", "v1", "a@1", "sha256:aa", (1.0, 0.5), ("x", "y\x00"))
    again = SuiteScores("final", "v1", "a@2", "sha256:aa", (0.0, 0.0))
    other = SuiteScores("final", "v2", "a@1", "sha256:aa", (1.0,))
    with store.writing() as conn:
        for found in (first, again, other):
            scores.add(conn, store.blobs, found)
    with store.reading() as conn:
        assert scores.of_suite(conn, store.blobs, "final") == [first, other]
        assert scores.get(conn, store.blobs, "final", "v1", "sha256:aa") == first
        assert scores.get(conn, store.blobs, "final", "v1", "sha256:bb") is None
