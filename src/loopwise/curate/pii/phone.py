"""Telephone numbers: international ones (ITU-T E.164), those in the forms of North America and of countries that dial a
leading 0, and any number after a word such as "phone".

Digits alone are no phone number here: without a plus sign, a grouping or a word before them they are as likely an order
number. Not covered: bare digits in a table's column, numbers spelled in words or letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from loopwise.curate.pii.spans import Seen, Span

FEWEST_DIGITS = 7
_GAP = r"(?:[ .\-/]| ?[()] ?[\-/]?| - |[ \-]?\r?\n ?)?"
_EXTENSION = r"(?:[ ,;]{0,2}(?:x|ext\.?|extension|durchwahl|poste|#)[ :.]{0,2}\d{1,6}(?!\d))?"
_LONG = re.compile(r"\d(?:[ .\-/()\r\n]{0,4}\d){6}", re.ASCII)  # wider than any gap, and quicker
_FREE = r"(?<!\w)(?<!\w[.,\-/:])"  # nothing before it that would make it the end of something longer
_INTERNATIONAL = re.compile(rf"(?<![\w+])(\(?\+\(?[1-9](?:{_GAP}\d){{7,14}})(?!\w|\.\d){_EXTENSION}", re.ASCII | re.I)
_NORTH_AMERICAN = re.compile(
    rf"{_FREE}((?:1[ .\-])?(?:\([2-9]\d\d\)[ .\-]?|[2-9]\d\d[.\-])[2-9]\d\d[ .\-]\d{{4}})(?![\w]|[.\-]\d){_EXTENSION}",
    re.ASCII | re.I,
)
_NATIONAL = re.compile(
    rf"{_FREE}(?<![0-9a-f]\d )(?<!\d[a-f] )"  # a dump of bytes is no row of French pairs
    rf"(\(?(?:0[1-9]\d{{0,4}}|00[1-9]\d{{0,2}})\)?[ /\-]\d{{2,8}}(?:[ \-]\d{{2,5}}){{0,4}}"
    rf"|0[1-9](?:\.\d\d){{4}})(?!\w|[ .,\-]\d| [0-9a-f]\d\b| [a-f]{{2}}\b){_EXTENSION}",
    re.ASCII | re.I,
)
_AFTER_WORD = re.compile(
    r"(?<![A-Za-z])(?:(?:home|work|cell|mobile|contact|customer|user|office)_?)?(?:telephones?|telefon|teléfono|"
    r"téléphone|tél|tel|phones?|ph|mobile|mobil|móvil|cell|handy|fax|whatsapp|sms|hotline|voicemail|call|dial|ring|"
    r"text|reach|wa\.me)(?![a-z])"
    rf"([^\d\[\]]{{1,24}}?)(\(?\d(?:{_GAP}\d){{6,14}})(?![\d%]|[.,]\d|[ ]?[*/=]){_EXTENSION}",
    re.ASCII | re.I,
)
_DATED = re.compile(r"(?:(?:19|20)\d\d[.\-/ ]\d\d?[.\-/ ]\d\d?|\d\d?[.\-/ ]\d\d?[.\-/ ](?:19|20)\d\d)(?!\d)", re.ASCII)
_NUMBERED = re.compile(
    r"(?:\b|_)(?:order|orders|invoice|ticket|ref|reference|case|isbn|issn|sku|account|acct|tracking|serial|part|policy|"
    r"claim|id|po|doi|ein|ssn|vin|imei|model|batch|lot|patent|confirmation|booking|member|license|licence|item|upc|ean|"
    r"receipt|transaction|request|build|version)\b[^\w\n]{0,3}(?:no|number|nr|num|id|code)?\b[^\w\n]{0,4}(?:is )?$",
    re.IGNORECASE,
)
_WEAK = re.compile(r"(?:call|dial|ring|text|reach|ph|cell|mobile|handy)$", re.IGNORECASE)


def find_phones(seen: Seen) -> Iterator[Span]:
    if seen.digits < FEWEST_DIGITS or not _LONG.search(seen.text):
        return
    text = seen.text
    if "+" in text:
        for match in _INTERNATIONAL.finditer(text):
            end = _north_american_end(match) or match.end()
            yield _span(text, match.start(), end)
    for pattern in (_NORTH_AMERICAN, _NATIONAL):
        for match in pattern.finditer(text):
            if _plausible(text, match.start(), match[1]):
                yield _span(text, match.start(), match.end())
    for match in _AFTER_WORD.finditer(text):
        grouped = not match[2].isdigit()
        weak = _WEAK.search(text, match.start(), match.start(1)) is not None
        if _NUMBERED.search(match[1]) or _DATED.match(match[2]) or (weak and not grouped and len(match[2]) < 9):
            continue
        yield _span(text, match.start(2), match.end())


def _span(text: str, start: int, end: int) -> Span:
    number = re.split(r"[x#;,]|ext|poste|durchwahl", text[start:end], maxsplit=1, flags=re.IGNORECASE)[0]
    return Span(start, end, "PHONE", re.sub(r"\D", "", number).lstrip("0"))


def _north_american_end(match: re.Match[str]) -> int | None:
    """Where a number with the country code 1 ends when more digits follow than its eleven."""
    places = [match.start(1) + at for at, character in enumerate(match[1]) if character.isdigit()]
    if match.string[places[0]] != "1" or len(places) <= 11:
        return None
    return places[10] + 1


def _plausible(text: str, start: int, number: str) -> bool:
    digits = sum(character.isdigit() for character in number)
    before = text[max(0, start - 32) : start]
    return 9 <= digits <= 14 and not _DATED.match(number) and not _NUMBERED.search(before)
