"""Loopwise beside another gateway, as the documents say: a project, ``up --only gateway``, exchanges and feedback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import loopwise as product
from loopwise.cli.project import opened
from loopwise.compute.services import Service, free_port
from loopwise.store import exchanges, feedback

from .conftest import loopwise, loopwise_json

pytestmark = pytest.mark.slow


@pytest.fixture
def only_gateway() -> Iterator[Callable[[Path, str], None]]:
    """Starts ``loopwise up --only gateway`` for a project."""
    services: list[Service] = []

    def start(folder: Path, url: str) -> None:
        args = ["up", "--only", "gateway", "--dir", str(folder)]
        services.append(Service("gateway", args, folder / "logs" / "gateway.log"))
        services[-1].wait_ready(f"{url}/healthz")

    yield start
    for service in services:
        service.stop()


def test_what_another_gateway_served_is_recorded_rated_and_imported_beside_it(
    tmp_path: Path, only_gateway: Callable[[Path, str], None]
):
    folder = tmp_path / "project"
    loopwise("init", str(folder))
    port = free_port()
    toml = folder / "loopwise.toml"
    toml.write_text(toml.read_text().replace("port = 4040", f"port = {port}"))
    url = f"http://127.0.0.1:{port}"
    only_gateway(folder, url)
    asked = [{"role": "user", "content": "6 times 7?"}]
    with product.Client(url) as client:
        assert client.thumbs("msg-1", 1, user="u1").joined is False  # it comes before its exchange
        client.exchange(id="msg-1", model="gpt-5", messages=asked, content="42", user="u1")
        assert client.correct("msg-1", "forty-two", user="u1").joined is True
    log = [{"id": f"msg-{n}", "request": {"model": "gpt-5", "messages": asked}, "content": "42"} for n in (1, 2)]
    logs = tmp_path / "logs.jsonl"
    logs.write_text("".join(json.dumps(row) + "\n" for row in log))
    for new in (1, 0):
        done = loopwise_json("import", str(logs), "--format", "openai", "--dir", str(folder))
        assert (done["exchanges"], done["known"], done["refused_count"]) == (new, 2 - new, 0)
    with opened(folder) as project, project.store.reading() as conn:
        rows = [exchange for _, exchange in exchanges.up_to(conn, exchanges.watermark(conn))]
        said = feedback.of_exchange(conn, "msg-1")
    assert [(row.id, row.arm, row.release) for row in rows] == [
        ("msg-1", "external", "external:gpt-5"),
        ("msg-2", "external", "external:gpt-5"),
    ]
    assert [row.kind for row in said] == ["thumbs", "correction"]
    assert rows[0].user == said[0].user not in (None, "u1")
