"""Text as a reader sees it: hidden characters taken out, look-alikes made plain, with the way back to the original.

After Unicode Technical Standard 39 ("confusables"), of which only the letters that pass for ASCII in the usual fonts
are covered. Only recognizers read a view; what is not redacted stays as it was written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# Zero-width characters, direction marks and soft hyphens: they show as nothing.
_HIDDEN = dict.fromkeys([0xAD, 0x34F, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, 0xFEFF])
_CYRILLIC = dict(zip("асԁеһіјӏорԛѕԝхуАВЕНІЈКМОРЅТХУ", "acdehijlopqswxyABEHIJKMOPSTXY", strict=True))  # noqa: RUF001
_GREEK = dict(zip("οΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "oABEZHIKMNOPTYX", strict=True))  # noqa: RUF001
_DASHES = dict.fromkeys("‐‑‒–—―−﹣－", "-")  # noqa: RUF001
_COMPATIBLE = [*range(0xFF01, 0xFF5F), *range(0x1D400, 0x1D800), *range(0x24B6, 0x24EA), 0x2024, 0xFE52]
_SPACES = [0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000]


def _table() -> dict[int, str | None]:
    table: dict[int, str | None] = {ord(seen): plain for seen, plain in (_CYRILLIC | _GREEK | _DASHES).items()}
    for code in _COMPATIBLE:
        plain = unicodedata.normalize("NFKC", chr(code))
        if len(plain) == 1 and plain.isascii():
            table[code] = plain
    for code in range(0x80, 0x10000):
        if chr(code).isdecimal():
            table[code] = str(unicodedata.decimal(chr(code)))
    return table | dict.fromkeys(_SPACES, " ") | _HIDDEN | {0x3002: ".", 0x2024: "."}


_TABLE = _table()
_ODD = frozenset(map(chr, _TABLE))
_NOT_ASCII = re.compile("[^\x00-\x7f]+")
_HIDES = re.compile("[" + "".join(map(re.escape, map(chr, sorted(_HIDDEN)))) + "]")


def view(text: str) -> tuple[str, Sequence[int] | None]:
    """What is seen, and for each place in it (and its end) the place in ``text``; None where they are the same."""
    if text.isascii() or _ODD.isdisjoint("".join(_NOT_ASCII.findall(text))):
        return text, None
    seen = text.translate(_TABLE)
    if len(seen) == len(text):
        return seen, None
    return seen, [place for place, character in enumerate(text) if not _HIDES.match(character)] + [len(text)]
