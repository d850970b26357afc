# pyright: basic
"""People's names, by presidio over a spaCy model that lies in a local folder. (Neither ships complete types.)

Both come with the extra ``pii``; they are imported when the first recognizer is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from loopwise.curate.pii.spans import Recognizer, Seen, Span
from loopwise.errors import SettingsError, missing_extra

LOWEST_SCORE = 0.5  # presidio's; a spaCy entity has 0.85


@cache  # loading takes seconds, and curation asks for it at each change of source
@cache  # a model takes seconds to load, and a step may begin many times
def name_recognizer(model: Path | None, language: str = "en") -> Recognizer:
    """Finds what the model in the folder takes for a PERSON. Raises MissingExtraError without the extra, SettingsError
    without such a folder; nothing is downloaded."""
    try:
        from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine  # pyright: ignore[reportMissingImports]
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise missing_extra(error.name or "presidio_analyzer", "pii") from error
    if model is None:
        raise SettingsError(
            "Names are to be taken out, but no spaCy model is named: give the folder of one, such as that of "
            "en_core_web_lg, in [curate] names_model, or set names = false."
        )
    if not (model / "meta.json").is_file():
        raise SettingsError(
            f"{model} is no spaCy model: a folder with meta.json, as 'nlp.to_disk' writes it, is needed; correct "
            "[curate] names_model, or set names = false."
        )
    persons = NerModelConfiguration(
        model_to_presidio_entity_mapping={"PERSON": "PERSON", "PER": "PERSON"}, labels_to_ignore=[]
    )
    engine = SpacyNlpEngine([{"lang_code": language, "model_name": str(model)}], persons)
    engine.load()
    recognizer = SpacyRecognizer(supported_language=language, supported_entities=["PERSON"])

    def find_names(seen: Seen) -> Iterator[Span]:
        artifacts = engine.process_text(seen.text, language)
        for found in recognizer.analyze(seen.text, ["PERSON"], artifacts):
            if found.score >= LOWEST_SCORE:
                name = seen.text[found.start : found.end]
                yield Span(found.start, found.end, "NAME", " ".join(name.casefold().split()))

    return find_names
