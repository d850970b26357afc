"""A real browser, driven over the Chrome DevTools protocol."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
wants_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


class Tab:
    """An open page: evaluates JavaScript and awaits what it promises."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse):
        self._socket = socket
        self._last = 0

    async def call(self, method: str, **params: Any) -> Any:
        self._last += 1
        await self._socket.send_json({"id": self._last, "method": method, "params": params})
        while True:
            message = await self._socket.receive_json(timeout=20)
            if message.get("id") == self._last:
                return message["result"]

    async def run(self, expression: str) -> Any:
        """The value of an asynchronous expression, as JSON."""
        answer = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)
        await self.run(until("document.readyState === 'complete' && location.href.startsWith('http')"))


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Tab]:
    command = [
        str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stderr is not None
        told = next(line for line in process.stderr if "DevTools listening on" in line)
        address = told.split("//")[1].split("/")[0]
        async with aiohttp.ClientSession() as session:
            tabs = json.loads(await (await session.get(f"http://{address}/json/list")).text())
            page = next(tab for tab in tabs if tab["type"] == "page")
            async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Tab(socket)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()


def until(condition: str) -> str:
    """JavaScript that waits for ``condition``, ten seconds at most."""
    return f"""new Promise((resolve, reject) => {{
        const started = Date.now();
        const look = () => {{
            if ({condition}) return resolve(true);
            if (Date.now() - started > 10000) return reject(new Error({condition!r}));
            setTimeout(look, 20);
        }};
        look();
    }})"""
