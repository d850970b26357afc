"""The page in a real browser."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from chromium import browser, until, wants_browser
from loopwise.store import exchanges, feedback

pytestmark = [pytest.mark.slow, wants_browser]


ASK = """
document.getElementById('question').value = '<b>what?</b>';
document.getElementById('send').click();
"""


def test_a_person_asks_rates_and_corrects_and_nothing_hostile_runs(site: Any, tmp_path: Path):
    async def play() -> None:
        async with browser(tmp_path / "profile") as tab:
            await tab.open(site.url)
            await tab.run(ASK)
            await tab.run(until("document.querySelector('.opinion:not([hidden])')"))
            said = await tab.run("document.querySelector('.answer').textContent")
            assert said.startswith("I hear <img src=x onerror=")
            assert await tab.run("document.querySelector('.asked').textContent") == "<b>what?</b>"
            assert await tab.run("document.querySelectorAll('.talk img, .talk script, .talk b').length") == 0
            assert await tab.run("document.title") == "Loopwise"
            for thumb in (".thumb.up", ".thumb.down"):
                await tab.run(f"document.querySelector('{thumb}').click()")
                await tab.run(until(f"document.querySelector('{thumb}').getAttribute('aria-pressed') === 'true'"))
            await tab.run("document.querySelector('.correct').click()")
            await tab.run("document.querySelector('.correction textarea').value = 'the right one'")
            await tab.run("document.querySelector('.correction button').click()")
            await tab.run(until("document.querySelector('.said').textContent === 'The correction is noted.'"))

    asyncio.run(play())
    with site.store.reading() as conn:
        *_, (_, exchange) = exchanges.up_to(conn, exchanges.watermark(conn))
        given = feedback.of_exchange(conn, exchange.id)
    assert exchange.request["messages"] == [{"role": "user", "content": "<b>what?</b>"}]
    assert [(row.kind, row.value) for row in given] == [("thumbs", 1), ("thumbs", -1), ("correction", "the right one")]
    assert given[1].supersedes == given[0].id
    assert {row.user for row in given} == {exchange.user}
    assert exchange.episode is not None


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_a_phone_and_a_desk(site: Any, tmp_path: Path, width: int):
    async def measure() -> int:
        async with browser(tmp_path / "profile") as tab:
            size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
            await tab.call("Emulation.setDeviceMetricsOverride", **size)
            await tab.open(site.url)
            return await tab.run("document.documentElement.scrollWidth")

    assert asyncio.run(measure()) <= width
