"""The unbiased pass@k estimator."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from loopwise.errors import UsageError
from loopwise.stats.distributions import log_choose


def pass_at_k(n_P: ArrayLike, right_P: ArrayLike, k: int) -> NDArray[np.float64]:
    """The chance that at least one of k attempts is right, for each of P problems; average them for a suite.

    Chen et al. 2021 ("Evaluating Large Language Models Trained on Code", eq. 1): 1 - C(n - c, k) / C(n, k), unbiased
    when the n attempts at a problem are independent draws from one release. ``n_P`` attempts and ``right_P`` right
    ones broadcast against each other. Raises UsageError unless 1 <= k <= n and 0 <= right <= n everywhere."""
    n, right = np.broadcast_arrays(np.asarray(n_P, dtype=np.int64), np.asarray(right_P, dtype=np.int64))
    if k < 1 or (n < k).any():
        raise UsageError(f"pass@{k} needs k of at least 1 and at least k attempts at each problem.")
    if (right < 0).any() or (right > n).any():
        raise UsageError("A problem has more right attempts than attempts, or fewer than none; count them again.")
    wrong = n - right
    certain = wrong < k  # every choice of k attempts holds a right one
    wrong = np.where(certain, n, wrong)  # keeps the logarithms finite where their value is not used
    return np.where(certain, 1.0, -np.expm1(log_choose(wrong, k) - log_choose(n, k)))
