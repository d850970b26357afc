"""A page of another origin, in a real browser, sends feedback with the snippet of the documents."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from chromium import Tab, browser, wants_browser
from loopwise.config import GatewaySettings
from loopwise.gateway.app import create_app
from loopwise.gateway.upstream import Upstream
from loopwise.store import Store, feedback, keys
from scripted import Model, serving

pytestmark = [pytest.mark.slow, wants_browser]

DOCUMENT = Path(__file__).parents[2] / "docs" / "feedback.md"


async def _page(_: Any) -> HTMLResponse:
    return HTMLResponse("<title>an app</title>")


def _snippet(gateway: str, key: str) -> str:
    (code,) = re.findall(r"^```js\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    code = code.replace("http://127.0.0.1:4040", gateway).replace("lw_…", key).replace("ex_…", "ex_1")
    return f"(async () => {{ try {{ {code}; return 'sent' }} catch (error) {{ return String(error) }} }})()"


async def _sent(tab: Tab, page: str, code: str) -> str:
    await tab.open(page)
    return await tab.run(code)


def test_a_listed_origin_may_send_feedback_and_no_other(store: Store, model: Model, tmp_path: Path):
    with store.writing() as conn:
        _, key = keys.make(conn, "a page", "feedback", time.time())
    upstream = Upstream(model.url, None, "embedded", "tiny")
    app = Starlette(routes=[Route("/", _page)])
    with serving(app) as listed, serving(app) as other:
        settings = GatewaySettings(origins=[listed])
        with serving(create_app(store, upstream, settings=settings)) as gateway:

            async def play() -> list[str]:
                async with browser(tmp_path / "profile") as tab:
                    pairs = [(listed, key), (other, key), (listed, "lw_wrong")]
                    return [await _sent(tab, page, _snippet(gateway, text)) for page, text in pairs]

            said = asyncio.run(play())
    assert said[:2] == ["sent", "TypeError: Failed to fetch"]
    assert said[2].startswith("Error: The API key is not valid")
    with store.reading() as conn:
        rows = [row for _, row in feedback.up_to(conn, feedback.watermark(conn))]
    assert [(row.exchange_id, row.kind, row.value) for row in rows] == [("ex_1", "thumbs", 1)]
