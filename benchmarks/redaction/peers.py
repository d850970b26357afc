"""Other detectors, where somebody installed them beside Loopwise by hand: ``pip install presidio-analyzer scrubadub
datafog``. Their patterns alone: no language model is loaded, so presidio's scores get no lift from context words."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from benchmarks.redaction.measure import Detector, Found

from loopwise.curate.pii.find import find


@dataclass(frozen=True)
class Peer:
    """``kinds`` are those that it looks for; others are left out of its column."""

    name: str
    kinds: tuple[str, ...]
    detect: Detector


def ours() -> Peer:
    def detect(text: str) -> list[Found]:
        return [Found(span.start, span.end, span.kind) for span in find(text)]

    return Peer("loopwise", ("EMAIL", "PHONE", "CARD", "IBAN", "IP", "KEY"), detect)


def installed() -> list[Peer]:
    found: list[Peer] = []
    for package, make in (
        ("presidio-analyzer", _presidio),
        ("phonenumbers", _phonenumbers),
        ("scrubadub", _scrubadub),
        ("datafog", _datafog),
    ):
        try:
            name = f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
        found.append(make(name))
    return found


def _presidio(name: str) -> Peer:
    from presidio_analyzer import predefined_recognizers as known

    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    recognizers = {
        "EMAIL": known.EmailRecognizer(), "PHONE": known.PhoneRecognizer(), "CARD": known.CreditCardRecognizer(),
        "IBAN": known.IbanRecognizer(), "IP": known.IpRecognizer(),
    }  # fmt: skip

    def detect(text: str) -> list[Found]:
        return [
            Found(result.start, result.end, kind)
            for kind, recognizer in recognizers.items()
            for result in recognizer.analyze(text, recognizer.supported_entities, None)
        ]

    return Peer(name, tuple(recognizers), detect)


def _phonenumbers(name: str) -> Peer:
    from phonenumbers import PhoneNumberMatcher

    def detect(text: str) -> list[Found]:
        regions = ("US", "GB", "DE", "FR", "JP")
        matches = [match for region in regions for match in PhoneNumberMatcher(text, region)]
        return sorted({Found(match.start, match.end, "PHONE") for match in matches})

    return Peer(f"{name}, five regions", ("PHONE",), detect)


def _scrubadub(name: str) -> Peer:
    import scrubadub

    kinds = {"email": "EMAIL", "phone": "PHONE", "credit_card": "CARD", "credential": "KEY"}
    scrubber = scrubadub.Scrubber()

    def detect(text: str) -> list[Found]:
        return [
            Found(filth.beg, filth.end, kinds[filth.type]) for filth in scrubber.iter_filth(text) if filth.type in kinds
        ]

    return Peer(name, tuple(kinds.values()), detect)


def _datafog(name: str) -> Peer:
    from datafog.processing.text_processing.regex_annotator import RegexAnnotator

    kinds = {"EMAIL": "EMAIL", "PHONE": "PHONE", "CREDIT_CARD": "CARD", "IP_ADDRESS": "IP"}
    annotator = RegexAnnotator()

    def detect(text: str) -> list[Found]:
        _, result = annotator.annotate_with_spans(text)
        return [Found(span.start, span.end, kinds[span.label]) for span in result.spans if span.label in kinds]

    return Peer(name, tuple(kinds.values()), detect)
