"""Refuses runs that must not become a candidate."""

from __future__ import annotations

import math

from loopwise.errors import TrainingError


def check_loss(loss: float, step: int) -> None:
    """Raises TrainingError for a loss that is not a number."""
    if not math.isfinite(loss):
        raise TrainingError(
            f"The loss was {loss} at step {step}: training was stopped and nothing was kept. "
            "Lower [train] learning_rate, or look for broken rows in the dataset."
        )


def check_gradient(norm: float, step: int) -> None:
    """Raises TrainingError for a gradient that is zero or not a number."""
    if norm == 0.0:
        raise TrainingError(
            f"The gradient was zero at step {step}: there is nothing to learn from these rows. "
            "The model already answers them with certainty, or its weights are frozen."
        )
    if not math.isfinite(norm):
        raise TrainingError(
            f"The gradient's norm was {norm} at step {step}: training was stopped and nothing was kept. "
            "Lower [train] learning_rate."
        )


def check_changed(parent: str, candidate: str) -> None:
    """Raises TrainingError when training left every weight as it was; both are weight fingerprints."""
    if parent == candidate:
        raise TrainingError(
            f"Training left every weight as it was ({parent[:19]}…): the learning rate is too small for the weights' "
            "precision. Raise [train] learning_rate."
        )
