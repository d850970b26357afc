"""All recognizers over one text."""

from __future__ import annotations

from collections.abc import Sequence

from loopwise.curate.pii.card import find_cards
from loopwise.curate.pii.email import find_emails
from loopwise.curate.pii.iban import find_ibans
from loopwise.curate.pii.ip import find_ips
from loopwise.curate.pii.keys import find_keys
from loopwise.curate.pii.phone import find_phones
from loopwise.curate.pii.secret import find_secrets
from loopwise.curate.pii.spans import Recognizer, Seen, Span, insert
from loopwise.curate.pii.view import view

# Of two that overlap, the earlier in this table wins: a key may hold anything, digits with a checksum are no phone.
RECOGNIZERS: tuple[Recognizer, ...] = (
    find_keys,
    find_secrets,
    find_ibans,
    find_cards,
    find_emails,
    find_ips,
    find_phones,
)


def find(text: str, more: Sequence[Recognizer] = ()) -> list[Span]:
    """What is to be taken out of ``text``, in its order, without overlaps. ``more`` recognizers come last."""
    plain, places = view(text)
    seen = Seen(plain, plain.lower(), sum(map(plain.count, "0123456789")))
    taken: list[Span] = []
    for recognizer in (*RECOGNIZERS, *more):
        for span in recognizer(seen):
            insert(taken, span)
    if places is None:
        return taken
    return [span._replace(start=places[span.start], end=places[span.end - 1] + 1) for span in taken]
