"""A small classifier in NumPy, and one loss for labels, for right/wrong marks and for marks that may err."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

HIDDEN = 64
BATCH = 64
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-2
LEAST = 1e-3  # bounds the gradient of a mark that the model held for all but impossible


@dataclass(frozen=True)
class Lessons:
    """N things to learn. ``signs`` is 1 where a class is said to be right, -1 where it is said to be wrong; ``errors``
    is how likely the learner thinks it that what was said is the opposite of the truth.
    """

    inputs: Floats  # (N, D)
    classes: Ints  # (N,)
    signs: Floats  # (N,)
    errors: Floats  # (N,)

    def __len__(self) -> int:
        return len(self.classes)

    def first(self, n: int) -> Lessons:
        return Lessons(self.inputs[:n], self.classes[:n], self.signs[:n], self.errors[:n])

    def __add__(self, other: Lessons) -> Lessons:
        return Lessons(
            np.concatenate([self.inputs, other.inputs]),
            np.concatenate([self.classes, other.classes]),
            np.concatenate([self.signs, other.signs]),
            np.concatenate([self.errors, other.errors]),
        )


def labels(inputs_ND: Floats, classes_N: Ints) -> Lessons:
    """Each class is said to be right, and is believed."""
    n = len(classes_N)
    return Lessons(inputs_ND, classes_N, np.ones(n, np.float32), np.zeros(n, np.float32))


@dataclass(frozen=True)
class Network:
    """One hidden layer of rectified units; classes K."""

    weights: tuple[Floats, Floats, Floats, Floats]  # (D, H), (H,), (H, K), (K,)

    def hidden(self, inputs_ND: Floats) -> Floats:
        into, bias, _, _ = self.weights
        return np.maximum(inputs_ND @ into + bias, 0)

    def probabilities(self, inputs_ND: Floats) -> Floats:
        return softmax(self.hidden(inputs_ND) @ self.weights[2] + self.weights[3])

    def answers(self, inputs_ND: Floats) -> Ints:
        return self.probabilities(inputs_ND).argmax(1)


def softmax(logits_NK: Floats) -> Floats:
    powers_NK = np.exp(logits_NK - logits_NK.max(1, keepdims=True))
    return powers_NK / powers_NK.sum(1, keepdims=True)


def untrained(inputs: int, classes: int, rng: np.random.Generator) -> Network:
    into = rng.normal(size=(inputs, HIDDEN)) * np.sqrt(2 / inputs)
    out = rng.normal(size=(HIDDEN, classes)) * np.sqrt(1 / HIDDEN)
    biases = np.zeros(HIDDEN, np.float32), np.zeros(classes, np.float32)
    return Network((into.astype(np.float32), biases[0], out.astype(np.float32), biases[1]))


def pull(probability_N: Floats, signs_N: Floats, errors_N: Floats) -> Floats:
    """How hard each lesson pulls at its class: the gradient of its log-likelihood over the logits is this number times
    (one-hot of the class - probabilities).

    With the model's probability p of the class and the chance e that the mark errs, "right" has the likelihood
    e + (1 - 2e) p and "wrong" 1 minus that (forward correction of noise, Patrini et al. 2017). At e = 0 that is the
    likelihood of a label, and of the exclusion of one class."""
    believed_N = 1 - 2 * errors_N
    right_N = errors_N + believed_N * probability_N
    said_N = np.where(signs_N > 0, right_N, 1 - right_N)
    return signs_N * believed_N * probability_N / np.maximum(said_N, LEAST)


def train(start: Network, lessons: Lessons, steps: int, rng: np.random.Generator) -> Network:
    """``steps`` of AdamW (Loshchilov and Hutter 2019) on batches drawn evenly from all lessons; the learning rate
    falls linearly to 0."""
    weights = [weight.copy() for weight in start.weights]
    first, second = ([np.zeros_like(weight) for weight in weights] for _ in range(2))
    for step in range(1, steps + 1):
        rate = LEARNING_RATE * (1 - (step - 1) / steps)
        gradients = _gradients(Network((weights[0], weights[1], weights[2], weights[3])), lessons, rng)
        for weight, gradient, m, v in zip(weights, gradients, first, second, strict=True):
            m += 0.1 * (gradient - m)
            v += 0.001 * (gradient * gradient - v)
            update = m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
            weight -= rate * (update + WEIGHT_DECAY * weight)
    return Network((weights[0], weights[1], weights[2], weights[3]))


def _gradients(network: Network, lessons: Lessons, rng: np.random.Generator) -> tuple[Floats, ...]:
    """Of the mean negative log-likelihood of one batch, in the order of ``Network.weights``."""
    drawn_B = rng.integers(len(lessons), size=BATCH)
    inputs_BD, classes_B = lessons.inputs[drawn_B], lessons.classes[drawn_B]
    each_B = np.arange(BATCH)
    hidden_BH = network.hidden(inputs_BD)
    outer_BK = softmax(hidden_BH @ network.weights[2] + network.weights[3])
    pull_B = pull(outer_BK[each_B, classes_B], lessons.signs[drawn_B], lessons.errors[drawn_B])
    outer_BK *= pull_B[:, None]
    outer_BK[each_B, classes_B] -= pull_B
    outer_BK /= BATCH
    inner_BH = (outer_BK @ network.weights[2].T) * (hidden_BH > 0)
    return inputs_BD.T @ inner_BH, inner_BH.sum(0), hidden_BH.T @ outer_BK, outer_BK.sum(0)
