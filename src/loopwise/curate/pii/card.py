"""Payment card numbers: an issuer's prefix and length, the usual grouping, and the Luhn check digit (ISO/IEC 7812-1).

Not covered: numbers with a mistyped digit, digits that are spaced one by one, issuers without a prefix here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from loopwise.curate.pii.spans import Seen, Span

FEWEST_DIGITS = 14
_GAP = r"(?:[ .\-]|\r?\n){1,2}"
_LONG = re.compile(r"\d(?:[ .\-\r\n\t]{0,6}\d){13}", re.ASCII)
_GROUPED = re.compile(
    rf"(?<!\d)(?<!\w[.,\-])(?=(\d{{14,19}}|\d{{4}}{_GAP}\d{{4}}{_GAP}\d{{4}}{_GAP}\d{{4}}(?:{_GAP}\d{{3}})?"
    rf"|\d{{4}}{_GAP}\d{{6}}{_GAP}\d{{4,5}}|\d{{8}}{_GAP}\d{{8}}|\d{{2,17}}-?\r?\n[ \t]{{0,4}}\d{{2,17}})(?![\d]))",
    re.ASCII,
)
_ISSUERS: tuple[tuple[int, int, frozenset[int]], ...] = (  # first prefix, last prefix, lengths
    (4, 4, frozenset({16, 19})),  # Visa; its 13 digits are history, and time stamps have as many
    (51, 55, frozenset({16})),  # Mastercard
    (2221, 2720, frozenset({16})),
    (34, 34, frozenset({15})),  # American Express
    (37, 37, frozenset({15})),
    (6011, 6011, frozenset({16, 19})),  # Discover
    (644, 659, frozenset({16, 19})),
    (3528, 3589, frozenset({16, 19})),  # JCB
    (300, 305, frozenset({14})),  # Diners Club
    (36, 36, frozenset({14})),
    (38, 39, frozenset({14})),
    (62, 62, frozenset({16, 19})),  # UnionPay
    (6304, 6304, frozenset({16, 19})),  # Maestro
    (6759, 6763, frozenset({16, 19})),
)


def find_cards(seen: Seen) -> Iterator[Span]:
    if seen.digits < FEWEST_DIGITS or not _LONG.search(seen.text):
        return
    text, end = seen.text, 0
    for match in _GROUPED.finditer(text):
        start = match.start(1)
        if start < end or (start and text[start - 1].isalpha()) or text[match.end(1) : match.end(1) + 1].isalpha():
            continue
        digits = re.sub(r"\D", "", match[1])
        if issued(digits) and luhn(digits) and not ("\n" in match[1] and _column(text, start)):
            end = match.end(1)
            yield Span(start, end, "CARD", digits)


def issued(digits: str) -> bool:
    """Whether some issuer gives out numbers of this prefix and length."""
    return any(
        first <= int(digits[: len(str(first))]) <= last and len(digits) in lengths for first, last, lengths in _ISSUERS
    )


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1, annex B)."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _column(text: str, start: int) -> bool:
    """Whether the number begins its line: what goes on below it is then a list's next entry, not its second half."""
    return not text[text.rfind("\n", 0, start) + 1 : start].strip(" \t>|*-")
