"""What one key may use, and what runs at once: the bucket against a simulation of tokens, the rest over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given, strategies as st

from loopwise.config import GatewaySettings
from loopwise.gateway.app import create_app
from loopwise.gateway.errors import ApiError
from loopwise.gateway.limits import Bucket, Limits
from loopwise.gateway.upstream import Upstream
from loopwise.store import Store
from loopwise.store.keys import ApiKey
from scripted import Model, serving

MakeKey = Callable[..., str]
TICK = Fraction(1, 1024)  # a float holds any number of ticks exactly


def a_key(id: str = "k", per_minute: int | None = None, at_once: int | None = None) -> ApiKey:
    return ApiKey(id, "n", "h", "app", per_minute, at_once, 0.0)


class Tokens:
    """A token bucket as textbooks tell it: a number of tokens, topped up by the time that went by."""

    def __init__(self, per_minute: int):
        self.most = self.tokens = Fraction(per_minute)
        self.rate = Fraction(per_minute, 60)
        self.at = Fraction(0)

    def take(self, now: Fraction) -> Fraction:
        """0, or the seconds until there is a whole token."""
        self.tokens = min(self.most, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return (1 - self.tokens) / self.rate
        self.tokens -= 1
        return Fraction(0)


@given(
    per_minute=st.sampled_from([1, 15, 30, 60, 120, 240, 480]),  # a minute in that many parts is exact in binary
    pauses=st.lists(st.integers(0, 61 * 1024) | st.integers(0, 40) | st.just(0), max_size=200),
)
def test_the_bucket_lets_through_what_counted_tokens_let_through(per_minute: int, pauses: list[int]):
    bucket, tokens, now = Bucket(per_minute), Tokens(per_minute), Fraction(0)
    for pause in pauses:
        now += pause * TICK
        wait_s = bucket.take(float(now))
        assert wait_s == pytest.approx(float(tokens.take(now)), abs=1e-9)
        assert bucket.remaining(float(now)) == int(tokens.tokens)
        assert bucket.reset_s(float(now)) == pytest.approx(float((tokens.most - tokens.tokens) / tokens.rate))


@pytest.mark.parametrize("per_minute", [7, 11, 59, 61, 997])
def test_a_full_bucket_holds_a_minutes_requests_though_sevenths_do_not_add_up(per_minute: int):
    bucket = Bucket(per_minute)
    now = 1_234_567.891  # a machine that has been up for two weeks
    assert [bucket.take(now) for _ in range(per_minute)] == [0.0] * per_minute
    assert bucket.take(now) == pytest.approx(60 / per_minute)
    assert bucket.remaining(now) == 0
    assert bucket.take(now + 60 / per_minute + 1e-5) == 0.0


def test_the_refusal_says_in_whole_seconds_when_to_come_again():
    now = [100.0]
    limits = Limits(10, lambda: now[0])
    key = a_key(per_minute=4)
    for _ in range(4):
        limits.leave(limits.enter(key))
    now[0] = 100.5
    with pytest.raises(ApiError, match="may send 4 requests per minute: try again in 15 s") as refused:
        limits.enter(key)
    assert (refused.value.status, refused.value.code) == (429, "rate_limit_exceeded")
    # a token every 15 s: the first is there at 115, all four at 160
    assert refused.value.headers == {
        "Retry-After": "15",
        "x-ratelimit-limit-requests": "4",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "59.500s",
    }
    now[0] = 115.5
    limits.leave(limits.enter(key))
    assert limits.running == 0


def test_a_refusal_takes_nothing_and_keys_do_not_share():
    now = [0.0]
    limits = Limits(3, lambda: now[0])
    narrow, wide = a_key("narrow", per_minute=2, at_once=1), a_key("wide", per_minute=60)
    held = limits.enter(narrow)
    for _ in range(5):  # refused for being at once, so no token is gone
        with pytest.raises(ApiError, match="1 requests at once"):
            limits.enter(narrow)
    assert limits.headers(held)["x-ratelimit-remaining-requests"] == "1"
    others = [limits.enter(wide), limits.enter(None)]
    with pytest.raises(ApiError, match=r"\[gateway\] requests = 3") as refused:
        limits.enter(wide)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "1")
    assert limits.headers(others[0])["x-ratelimit-remaining-requests"] == "59"
    limits.leave(held)
    limits.leave(limits.enter(narrow))
    assert limits.running == 2


def ask(url: str, key: str, text: str = "hello", **more: Any) -> httpx.Response:
    body = {"model": "loopwise", "messages": [{"role": "user", "content": text}], **more}
    return httpx.post(f"{url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})


def test_a_key_that_asks_too_often_gets_429_and_the_model_hears_nothing(
    make_key: MakeKey, locked: Callable[[str], None], gateway: str, model: Model
):
    key, other = make_key("app", per_minute=2), make_key("app")
    locked(gateway)
    first, second, third = (ask(gateway, key) for _ in range(3))
    assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)
    assert [a.headers["x-ratelimit-remaining-requests"] for a in (first, second, third)] == ["1", "0", "0"]
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert int(third.headers["retry-after"]) in (29, 30)
    assert len(model.seen) == 2
    assert "x-ratelimit-limit-requests" not in ask(gateway, other).headers
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key=key, max_retries=0) as client:
        with pytest.raises(openai.RateLimitError) as refused:
            client.models.list()
        assert refused.value.code == "rate_limit_exceeded"


def test_a_place_is_free_again_when_the_answer_the_stream_or_the_client_ends(
    make_key: MakeKey, locked: Callable[[str], None], gateway: str, model: Model
):
    key = make_key("app", at_once=1)
    locked(gateway)
    assert [ask(gateway, key).status_code for _ in range(3)] == [200] * 3
    assert [ask(gateway, key, stream=True).status_code for _ in range(3)] == [200] * 3
    assert [ask(gateway, key, "refuse").status_code for _ in range(3)] == [400] * 3
    body = {"model": "loopwise", "messages": [{"role": "user", "content": "hang later"}], "stream": True}
    header = {"authorization": f"Bearer {key}"}
    with httpx.stream("POST", f"{gateway}/v1/chat/completions", json=body, headers=header):
        assert model.began.wait(5.0)
        refused = ask(gateway, key)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert model.canceled.wait(5.0)
    for _ in range(100):
        if (answer := ask(gateway, key)).status_code == 200:
            break
    assert answer.status_code == 200


def test_over_all_keys_no_more_run_than_the_settings_say(store: Store, model: Model):
    app = create_app(store, Upstream(model.url, None, "embedded", "tiny"), settings=GatewaySettings(requests=1))
    with serving(app) as url:
        hanging = threading.Thread(target=_hang, args=(url,))
        hanging.start()
        assert model.began.wait(5.0)
        refused = ask(url, "none")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert httpx.get(f"{url}/healthz").status_code == 200
        assert httpx.get(f"{url}/readyz").status_code == 200
        assert httpx.get(f"{url}/metrics").status_code == 200
        hanging.join()
        assert model.canceled.wait(5.0)
    assert len(model.seen) == 1


def _hang(url: str) -> None:
    """Asks for what never comes, and goes away after half a second."""
    body = {"model": "loopwise", "messages": [{"role": "user", "content": "hang"}]}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/v1/chat/completions", json=body, timeout=0.5)
