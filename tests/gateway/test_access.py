"""Who may call what: keys, roles, browsers; and what a running gateway knows of the keys."""

from __future__ import annotations

import base64
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from loopwise.config import GatewaySettings
from loopwise.gateway.access import roles_for
from loopwise.gateway.app import create_app
from loopwise.gateway.upstream import Upstream
from loopwise.store import Store, keys
from scripted import Model, serving

MakeKey = Callable[..., str]
Locked = Callable[[str], None]
CHAT = {"model": "loopwise", "messages": [{"role": "user", "content": "hello"}]}
THUMB = {"exchange_id": "e", "kind": "thumbs", "value": 1}
PAGE = "https://app.example"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def basic(key: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"me:{key}".encode()).decode()}


def revoke(store: Store, key: str) -> None:
    with store.writing() as conn:
        keys.revoke(conn, key[keys.ID_AT], time.time())


def until(holds: Callable[[], bool], within_s: float) -> float:
    """How long it took until ``holds``."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within_s
        time.sleep(0.01)
    return time.monotonic() - began


@pytest.fixture
def app_key(make_key: MakeKey) -> str:
    return make_key("app")


def test_without_a_key_nothing_but_liveness_is_answered(app_key: str, gateway: str, model: Model):
    assert httpx.get(f"{gateway}/healthz").json() == {"status": "ok"}
    routes = [("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("POST", "/v1/feedback"), ("POST", "/feedback"),
              ("POST", "/v1/exchanges"), ("GET", "/metrics"), ("GET", "/"), ("GET", "/static/page.css"),
              ("GET", "/v1/nothing"), ("OPTIONS", "/v1/models")]  # fmt: skip
    for method, path in routes:
        answer = httpx.request(method, gateway + path, json=CHAT if method == "POST" else None)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key"), path
        assert "loopwise keys create" in answer.json()["error"]["message"]
        assert answer.headers["x-loopwise-recorded"] == "false"
    assert model.seen == []


def test_readiness_tells_its_details_to_programs_with_a_key_only(make_key: MakeKey, store: Store, gateway: str):
    assert httpx.get(f"{gateway}/readyz").json()["checks"]["store"] == "ok"
    app, browser = make_key("app"), make_key("feedback")
    until(lambda: httpx.get(f"{gateway}/readyz").json() == {"status": "ok"}, 1.5)
    assert httpx.get(f"{gateway}/readyz", headers=bearer(app)).json()["checks"]["store"] == "ok"
    assert httpx.get(f"{gateway}/readyz", headers=bearer(browser)).json() == {"status": "ok"}
    assert httpx.get(f"{gateway}/readyz", headers=bearer("lw_")).status_code == 401


def test_openais_client_calls_with_its_key_and_is_refused_with_another(app_key: str, gateway: str):
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key=app_key, max_retries=0) as client:
        assert client.chat.completions.create(**CHAT).choices[0].message.content == "tiny@0 hears hello"
    with (
        openai.OpenAI(base_url=f"{gateway}/v1", api_key=app_key[:-1] + "?", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as refused,
    ):
        client.chat.completions.create(**CHAT)
    assert refused.value.code == "invalid_api_key"


def test_what_is_not_the_key_is_refused_and_never_repeated(app_key: str, make_key: MakeKey, store: Store, gateway: str):
    revoked, other = make_key("operator"), make_key("operator")
    revoke(store, revoked)
    assert httpx.get(f"{gateway}/v1/models", headers=bearer(app_key)).status_code == 200
    wrong = [
        revoked,
        app_key[:-1],
        app_key + "x",
        app_key.upper(),
        app_key[:12] + other[12:],
        "lw_",
        "sk-proj-0123456789",
        "ä",
    ]
    for key in wrong:
        for header in (bearer(key), basic(key)):
            raw = {name: value.encode() for name, value in header.items()}
            answer = httpx.get(f"{gateway}/v1/models", headers=raw)
            assert answer.status_code == 401
            assert len(key) < 12 or key[12:] not in answer.text
    for header in ("", "Bearer", "Bearer x", "Basic", "Basic ===", "Basic bHc=", f"Token {app_key}", app_key):
        assert httpx.get(f"{gateway}/v1/models", headers={"authorization": header}).status_code == 401


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("operator", {"chat", "models", "feedback", "tensorzero", "exchanges", "metrics", "page", "file"}),
        ("app", {"chat", "models", "feedback", "tensorzero", "exchanges"}),
        ("feedback", {"feedback", "tensorzero"}),
    ],
)
def test_a_role_may_what_the_table_says(make_key: MakeKey, locked: Locked, gateway: str, role: str, allowed: set[str]):
    header = bearer(make_key(role))
    locked(gateway)
    calls = {
        "chat": ("POST", "/v1/chat/completions"), "models": ("GET", "/v1/models"), "metrics": ("GET", "/metrics"),
        "feedback": ("POST", "/v1/feedback"), "tensorzero": ("POST", "/feedback"), "page": ("GET", "/"),
        "exchanges": ("POST", "/v1/exchanges"), "file": ("GET", "/static/nothing.css"),
    }  # fmt: skip
    statuses = {
        name: httpx.request(method, gateway + path, headers=header, json={} if method == "POST" else None).status_code
        for name, (method, path) in calls.items()
    }
    assert {name for name, status in statuses.items() if status != 403} == allowed
    assert 401 not in statuses.values()


def test_what_the_table_does_not_name_is_for_operators():
    for method, path in [
        ("GET", "/"), ("GET", "/metrics"), ("GET", "/v1/feedback"), ("POST", "/v1/models"), ("GET", "/v1/modelsX"),
        ("POST", "/v1/feedback2"), ("GET", "/V1/models"), ("POST", "//v1/feedback"), ("PUT", "/v1/exchanges"),
    ]:  # fmt: skip
        assert roles_for(method, path) == {"operator"}, path
    assert roles_for("HEAD", "/v1/models/tiny@0") == {"operator", "app"}


def test_a_browser_is_asked_for_the_key_and_sends_it_as_password(make_key: MakeKey, locked: Locked, gateway: str):
    operator = make_key("operator")
    locked(gateway)
    asked = httpx.get(f"{gateway}/")
    assert asked.headers["www-authenticate"] == 'Basic realm="Loopwise"'
    page = httpx.get(f"{gateway}/", headers=basic(operator))
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    # a script's failed call must not open the browser's dialog
    assert httpx.get(f"{gateway}/v1/models").headers["www-authenticate"] == 'Bearer realm="Loopwise"'


def test_revoking_works_within_a_second_and_never_opens_the_gateway(app_key: str, store: Store, gateway: str):
    def status() -> int:
        return httpx.get(f"{gateway}/v1/models", headers=bearer(app_key)).status_code

    assert status() == 200
    revoke(store, app_key)
    until(lambda: status() == 401, 1.5)
    assert httpx.get(f"{gateway}/v1/models").status_code == 401


def test_the_first_key_closes_a_running_gateway_within_a_second(gateway: str, make_key: MakeKey):
    assert httpx.get(f"{gateway}/v1/models").status_code == 200
    key = make_key("app")
    until(lambda: httpx.get(f"{gateway}/v1/models").status_code == 401, 1.5)
    assert httpx.get(f"{gateway}/v1/models", headers=bearer(key)).status_code == 200


def test_while_the_keys_cannot_be_read_those_last_known_keep_their_rights(
    app_key: str, tmp_path: Path, gateway: str, caplog: pytest.LogCaptureFixture
):
    header = bearer(app_key)
    assert httpx.get(f"{gateway}/v1/models", headers=header).status_code == 200
    database = sqlite3.connect(tmp_path / "loopwise.db")
    database.execute("ALTER TABLE api_keys RENAME TO lost")
    time.sleep(0.6)  # longer than the gateway takes its last reading for fresh
    assert httpx.get(f"{gateway}/v1/models", headers=header).status_code == 200
    assert httpx.get(f"{gateway}/v1/models").status_code == 401
    time.sleep(0.6)
    assert httpx.get(f"{gateway}/v1/models", headers=header).status_code == 200
    [alarm] = [record.message for record in caplog.records if record.levelname == "ERROR"]  # of both readings
    assert "The API keys cannot be read, so those last known keep their rights" in alarm
    database.execute("UPDATE lost SET revoked = 1")
    database.execute("ALTER TABLE lost RENAME TO api_keys")
    database.commit()
    database.close()
    until(lambda: httpx.get(f"{gateway}/v1/models", headers=header).status_code == 401, 1.5)


def last_used(store: Store) -> float | None:
    with store.reading() as conn:
        return keys.all_keys(conn)[0].last_used


def test_the_last_use_is_kept_once_a_minute(app_key: str, store: Store, gateway: str):
    assert last_used(store) is None
    began = time.time()
    httpx.get(f"{gateway}/v1/models", headers=bearer(app_key[:-2] + "00"))
    httpx.get(f"{gateway}/v1/models", headers=bearer(app_key))
    until(lambda: last_used(store) is not None, 2.0)
    first = last_used(store)
    assert first is not None
    assert began <= first <= time.time()
    for _ in range(5):
        httpx.get(f"{gateway}/v1/models", headers=bearer(app_key))
    assert last_used(store) == first


def test_keeping_the_last_use_waits_for_nobody(app_key: str, tmp_path: Path, store: Store, gateway: str):
    writer = sqlite3.connect(tmp_path / "loopwise.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    assert httpx.get(f"{gateway}/v1/models", headers=bearer(app_key)).status_code == 200
    assert time.monotonic() - began < 2.0  # the store's own patience is 15 s
    writer.execute("ROLLBACK")
    until(lambda: last_used(store) is not None, 5.0)
    writer.close()


@pytest.fixture
def listed(store: Store, model: Model) -> Any:
    """A gateway that pages of one other origin may call."""
    settings = GatewaySettings(origins=[PAGE])
    with serving(create_app(store, Upstream(model.url, None, "embedded", "tiny"), settings=settings)) as url:
        yield url


def test_a_listed_page_asks_first_and_then_may_call(make_key: MakeKey, locked: Locked, listed: str):
    key = make_key("feedback")
    locked(listed)
    asking = {"origin": PAGE, "access-control-request-method": "POST",
              "access-control-request-headers": "authorization,content-type,x-stainless-os"}  # fmt: skip
    told = httpx.options(f"{listed}/v1/feedback", headers=asking)
    assert told.status_code == 204
    assert told.headers["access-control-allow-origin"] == PAGE
    assert told.headers["access-control-allow-headers"] == "authorization,content-type,x-stainless-os"
    assert "POST" in told.headers["access-control-allow-methods"]
    assert told.headers["vary"] == "Origin"
    given = httpx.post(f"{listed}/v1/feedback", json=THUMB, headers=bearer(key) | {"origin": PAGE})
    assert (given.status_code, given.headers["access-control-allow-origin"]) == (202, PAGE)
    assert "access-control-allow-credentials" not in given.headers
    # a page can read why it is refused
    refused = httpx.post(f"{listed}/v1/feedback", json=THUMB, headers={"origin": PAGE})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, PAGE)
    assert httpx.get(f"{listed}/healthz").headers["vary"] == "Origin"


def test_another_page_may_neither_ask_nor_call_even_with_a_key(make_key: MakeKey, locked: Locked, listed: str):
    key = make_key("operator")
    locked(listed)
    for origin in ("https://evil.example", "null", f"{PAGE}.evil.example", "http://app.example"):
        asked = httpx.options(
            f"{listed}/v1/feedback", headers={"origin": origin, "access-control-request-method": "POST"}
        )
        called = httpx.post(f"{listed}/v1/feedback", json=THUMB, headers=bearer(key) | {"origin": origin})
        assert (asked.status_code, called.status_code) == (403, 403)
        assert called.json()["error"]["code"] == "origin_not_allowed"
        assert "access-control-allow-origin" not in {*asked.headers, *called.headers}


def test_with_a_key_any_host_may_be_named_and_our_own_page_may_call(make_key: MakeKey, locked: Locked, gateway: str):
    header = bearer(make_key("operator")) | {"host": "loopwise.internal:8443"}
    locked(gateway)
    assert httpx.get(f"{gateway}/v1/models", headers=header).status_code == 200
    own = header | {"origin": "https://loopwise.internal:8443"}
    assert httpx.post(f"{gateway}/v1/feedback", json=THUMB, headers=own).status_code == 202


def test_a_listed_page_may_call_without_keys_on_this_machine_alone(listed: str):
    given = httpx.post(f"{listed}/v1/feedback", json=THUMB, headers={"origin": PAGE})
    assert (given.status_code, given.headers["access-control-allow-origin"]) == (202, PAGE)
    rebound = httpx.post(f"{listed}/v1/feedback", json=THUMB, headers={"origin": PAGE, "host": "app.example"})
    assert rebound.status_code == 403
