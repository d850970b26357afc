"""The formats that ``loopwise import`` and ``loopwise export`` know. A new one is a file and a line here; those of a
dataset, for training elsewhere, stand in ``training.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from loopwise.transfer import langfuse, open_webui, openai, own
from loopwise.transfer.export import Writer, own_rows
from loopwise.transfer.row import Reader, each
from loopwise.types import JsonObject


@dataclass(frozen=True)
class Format:
    """``knows`` says whether a row looks like one of this format: for whoever named another."""

    read: Reader
    knows: Callable[[JsonObject], bool]


IMPORTS: Mapping[str, Format] = {
    "open-webui": Format(each(open_webui.read), open_webui.knows),
    "langfuse": Format(each(langfuse.read), langfuse.knows),
    "openai": Format(openai.reader, openai.knows),
    "loopwise": Format(own.reader, own.knows),
}

EXPORTS: Mapping[str, Writer] = {
    "loopwise": own_rows,
}
