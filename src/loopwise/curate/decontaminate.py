"""Keeps every suite out of training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from loopwise.curate import held
from loopwise.curate.ledger import Ledger, Step
from loopwise.curate.redact import redact_messages
from loopwise.curate.text import asked, questions, spaced
from loopwise.types import Example, Suite

STEP = "decontaminate"
BATCH = 512  # examples whose texts are hashed at once


@dataclass(frozen=True)
class _Held:
    keys: dict[str, str]  # canonical key → suite
    questions: dict[str, str]  # normalized question → suite
    runs: Sequence[held.Runs]
    near: held.Questions


def decontaminate(suites: Sequence[Suite], threshold: float = 1.0) -> Step:
    """A step that drops each example that is in one of ``suites``, or gives a problem of one away.

    - By canonical key, and by question, normalized: what the user asked together, each turn alone, and the answers.
      Questions are compared as they stand and as they are after redaction, which examples have gone through.
    - By a run of 13 words of a question (of 8 to 12, where it has no more) in any text but a system prompt's.
    - By a user's message whose Jaccard similarity to a question is ``threshold`` or more, over runs of words.

    The last two leave out generated problems, in suites and examples, as those of one template all look alike; and runs
    and likenesses that more than ``held.COMMON`` problems share: a templated suite of texts must not keep out all that
    is asked by its template.
    """
    keys: dict[str, str] = {}
    asked_in: dict[str, str] = {}
    for suite in suites:
        for problem in suite.problems:
            keys.setdefault(problem.key, suite.name)
            for messages in (problem.messages, redact_messages(problem.messages)):
                asked_in.setdefault(asked(messages), suite.name)
    texts = held.questions(suites)
    known = _Held(keys, asked_in, held.telling_runs(texts), held.near_questions(texts, threshold))
    return partial(_drop, known=known)


def _drop(examples: Iterable[Example], ledger: Ledger, known: _Held) -> Iterator[Example]:
    stream = iter(examples)
    while batch := list(islice(stream, BATCH)):
        others = [example for example in batch if not example.source.startswith(held.GENERATED)]
        given_away = _given_away(others, known)
        for example in batch:
            reason = _equal(example, known) or given_away.get(id(example))
            if reason:
                ledger.drop(STEP, reason, example)
            else:
                yield example


def _equal(example: Example, known: _Held) -> str | None:
    if example.key in known.keys:
        return f"its key is in the suite {known.keys[example.key]}"
    met = sorted(known.questions[text] for text in questions(example) if text in known.questions)
    return f"its question is in the suite {met[0]}" if met else None


def _given_away(examples: Sequence[Example], known: _Held) -> dict[int, str]:
    """The reason for each example (by identity) that holds a telling run of a suite, or asks nearly its question."""
    found: dict[int, str] = {}
    if known.near.buckets:
        _mark(found, examples, _user_texts, known.near.found_in, "it asks nearly a question of the suite {}")
    for runs in known.runs:
        if len(runs.names):
            _mark(found, examples, _all_texts, runs.found_in, f"it holds {runs.n} words in a row of the suite {{}}")
    return found


def _mark(
    found: dict[int, str],
    examples: Sequence[Example],
    texts_of: Callable[[Example], list[str]],
    find: Callable[[Sequence[str]], dict[int, str]],
    reason: str,
) -> None:
    texts = [(example, text) for example in examples for text in texts_of(example)]
    for place, suite in find([text for _, text in texts]).items():
        found[id(texts[place][0])] = reason.format(suite)


def _user_texts(example: Example) -> list[str]:
    return [spaced(message["content"]) for message in example.messages if message["role"] == "user"]


def _all_texts(example: Example) -> list[str]:
    spoken = [spaced(message["content"]) for message in example.messages if message["role"] != "system"]
    return [*spoken, spaced(example.completion), spaced(example.rejected or "")]
