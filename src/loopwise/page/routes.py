"""stub for the moment"""
from __future__ import annotations
from starlette.routing import BaseRoute
from loopwise.store import Store
def page_routes(store: Store) -> list[BaseRoute]:
    return []
