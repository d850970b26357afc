"""How much one key may ask for, and how much runs at once over all. What is refused here costs nothing upstream."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from loopwise.gateway.errors import ApiError
from loopwise.store.keys import ApiKey

_MINUTE_S = 60.0
_ROUNDING_S = 1e-6  # sixty seconds in sevenths do not add up to sixty: a microsecond is nobody's request
_SOON_S = 1  # Retry-After where nobody can know when a place gets free


@dataclass
class Bucket:
    """A token bucket of ``per_minute`` requests that fills at that rate, kept as the time at which it is full again.

    The generic cell rate algorithm (ITU-T I.371, "virtual scheduling"), which needs one number: a bucket with n tokens
    missing is full after n intervals.
    """

    per_minute: int
    full_at: float = -math.inf

    def take(self, now: float) -> float:
        """Takes a token: 0. Where there is none: the seconds until there is one, and nothing is taken."""
        full_at = max(self.full_at, now) + _MINUTE_S / self.per_minute
        wait_s = full_at - now - _MINUTE_S
        if wait_s > _ROUNDING_S:
            return wait_s
        self.full_at = full_at
        return 0.0

    def reset_s(self, now: float) -> float:
        """The seconds until the bucket is full."""
        return max(0.0, self.full_at - now)

    def remaining(self, now: float) -> int:
        """Whole tokens in it."""
        return int((_MINUTE_S - self.reset_s(now) + _ROUNDING_S) * self.per_minute / _MINUTE_S)

    def headers(self, now: float) -> dict[str, str]:
        """OpenAI's three headers."""
        return {
            "x-ratelimit-limit-requests": str(self.per_minute),
            "x-ratelimit-remaining-requests": str(self.remaining(now)),
            "x-ratelimit-reset-requests": f"{self.reset_s(now):.3f}s",
        }


@dataclass
class Account:
    """What one key uses; ``bucket`` is None where its requests per minute are not limited."""

    bucket: Bucket | None
    running: int = 0


@dataclass
class Limits:
    """``most`` requests may run at once over all keys. ``clock`` is in seconds and never goes back."""

    most: int
    clock: Callable[[], float] = time.monotonic
    running: int = 0
    _accounts: dict[str, Account] = field(default_factory=dict[str, Account])

    def enter(self, key: ApiKey | None) -> Account | None:
        """Lets a request begin; ``leave`` must follow. Without a key only the limit over all of them holds.

        Raises ApiError: 503 when too much runs, 429 when the key asks too much; both say when to come again.
        """
        if self.running >= self.most:
            sentence = f"{self.running} requests run already, and [gateway] requests = {self.most}: try again soon."
            raise ApiError(503, sentence, code="overloaded", headers=_retry_after(_SOON_S))
        account = None
        if key is not None and (key.per_minute or key.at_once):
            account = self._account(key)
            self._check(key, account)
            account.running += 1
        self.running += 1
        return account

    def leave(self, account: Account | None) -> None:
        self.running -= 1
        if account is not None:
            account.running -= 1

    def headers(self, account: Account | None) -> dict[str, str]:
        """How much is left, in OpenAI's headers."""
        return account.bucket.headers(self.clock()) if account is not None and account.bucket is not None else {}

    def _check(self, key: ApiKey, account: Account) -> None:
        if key.at_once is not None and account.running >= key.at_once:
            sentence = f"The key {key.id} may run {key.at_once} requests at once, and so many run: wait for one to end."
            raise self._refusal(account, sentence, _SOON_S)
        wait_s = account.bucket.take(self.clock()) if account.bucket is not None else 0.0
        if wait_s:
            seconds = math.ceil(wait_s)
            sentence = f"The key {key.id} may send {key.per_minute} requests per minute: try again in {seconds} s."
            raise self._refusal(account, sentence, seconds)

    def _refusal(self, account: Account, sentence: str, seconds: int) -> ApiError:
        headers = {**self.headers(account), **_retry_after(seconds)}
        return ApiError(429, sentence, code="rate_limit_exceeded", headers=headers)

    def _account(self, key: ApiKey) -> Account:
        account = self._accounts.get(key.id)
        if account is None:
            bucket = Bucket(key.per_minute) if key.per_minute else None
            account = self._accounts[key.id] = Account(bucket)
        return account


def _retry_after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}
