"""The other routes, who may call, and how the gateway starts."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import httpx
import openai
import pytest

from loopwise.gateway.identity import new_id, pseudonym


def test_models_are_the_alias_and_the_releases(client: openai.OpenAI, gateway: str):
    assert [model.id for model in client.models.list()] == ["loopwise", "tiny@0", "tiny@1"]
    alias = httpx.get(f"{gateway}/v1/models").json()["data"][0]
    assert (alias["release"], alias["state"], alias["system_fingerprint"]) == ("tiny@0", "champion", "sha256:00")


def test_one_model_can_be_asked_about(client: openai.OpenAI):
    assert client.models.retrieve("tiny@1").id == "tiny@1"
    with pytest.raises(openai.NotFoundError, match="GET /v1/models lists them"):
        client.models.retrieve("other/model")


def test_it_is_alive_and_ready(gateway: str):
    assert httpx.get(f"{gateway}/healthz").json() == {"status": "ok"}
    answer = httpx.get(f"{gateway}/readyz")
    assert (answer.status_code, answer.json()["checks"]) == (200, {"store": "ok", "engine": "ok"})


def test_it_is_alive_but_not_ready_without_an_engine(serve_before: Any):
    with serve_before("http://127.0.0.1:9") as url:
        assert httpx.get(f"{url}/healthz").status_code == 200
        answer = httpx.get(f"{url}/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["store"] == "ok"
    assert "cannot be reached" in answer.json()["checks"]["engine"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/nothing", 404), ("GET", "/v1/feedback", 405)])
def test_a_route_that_is_not_there_is_refused_in_openais_form(gateway: str, method: str, path: str, status: int):
    answer = httpx.request(method, gateway + path)
    assert answer.status_code == status
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
    assert path in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [{"host": "evil.example"}, {"host": "evil.example:4040"}, {"origin": "https://evil.example"}, {"origin": "null"}],
)
def test_a_web_page_from_elsewhere_can_neither_read_nor_write(gateway: str, headers: dict[str, str]):
    row = {"exchange_id": "e", "kind": "thumbs", "value": 1}
    assert httpx.post(f"{gateway}/v1/feedback", json=row, headers=headers).status_code == 403
    assert httpx.get(f"{gateway}/v1/models", headers=headers).status_code == 403


def test_our_own_page_may_write(gateway: str):
    row = {"exchange_id": "e", "kind": "thumbs", "value": 1}
    assert httpx.post(f"{gateway}/v1/feedback", json=row, headers={"origin": gateway}).status_code == 202


def test_the_gateway_starts_without_torch():
    code = "import sys, loopwise.gateway.app, loopwise.gateway.server; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_ids_sort_by_time_and_are_26_characters_after_the_prefix():
    ids = [new_id("ex") for _ in range(100)]
    assert len(set(ids)) == 100
    assert {len(made) for made in ids} == {29}
    assert [made[:13] for made in ids] == sorted(made[:13] for made in ids)


def test_pseudonyms_are_the_start_of_the_published_hmac():
    # RFC 4231, test case 2
    assert pseudonym("what do ya want for nothing?", b"Jefe") == "5bdcc146bf60754e6a042426089575c7"
