"""``loopwise keys`` as people type it, and a gateway that serves every address with one of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from commands import Done, here, in_process
from loopwise.compute.services import Service, free_port
from loopwise.store import Store, keys
from scripted import Model


@pytest.fixture
def project(store: Store, model: Model, tmp_path: Path) -> Path:
    """A project in front of the scripted model, with the store of the tests."""
    (tmp_path / "loopwise.toml").write_text(
        f'[engine]\nkind = "openai"\nurl = "{model.url}/v1"\nmodel = "their-model"\n'
        f'[gateway]\nport = {free_port()}\n[suites.target]\nrole = "target"\nsource = "reasoning-gym:gcd"\n'
    )
    return tmp_path


Run = Callable[..., Done]


@pytest.fixture
def run(project: Path) -> Run:
    return lambda *args: here(*args, "--dir", str(project))


def made(run: Run, *args: str) -> Any:
    done = run("keys", "create", *args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_key_is_shown_once_listed_without_its_text_and_revoked(run: Run, store: Store):
    key = made(run, "my [red] app", "--per-minute", "600", "--at-once", "8")
    assert (key["role"], key["per_minute"], key["at_once"], key["revoked"]) == ("app", 600, 8, None)
    shown = run("keys", "create", "browser", "--role", "feedback").stdout
    [text] = [line.strip() for line in shown.splitlines() if line.strip().startswith("lw_")]
    with store.reading() as conn:
        assert {row.hash for row in keys.all_keys(conn)} == {keys.hash_of(t.encode()) for t in (key["key"], text)}
    listed = run("keys")
    assert key["id"] in listed.stdout
    assert "600/min" in listed.stdout
    assert "[red]" in listed.stdout
    assert text[12:] not in listed.stdout + run("keys", "--json").stdout
    assert run("keys", "revoke", key["id"]).returncode == 0
    rows = {row["id"]: row for row in json.loads(run("keys", "--json").stdout)["keys"]}
    assert rows[key["id"]]["revoked"] is not None
    assert rows[text[3:11]]["revoked"] is None
    assert rows[key["id"]].keys() == {"id", "name", "role", "per_minute", "at_once", "at", "last_used", "revoked"}


@pytest.mark.parametrize(
    ("args", "status", "sentence"),
    [
        (["create", "n", "--role", "king"], 2, "There is no role 'king' for keys: choose operator, app, feedback."),
        (["create", "n", "--per-minute", "0"], 2, "greater than or equal to 1"),
        (["revoke", "nothing"], 2, "There is no API key with the id 'nothing'; those that exist: none yet."),
    ],
)
def test_a_mistake_is_one_sentence(run: Run, args: list[str], status: int, sentence: str):
    done = run("keys", *args)
    assert (done.returncode, sentence in done.stderr) == (status, True), done.stderr


@pytest.fixture
def start(project: Path) -> Iterator[Callable[[str], str]]:
    """Runs the gateway on a host; gives its address on this machine."""
    services: list[Service] = []

    def start(host: str) -> str:
        port = free_port()
        toml = (project / "loopwise.toml").read_text().split("[gateway]")[0]
        toml += f'[gateway]\nhost = "{host}"\nport = {port}\n[suites.target]\nrole = "target"\n'
        (project / "loopwise.toml").write_text(toml + 'source = "reasoning-gym:gcd"\n')
        args = ["up", "--only", "gateway", "--dir", str(project)]
        services.append(Service("gateway", args, project / "logs" / "gateway.log"))
        url = f"http://[::1]:{port}" if ":" in host else f"http://127.0.0.1:{port}"
        services[-1].wait_ready(f"{url}/healthz")
        return url

    yield start
    for service in services:
        service.stop()


def test_every_address_is_served_with_a_key_and_people_are_simulated_with_it(
    run: Run, start: Callable[[str], str], model: Model, monkeypatch: pytest.MonkeyPatch
):
    key = made(run, "mine", "--role", "operator")
    url = start("::")
    for address in (url, url.replace("[::1]", "127.0.0.1")):
        assert httpx.get(f"{address}/v1/models").status_code == 401
        assert httpx.get(f"{address}/v1/models", headers={"authorization": f"Bearer {key['key']}"}).status_code == 200
    use = ("simulate", "--people", "3", "--events", "4", "--json")
    alone = run(*use)
    assert (alone.returncode, "--api-key-env" in alone.stderr) == (3, True), alone.stderr
    assert run(*use, "--api-key-env", "NOT_SET_HERE").returncode == 2
    monkeypatch.setenv("KEY", key["key"])
    together = run(*use, "--api-key-env", "KEY")
    assert json.loads(together.stdout)["events"] == 4, together.stderr
    assert len(model.seen) == 4


def test_another_host_is_refused_at_the_start_without_a_key_that_may_call(run: Run, project: Path):
    made(run, "browser", "--role", "feedback")
    toml = (project / "loopwise.toml").read_text().replace("[gateway]\n", '[gateway]\nhost = "0.0.0.0"\n')
    (project / "loopwise.toml").write_text(toml)
    done = in_process("up", "--only", "gateway", "--dir", str(project))
    assert done.returncode == 2
    assert done.stderr.startswith("loopwise: [gateway] host = '0.0.0.0' would serve other machines")
    assert "loopwise keys create NAME --role operator" in done.stderr
    [access] = [c for c in json.loads(run("doctor", "--json").stdout)["checks"] if c["name"] == "access"]
    assert (access["ok"], access["message"] in done.stderr) == (False, True)
