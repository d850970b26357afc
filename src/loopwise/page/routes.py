"""``GET /`` and the files that it names, all from the package: nothing is fetched from elsewhere."""

from __future__ import annotations

import asyncio
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from loopwise.page.chart import drawn
from loopwise.page.view import read_view
from loopwise.store import Store

_HEADERS = {
    # what people and models wrote can then run nothing, even if an escape were forgotten
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def page_routes(store: Store) -> list[BaseRoute]:
    """The page, drawn anew from ``store`` at each request."""
    template = Environment(
        loader=PackageLoader("loopwise.page"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("page.html")  # fmt: skip

    def rendered() -> str:
        view = read_view(store)
        return template.render(view=view, chart=drawn(view.points) if view.points else None)

    async def page(_: Request) -> HTMLResponse:
        return HTMLResponse(await asyncio.to_thread(rendered), headers=_HEADERS)

    return [Route("/", page), Mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))]
