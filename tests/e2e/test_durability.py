"""Acknowledged means on disk, and stays so: processes that are killed, a disk that fills, a store that is locked."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import aiohttp
import httpx
import pytest

from loopwise import config
from loopwise.cli.init import created
from loopwise.compute.services import free_port
from loopwise.store import Store, exchanges, feedback
from scripted import Model, model_app, serving as served
from small_disk import SmallDisk

URL = "sqlite:///loopwise.db"


@pytest.fixture(scope="module")
def answering() -> Iterator[str]:
    with served(model_app(Model())) as url:
        yield url


@pytest.fixture
def make_project(answering: str) -> Callable[[Path], Path]:
    """A project in front of a server that is not ours."""

    def make(directory: Path, more: str = "") -> Path:
        toml = f'[engine]\nkind = "openai"\nurl = "{answering}"\nmodel = "m"\n[gateway]\nport = {free_port()}\n{more}'
        with created(directory, toml):
            return directory

    return make


@dataclass
class Told:
    """What the gateway acknowledged: ids of exchanges and of feedback."""

    exchanges: list[str] = field(default_factory=list[str])
    feedback: list[str] = field(default_factory=list[str])


class Gateway:
    """``loopwise up --only gateway`` as a process that may be killed."""

    def __init__(self, directory: Path, log: Path):
        self.url = f"http://127.0.0.1:{config.load(directory).gateway.port}"
        args = ["up", "--only", "gateway", "--dir", str(directory)]
        self.log = log
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "loopwise.cli.main", *args], stdout=output, stderr=output
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(20)


def chat(text: str, **more: object) -> dict[str, object]:
    return {"model": "loopwise", "messages": [{"role": "user", "content": text}], **more}


async def use(url: str, told: Told, run: int, kill_after: int, kill: Callable[[], None]) -> None:
    """Eight people at once, whole and streamed answers and a thumb on each, until the gateway is killed."""

    async def one(person: int) -> NoReturn:
        n = 0
        while True:
            n += 1
            streams = n % 2 == 0
            body = chat(f"{run} {person} {n}", user=f"u{person}", stream=streams)
            async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
                content = await answer.read()
                exchange = answer.headers["x-loopwise-exchange"]
                if content.endswith(b"data: [DONE]\n\n") or (not streams and answer.status == 200):
                    told.exchanges.append(exchange)
            name = f"{run}-{person}-{n}"
            said = {"id": name, "exchange_id": exchange, "kind": "thumbs", "value": 1}
            async with session.post(f"{url}/v1/feedback", json=said) as answer:
                await answer.read()
                if answer.status in (200, 202):
                    told.feedback.append(name)
            if len(told.feedback) >= kill_after:
                kill()

    async with aiohttp.ClientSession() as session:
        ends = await asyncio.gather(*(one(person) for person in range(8)), return_exceptions=True)
    for end in ends:  # nobody stops for anything but the kill
        if not isinstance(end, aiohttp.ClientError):
            raise end


def fill(folder: Path) -> Path:
    """Takes all the space that is left; gives the file to remove."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_nothing_acknowledged_is_lost_or_doubled_when_the_gateway_is_killed_under_load(
    make_project: Callable[[Path], Path], tmp_path: Path, kills: int
):
    project = make_project(tmp_path / "project")
    told = Told()
    for run in range(kills):
        gateway = Gateway(project, tmp_path / "gateway.log")
        wanted = len(told.feedback) + 40 + 7 * run

        def kill(process: subprocess.Popen[bytes] = gateway.process) -> None:
            process.send_signal(signal.SIGKILL)

        asyncio.run(use(gateway.url, told, run, wanted, kill))
        assert gateway.process.wait(10) == -signal.SIGKILL
    store = Store(URL, project)
    with store.reading() as conn:
        assert conn.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
        kept = Counter(row.id for _, row in exchanges.up_to(conn, exchanges.watermark(conn)))
        said = Counter(row.id for _, row in feedback.up_to(conn, feedback.watermark(conn)))
    store.close()
    assert len(told.exchanges) >= 40 * kills
    assert set(told.exchanges) <= set(kept)
    assert set(told.feedback) <= set(said)
    assert {*kept.values(), *said.values()} == {1}
    assert len(kept) <= len(told.exchanges) + 8 * kills  # no more than what each person had under way


def test_a_full_disk_is_told_and_the_gateway_recovers_by_itself(
    make_project: Callable[[Path], Path], small_disk: SmallDisk, tmp_path: Path
):
    project = make_project(small_disk.folder / "project")
    gateway = Gateway(project, tmp_path / "gateway.log")
    try:
        ask, say = f"{gateway.url}/v1/chat/completions", f"{gateway.url}/v1/feedback"
        thumb = {"exchange_id": "e", "kind": "thumbs", "value": 1}
        assert httpx.post(ask, json=chat("hi")).headers["x-loopwise-recorded"] == "true"
        filler = fill(small_disk.folder)
        refused = next(
            answer for _ in range(200) if (answer := httpx.post(say, json=thumb)).status_code != 202
        )  # the log's last pages may still take some
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert "the disk is full" in refused.json()["error"]["message"]
        passed_on = httpx.post(ask, json=chat("hi"))
        assert (passed_on.status_code, passed_on.headers["x-loopwise-recorded"]) == (200, "false")
        assert "hears" in passed_on.text
        assert httpx.get(f"{gateway.url}/readyz").status_code == 503
        assert "ALARM: exchange ex_" in gateway.log.read_text()
        filler.unlink()
        assert httpx.post(say, json=thumb).status_code == 202
        assert httpx.post(ask, json=chat("hi")).headers["x-loopwise-recorded"] == "true"
    finally:
        gateway.end()
    store = Store(URL, project)
    with store.reading() as conn:
        assert conn.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    store.close()


def test_a_locked_store_delays_answers_by_seconds_at_most_and_is_told(
    make_project: Callable[[Path], Path], tmp_path: Path
):
    project = make_project(tmp_path / "project")
    gateway = Gateway(project, tmp_path / "gateway.log")
    locker = sqlite3.connect(project / "loopwise.db", isolation_level=None)
    try:
        locker.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=chat("hi"), timeout=20)
        assert (answer.status_code, answer.headers["x-loopwise-recorded"]) == (200, "false")
        assert time.monotonic() - began < 8
        thumb = {"exchange_id": "e", "kind": "thumbs", "value": 1}
        refused = httpx.post(f"{gateway.url}/v1/feedback", json=thumb, timeout=20)
        assert refused.status_code == 503
        assert "another process holds its write lock" in refused.json()["error"]["message"]
        locker.execute("ROLLBACK")
        assert httpx.post(f"{gateway.url}/v1/feedback", json=thumb).status_code == 202
    finally:
        locker.close()
        gateway.end()


def test_a_damaged_store_is_a_sentence_with_the_way_out(make_project: Callable[[Path], Path], tmp_path: Path):
    project = make_project(tmp_path / "project")
    database = project / "loopwise.db"
    database.write_bytes(b"no database" + database.read_bytes()[11:])
    done = subprocess.run(
        [sys.executable, "-m", "loopwise.cli.main", "up", "--only", "gateway", "--dir", str(project)],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert done.returncode == 3
    assert "restore a backup" in done.stderr
    assert "Traceback" not in done.stderr
