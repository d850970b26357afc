"""``loopwise keys``: makes, lists and revokes API keys. A key's text is shown once, when it is made."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from loopwise.cli.options import HERE, Dir, Json
from loopwise.cli.output import clock, emit, table
from loopwise.cli.project import opened
from loopwise.store import keys as stored
from loopwise.types import JsonObject

keys = typer.Typer(
    help="API keys: without one, only programs on this machine are served.", rich_markup_mode=None, add_completion=False
)

_SHOWN = ("id", "name", "role", "per_minute", "at_once", "at", "last_used", "revoked")


@keys.callback(invoke_without_command=True)
def _list(context: typer.Context, dir: Dir = HERE, json: Json = False) -> None:
    """Lists the keys. Example: loopwise keys --dir my-project"""
    if context.invoked_subcommand:
        return
    with opened(dir) as project, project.store.reading() as conn:
        found = stored.all_keys(conn)
    rows = [
        (key.id, key.name, key.role, _limits(key), clock(key.at), _when(key.last_used), _when(key.revoked))
        for key in found
    ]
    shown = table(["id", "name", "role", "limits", "made", "last used", "revoked"], rows)
    shown.columns[0].no_wrap = True  # revoking wants it whole
    emit({"keys": [_row(key) for key in found]}, json, shown)


@keys.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    role: Annotated[str, typer.Option(help="What it may do: operator, app or feedback.")] = "app",
    per_minute: Annotated[int | None, typer.Option(min=1, help="Requests a minute; default: any number.")] = None,
    at_once: Annotated[int | None, typer.Option(min=1, help="Requests at once; default: any number.")] = None,
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Makes a key and shows it, this once. From the first key on, every request needs one. Example: loopwise keys
    create my-app --role app --per-minute 600"""
    with opened(dir) as project, project.store.writing() as conn:
        key, text = stored.make(conn, name, role, time.time(), per_minute=per_minute, at_once=at_once)
    sentence = f"The key {key.id} {stored.ROLES[key.role]}. It is shown this once:"
    emit({**_row(key), "key": text}, json, f"{sentence}\n\n  {text}\n\nSend it as 'Authorization: Bearer {text[:3]}…'.")


@keys.command("revoke")
def revoke(
    id: Annotated[str, typer.Argument(help="The key's id, which 'loopwise keys' lists.")],
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Takes a key back. Example: loopwise keys revoke 3k7dm2qa --dir my-project"""
    with opened(dir) as project, project.store.writing() as conn:
        key = stored.revoke(conn, id, time.time())
    emit(_row(key), json, f"The key {key.id} ({key.name}) is revoked; a running gateway refuses it within a second.")


def _row(key: stored.ApiKey) -> JsonObject:
    return {name: vars(key)[name] for name in _SHOWN}


def _limits(key: stored.ApiKey) -> str:
    parts = [f"{key.per_minute}/min"] if key.per_minute else []
    parts += [f"{key.at_once} at once"] if key.at_once else []
    return ", ".join(parts) or "-"


def _when(at: float | None) -> str:
    return "-" if at is None else clock(at)
