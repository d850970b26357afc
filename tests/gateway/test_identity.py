"""Ids that sort by time and never meet, and pseudonyms by the book."""

from __future__ import annotations

import hashlib
import hmac
import os
import time

from loopwise.gateway.identity import new_id, pseudonym


def test_ids_are_ulids_that_sort_by_time_and_never_meet():
    before = int(time.time() * 1000)
    ids = [new_id("ex") for _ in range(20_000)]
    assert len(set(ids)) == 20_000
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    numbers = [
        sum(digits.index(digit) << 5 * place for place, digit in enumerate(reversed(id[3:]))) for id in ids[::999]
    ]
    assert all(len(id) == 29 and id.startswith("ex_") for id in ids)
    assert all(before <= number >> 80 <= time.time() * 1000 for number in numbers)
    assert numbers == sorted(numbers, key=lambda number: number >> 80)


def test_a_forked_process_draws_other_ids():
    new_id("ex")
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, new_id("ex")[-16:].encode())  # the random part alone
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 16).decode() != new_id("ex")[-16:]
    os.close(reading)
    os.close(writing)


def test_a_pseudonym_is_an_hmac_cut_to_half():
    for user in ("lena", "ü", "lena"):
        assert pseudonym(user, b"key") == hmac.new(b"key", user.encode(), hashlib.sha256).hexdigest()[:32]
    assert pseudonym("lena", b"other") != pseudonym("lena", b"key")
    assert pseudonym("lena", None) == "lena"
