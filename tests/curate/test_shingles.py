from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from loopwise.curate.minhash import N_HASHES, bands, rows_per_band, signatures
from loopwise.curate.shingles import mixed, runs, words

TEXTS = ["a b a", "", "ab a", "b", "ü \u8c93 \U0001f600 a"]


def test_equal_words_have_equal_numbers_wherever_they_stand():
    flat, starts = words(TEXTS)

    assert starts.tolist() == [0, 3, 3, 5, 6, 10]
    a, b, ab = flat[0], flat[1], flat[3]
    assert flat.tolist() == [a, b, a, ab, a, b, *flat[6:9].tolist(), a]
    assert len(set(flat.tolist())) == 6


@pytest.mark.parametrize("texts", [[], [""], ["", ""]])
def test_texts_without_words_have_none(texts):
    flat, starts = words(texts)

    assert len(flat) == 0
    assert starts.tolist() == [0] * (len(texts) + 1)
    assert runs(flat, starts, 3)[1].tolist() == starts.tolist()


def test_runs_do_not_cross_from_one_text_into_the_next():
    flat, starts = runs(*words(TEXTS), 2)

    assert starts.tolist() == [0, 2, 2, 3, 3, 6]
    ab, ba = flat[0], flat[1]
    assert ab != ba
    alone, _ = runs(*words(["b a"]), 2)
    assert alone.tolist() == [ba]


def test_ten_thousand_words_have_ten_thousand_numbers():
    flat, _ = words([" ".join(f"{i:x}" for i in range(10_000))])

    assert len(set(flat.tolist())) == 10_000


def test_the_mixer_gives_splitmix64s_published_numbers():
    # The first outputs of SplitMix64 from the state 1234567, as in Rosetta Code's table for the generator.
    with np.errstate(over="ignore"):
        states = np.uint64(1234567) + np.arange(1, 4, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)

    assert mixed(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_the_share_of_equal_hashes_estimates_the_similarity():
    # Two sets of 300 that share 200 of 400: Jaccard 0.5. 200 such pairs of 64 hashes: the mean of 12,800 has a standard
    # error of 0.0044; 0.02 are 4.5 of them (false failures: 1 in 100,000, though the seed is fixed).
    rng = np.random.default_rng(0)
    equal = []
    for _ in range(200):
        drawn = rng.integers(0, 2**63, 400, dtype=np.uint64)
        both = np.concatenate([drawn[:300], drawn[100:]])
        found = signatures(both, np.array([0, 300, 600]))
        equal.append((found[0] == found[1]).mean())

    assert np.mean(equal) == pytest.approx(0.5, abs=0.02)


def test_a_text_without_runs_has_an_empty_signature():
    flat, _ = words(["a b"])

    found = signatures(flat, np.array([0, 0, 2, 2]))

    assert found.shape == (3, N_HASHES)
    assert not found[0].any()
    assert found[1].any()
    assert not found[2].any()


@pytest.mark.parametrize(("threshold", "rows"), [(0.85, 6), (0.7, 3), (1.0, 16)])
def test_bands_meet_pairs_at_the_threshold_with_99_in_100(threshold, rows):
    assert rows_per_band(threshold) == rows
    assert 1 - (1 - threshold**rows) ** (N_HASHES // rows) >= 0.99


def test_bands_are_equal_where_all_their_hashes_are():
    one = np.arange(N_HASHES, dtype=np.uint32)[None]
    other = one.copy()
    other[0, 7] += 1

    assert (bands(one, 6) == bands(other, 6)).tolist() == [[True, False, *[True] * 8]]


def test_numbers_are_the_same_in_every_process():
    code = (
        "from loopwise.curate.shingles import *; from loopwise.curate.minhash import *;"
        "from loopwise.curate.identity import number;"
        "print(bands(signatures(*runs(*words(['the quick brown fox jumps']), 3)), 6).sum(), number('q'))"
    )
    printed = [
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True)
        for seed in "01"
    ]

    assert printed[0].stdout == printed[1].stdout != ""
