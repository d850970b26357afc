"""Labels against what a detector finds: per kind, per trick, and on text without anything to find."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from benchmarks.redaction.labels import Label, Record

from loopwise.curate.ledger import Ledger
from loopwise.curate.redact import redact
from loopwise.stats.intervals import wilson
from loopwise.types import Example

KINDS = ("EMAIL", "PHONE", "CARD", "IBAN", "IP", "KEY")


class Found(NamedTuple):
    start: int
    end: int
    kind: str


Detector = Callable[[str], Sequence[Found]]


@dataclass(frozen=True)
class Share:
    """``k`` of ``n`` with Wilson's interval at 95 %."""

    k: int
    n: int
    share: float
    low: float
    high: float


def share(k: int, n: int) -> Share | None:
    if not n:
        return None
    interval = wilson(k, n)
    return Share(k, n, k / n, interval.low, interval.high)


def compare(detect: Detector, records: Iterable[Record], kinds: Sequence[str] = KINDS) -> dict:
    """Recall: labels all of whose letters and digits lie in findings of their kind. Precision: findings that overlap a
    label of their kind."""
    labels, hit = Counter[str](), Counter[str]()
    tricks, trick_hit = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    findings, right = Counter[str](), Counter[str]()
    forms, form_hit = Counter[str](), Counter[str]()
    for record in records:
        found = [span for span in detect(record.text) if span.kind in kinds]
        for span in found:
            findings[span.kind] += 1
            right[span.kind] += any(_overlap(span, label) and span.kind == label.kind for label in record.labels)
        for label in (label for label in record.labels if label.kind in kinds):
            whole = covered(record.text, label, found)
            labels[label.kind] += 1
            hit[label.kind] += whole
            tricks[label.kind, label.trick] += 1
            trick_hit[label.kind, label.trick] += whole
            forms[record.form] += 1
            form_hit[record.form] += whole
    return {
        "recall": {kind: _row(hit[kind], labels[kind]) for kind in kinds},
        "precision": {kind: _row(right[kind], findings[kind]) for kind in kinds},
        "by_trick": {
            f"{kind}, {trick or 'plain'}": _row(trick_hit[kind, trick], n)
            for (kind, trick), n in sorted(tricks.items())
        },
        "by_format": {form: _row(form_hit[form], n) for form, n in forms.items()},
    }


def covered(text: str, label: Label, found: Sequence[Found]) -> bool:
    same = [span for span in found if span.kind == label.kind and _overlap(span, label)]
    places = (at for at in range(label.start, label.end) if text[at].isalnum())
    return all(any(span.start <= at < span.end for span in same) for at in places)


def _overlap(span: Found, label: Label) -> bool:
    return span.start < label.end and label.start < span.end


def false_alarms(detect: Detector, records: Iterable[Record], kinds: Sequence[str] = KINDS) -> dict:
    """The share of clean records in which anything is found, for each sort of text."""
    n, wrong = Counter[str](), Counter[str]()
    for record in records:
        n[record.form] += 1
        wrong[record.form] += any(span.kind in kinds for span in detect(record.text))
    return {form: _row(wrong[form], n[form]) for form in n}


def total(rows: dict) -> dict | None:
    shares = [row for row in rows.values() if row]
    return _row(sum(row["k"] for row in shares), sum(row["n"] for row in shares))


def gone(records: Sequence[Record]) -> dict:
    """End to end: labels whose text is nowhere in the redacted record, whatever kind it was taken for."""
    n, out = Counter[str](), Counter[str]()
    examples = [_example(record.text) for record in records]
    for record, example in zip(records, redact(examples, Ledger()), strict=True):
        for label in record.labels:
            n[label.kind] += 1
            out[label.kind] += record.text[label.start : label.end] not in example.messages[0]["content"]
    return {kind: _row(out[kind], n[kind]) for kind in KINDS}


def speed(texts: Sequence[str], run: Callable[[Sequence[str]], object], rounds: int = 3) -> dict:
    """Best of ``rounds`` on one core, in records and megabytes of UTF-8 a second of processor time."""
    size = sum(len(text.encode()) for text in texts)
    seconds: list[float] = []
    for _ in range(rounds):
        began = time.process_time()
        run(texts)
        seconds.append(time.process_time() - began)
    best = min(seconds)
    return {"records": len(texts), "bytes": size, "records_per_s": len(texts) / best, "mb_per_s": size / best / 1e6}


def redact_all(texts: Sequence[str]) -> int:
    return sum(1 for _ in redact([_example(text) for text in texts], Ledger()))


def _example(text: str) -> Example:
    return Example(({"role": "user", "content": text},), "Done.", "approved", "people", ("ex",))


def _row(k: int, n: int) -> dict | None:
    found = share(k, n)
    return asdict(found) if found else None
