"""API keys at rest: how they look, what is kept of them, and who is served with them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from loopwise.errors import UnknownNameError, UsageError
from loopwise.store import Store, keys


def test_a_key_has_256_random_bits_of_which_only_the_hash_is_kept(store: Store, tmp_path: Path):
    with store.writing() as conn:
        made = [keys.make(conn, "mine", "app", 5.0, per_minute=3, at_once=2) for _ in range(20)]
    texts = [text for _, text in made]
    assert all(re.fullmatch(r"lw_[0-9a-hjkmnp-tv-z]{8}_[A-Za-z0-9_-]{43}", text) for text in texts)
    assert len(set(texts)) == len({key.id for key, _ in made}) == 20
    with store.reading() as conn:
        kept = keys.all_keys(conn)
    assert {key.id: key.hash for key in kept} == {t[3:11]: hashlib.sha256(t.encode()).hexdigest() for t in texts}
    assert (kept[0].name, kept[0].role, kept[0].per_minute, kept[0].at_once, kept[0].at) == ("mine", "app", 3, 2, 5.0)
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert [text for text in texts if text[12:].encode() in content] == []
    assert kept[0].hash not in repr(kept[0])


@pytest.mark.parametrize(
    ("name", "role", "limits", "sentence"),
    [
        ("n", "king", {}, "no role 'king' for keys: choose operator, app, feedback"),
        ("", "app", {}, "'' cannot name a key"),
        ("a\nb", "app", {}, "cannot name a key"),
        ("n" * 101, "app", {}, "cannot name a key"),
        ("n", "app", {"per_minute": 0}, "0 requests per minute would refuse everything"),
        ("n", "app", {"at_once": -1}, "-1 requests at once would refuse everything"),
    ],
)
def test_a_key_that_cannot_work_is_refused_in_a_sentence(
    store: Store, name: str, role: str, limits: dict[str, int], sentence: str
):
    with pytest.raises(UsageError, match=sentence), store.writing() as conn:
        keys.make(conn, name, role, 0.0, **limits)


def test_a_key_is_revoked_once_and_for_all(store: Store):
    with store.writing() as conn:
        key, _ = keys.make(conn, "n", "app", 0.0)
        assert keys.revoke(conn, key.id, 7.0).revoked == 7.0
        assert keys.revoke(conn, key.id, 8.0).revoked == 7.0
    known = f"no API key with the id 'other'; those that exist: {key.id}"
    with pytest.raises(UnknownNameError, match=known), store.writing() as conn:
        keys.revoke(conn, "other", 9.0)


def test_others_are_served_only_with_a_usable_key_that_may_call(store: Store):
    with store.writing() as conn:
        assert not keys.may_serve_others(conn)
        keys.make(conn, "n", "feedback", 0.0)
        assert not keys.may_serve_others(conn)
        app, _ = keys.make(conn, "n", "app", 0.0)
        assert keys.may_serve_others(conn)
        keys.revoke(conn, app.id, 1.0)
        assert not keys.may_serve_others(conn)
        keys.make(conn, "n", "operator", 0.0)
        assert keys.may_serve_others(conn)


def test_the_last_use_only_moves_forward(store: Store):
    with store.writing() as conn:
        key, _ = keys.make(conn, "n", "app", 0.0)
        for at, kept in ((10.0, 10.0), (9.0, 10.0), (11.0, 11.0)):
            keys.note_used(conn, {key.id: at, "gone": at})
            assert [key.last_used for key in keys.all_keys(conn)] == [kept]
