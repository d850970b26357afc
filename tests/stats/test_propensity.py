"""Weights against hand-worked ones, what they correct, and when they refuse themselves."""

from __future__ import annotations

import numpy as np
import pytest

from loopwise.stats.propensity import propensity_weights


def town(seed: int, units: int, rates: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(stratum, spoke, cluster): five units a person, each stratum speaking at its rate."""
    rng = np.random.default_rng(seed)
    stratum = rng.integers(0, len(rates), units)
    spoke = rng.random(units) < np.array(rates)[stratum]
    return stratum, spoke, np.arange(units) // 5


def test_hand_worked_weights():
    """100 of 100 speak and 100 of 300: shrunk by 20 units at the rate 1/2, 110/120 and 110/320. Their inverse by
    the rate is 0.54545 and 1.45454, whose mean over the 200 who spoke is 1."""
    stratum = np.repeat([0, 1], [100, 300])
    spoke = np.concatenate([np.ones(200, bool), np.zeros(200, bool)])
    found = propensity_weights(stratum, spoke, np.arange(400), 3)

    assert found.refused is None
    assert found.weight_S[:2] == pytest.approx([0.545454, 1.454545], abs=1e-5)
    assert found.effective == pytest.approx(200**2 / (100 * 0.545454**2 + 100 * 1.454545**2), rel=1e-4)
    assert (found.spoke, found.units, found.largest) == (200, 400, pytest.approx(1.454545, abs=1e-5))


def test_weights_undo_who_speaks():
    """The loud stratum likes what it gets 90 % of the time, the quiet one 30 %: truly 60 %, but heard as 84 %."""
    stratum, spoke, cluster = town(3, 20_000, [0.9, 0.1])
    likes = np.random.default_rng(4).random(20_000) < np.array([0.9, 0.3])[stratum]
    weight = propensity_weights(stratum, spoke, cluster, 2).weight_S[stratum[spoke]]

    assert likes[spoke].mean() == pytest.approx(0.84, abs=0.01)
    assert np.average(likes[spoke], weights=weight) == pytest.approx(0.6, abs=0.02)


def test_no_weight_leaves_its_bounds():
    stratum, spoke, cluster = town(5, 30_000, [0.9, 0.002, 0.5])
    found = propensity_weights(stratum, spoke, cluster, 3)

    assert found.largest < 20
    assert found.weight_S.min() > 0
    assert np.average(found.weight_S[stratum[spoke]]) == pytest.approx(1.0)


def test_too_few_who_spoke_refuse_the_weights():
    found = propensity_weights(np.zeros(100, np.int64), np.arange(100) < 49, np.arange(100), 2)

    assert found.refused == "49 of 100 spoke, fewer than 50"
    assert found.weight_S.tolist() == [1.0, 1.0]


def test_weights_that_rest_on_few_refuse_themselves():
    """A thousand loud units, and ten quiet ones that stand for the other thousands."""
    stratum = np.repeat([0, 1], [1_000, 20_000])
    spoke = np.concatenate([np.ones(1_000, bool), np.arange(20_000) < 10])
    found = propensity_weights(stratum, spoke, np.arange(21_000), 2)

    assert found.refused is not None
    assert "effective sample size" in found.refused
    assert found.weight_S.tolist() == [1.0, 1.0]


def test_a_normalizer_that_is_off_refuses_the_weights():
    """Each stratum is one fold of people: what the others' rates say of it is wrong, always in the same direction."""
    cluster = np.arange(20_000) % 5_000
    stratum = (cluster % 5 == 0).astype(np.int64)
    spoke = (stratum == 1) | (np.arange(20_000) % 7 == 0)
    found = propensity_weights(stratum, spoke, cluster, 2)

    assert found.refused is not None
    assert "normalizer" in found.refused
    assert abs(found.z) > 2.58


def test_sound_weights_are_seldom_refused():
    """At 2.58 standard errors 1 % of 100 would be; 6 or more have a probability of 0.0005."""
    refused = [propensity_weights(*town(seed, 1_000, [0.5, 0.3, 0.7]), 3).refused for seed in range(100)]
    assert sum(reason is not None for reason in refused) <= 5
