"""Bank account numbers: a country's length and the check digits by modulus 97 (ISO 13616-1; SWIFT's IBAN registry)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loopwise.curate.pii.spans import Seen, Span

FEWEST_DIGITS = 10  # of the shortest, and of those with most letters
_COUNTRIES = {  # by the length of their numbers
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
_LENGTHS = {country: length for length, countries in _COUNTRIES.items() for country in countries.split()}
# From the check digits backwards: digits are rarer than pairs of letters.
_CHECK = re.compile(r"\d\d(?:(?<=[A-Za-z]{2}\d\d)|(?<=[A-Za-z]{2}[ \-]\d\d))", re.ASCII)
_GAP = re.compile(r"[ .\-]?(?:\r?\n)?[ ]{0,2}")


def find_ibans(seen: Seen) -> Iterator[Span]:
    text = seen.text
    if seen.digits < FEWEST_DIGITS:
        return
    for match in _CHECK.finditer(text):
        start = match.start() - 2 - (not text[match.start() - 1].isalpha())
        country = text[start : start + 2].upper()
        if country not in _LENGTHS or (start and text[start - 1].isalnum()):
            continue
        found = _read(text, start, _LENGTHS[country])
        if found and valid(found[1]):
            yield Span(start, found[0], "IBAN", found[1])


def valid(number: str) -> bool:
    """Whether an upper-case IBAN without spaces has its country's length and the right check digits."""
    if len(number) != _LENGTHS.get(number[:2]):
        return False
    return int("".join(str(int(character, 36)) for character in number[4:] + number[:4])) % 97 == 1


def _read(text: str, start: int, length: int) -> tuple[int, str] | None:
    """The end and the ``length`` letters and digits from ``start``, over single separators; None where there are fewer
    or one more follows at once."""
    found: list[str] = []
    at = start
    while len(found) < length and at < len(text):
        character = text[at]
        if character.isascii() and character.isalnum():
            found.append(character.upper())
            at += 1
        elif (gap := _GAP.match(text, at)) and gap.end() > at:
            at = gap.end()
        else:
            return None
    if len(found) < length or text[at : at + 1].isalnum():
        return None
    return at, "".join(found)
