from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from loopwise.types import Completion, Message, SamplingParams
from loopwise.verify.pool import VerifierPool


@dataclass
class GcdEngine:
    """Answers gcd questions by Euclid's rule, rightly with a probability that the release's name says (``0.7``)."""

    prompts_seen: list[int] = field(default_factory=list[int])
    fingerprints: list[str] = field(default_factory=list[str])  # given out in turn, when there are any

    def sample(
        self, release: str, prompts: Sequence[Sequence[Message]], params: SamplingParams
    ) -> list[list[Completion]]:
        self.prompts_seen.append(len(prompts))
        answers: list[list[Completion]] = []
        for place, messages in enumerate(prompts):
            rng = random.Random(f"{release} {params.seed} {place}")
            right = math.gcd(*(int(n) for n in re.findall(r"\d+", messages[0]["content"])))
            answers.append([self._answer(rng, right, float(release), params) for _ in range(params.n)])
        return answers

    def _answer(self, rng: random.Random, right: int, p_right: float, params: SamplingParams) -> Completion:
        is_right = p_right >= 0.5 if params.temperature == 0 else rng.random() < p_right
        text = rng.choice([f"{right}", f" {right}"]) if is_right else f"{right + rng.randint(1, 9)}"
        return Completion(text, "stop", len(text), (-0.5,) * len(text) if params.logprobs else None)

    def fingerprint(self, release: str) -> str:
        return self.fingerprints.pop(0) if self.fingerprints else f"sha256:{release}"


@pytest.fixture
def engine() -> GcdEngine:
    return GcdEngine()


@pytest.fixture(scope="session")
def pool() -> Iterator[VerifierPool]:
    with VerifierPool(processes=1) as pool:
        yield pool
