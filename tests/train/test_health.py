from __future__ import annotations

import math

import pytest

from loopwise.errors import TrainingError
from loopwise.train import health


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_a_number_is_refused(loss):
    with pytest.raises(TrainingError, match=f"The loss was {loss} at step 7"):
        health.check_loss(loss, 7)


def test_a_zero_gradient_is_nothing_to_learn_from():
    with pytest.raises(TrainingError, match="nothing to learn from"):
        health.check_gradient(0.0, 1)


def test_a_gradient_that_is_not_a_number_is_refused():
    with pytest.raises(TrainingError, match="norm was nan at step 2"):
        health.check_gradient(math.nan, 2)


def test_ordinary_figures_pass():
    health.check_loss(2.5, 1)
    health.check_gradient(0.1, 1)
    health.check_changed("sha256:a", "sha256:b")


def test_unchanged_weights_are_refused():
    with pytest.raises(TrainingError, match="every weight as it was"):
        health.check_changed("sha256:a", "sha256:a")
