"""The chain between an answer, the weights that gave it, the data that made them, and the people behind the data.

Up is what something came from: an answer from a release, that from a dataset, that from examples, those from feedback
and people. Down is what came of it. Where there is much, a link says how much, and the first few follow it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection

from loopwise.cli.forget import stored_names
from loopwise.cli.output import clock
from loopwise.cli.project import Project
from loopwise.errors import UnknownNameError
from loopwise.store import artifacts, exchanges, feedback, releases
from loopwise.types import Dataset, Exchange, Feedback, JsonObject, Release

if TYPE_CHECKING:
    from loopwise.store.lineage import Row

_FIRST = 3  # ids that are told of many
_LONGEST = 60  # characters of a value
Way = Literal["here", "up", "down"]
Links = Iterator[JsonObject]


@dataclass(frozen=True)
class _View:
    """One snapshot of the project."""

    project: Project
    conn: Connection
    releases: Sequence[Release]  # oldest first
    datasets: Sequence[Dataset]  # oldest first


def chain(project: Project, wanted: str) -> list[JsonObject]:
    """Links ``{way, what, id, says}`` from ``wanted`` up and down. Raises UnknownNameError when nothing has that id."""
    with project.store.reading() as conn:
        made = [dataset for _, dataset in artifacts.all_datasets(conn, project.dir)]
        view = _View(project, conn, releases.all_releases(conn), made)
        for links in (_of_answer, _of_feedback, _of_release, _of_example, _of_dataset, _of_person):
            found = list(links(view, wanted))
            if found:
                return found
    raise UnknownNameError(
        f"Nothing is called {wanted!r} here: give the id of an answer, feedback, release or dataset, an example as "
        "DATASET#NUMBER, or a person."
    )


def _of_answer(view: _View, wanted: str) -> Links:
    exchange = exchanges.get(view.conn, wanted)
    if exchange is None:
        return
    yield _answer("here", exchange)
    if exchange.user:
        yield _link("up", "person", exchange.user, "asked")
    yield from _weights(view, exchange.release)
    for said in feedback.of_exchange(view.conn, exchange.id):
        yield _said("down", said)
    yield from _use(view, [exchange.id])


def _of_feedback(view: _View, wanted: str) -> Links:
    said = feedback.get(view.conn, wanted)
    if said is None:
        return
    yield _said("here", said)
    if said.user:
        yield _link("up", "person", said.user, "said it")
    exchange = exchanges.get(view.conn, said.exchange_id) if said.exchange_id else None
    if exchange:
        yield _answer("up", exchange)
        yield from _weights(view, exchange.release)
    yield from _use(view, [said.id])


def _of_release(view: _View, wanted: str) -> Links:
    if releases.get(view.conn, wanted) is None:
        return
    first, *ancestry = _weights(view, wanted)
    yield {**first, "way": "here"}
    yield from ancestry
    for release in view.releases:
        if release.parent == wanted:
            yield _link("down", "release", release.name, f"{release.state}; went on from {wanted}")
    yield _answers(view, wanted)


def _of_dataset(view: _View, wanted: str) -> Links:
    for dataset in _named(view, wanted):
        yield _dataset("here", dataset)
        yield from _grounds(view, dataset)
        yield from _trained_on(view, dataset)


def _of_example(view: _View, wanted: str) -> Links:
    from loopwise.store import lineage

    name, _, number = wanted.rpartition("#")
    for dataset in _named(view, name) if number.isdecimal() else []:
        row = lineage.row(dataset.path, int(number)) if lineage.readable(dataset.path) else None
        if row is None:
            return
        yield _example("here", dataset, row)
        yield from _rests_on(view, row)
        yield _dataset("down", dataset)
        yield from _trained_on(view, dataset)


def _of_person(view: _View, wanted: str) -> Links:
    for name in stored_names(view.project, wanted):
        asked, answers = exchanges.first_of(view.conn, None, user=name)
        kinds, first_said = feedback.of_person(view.conn, name, _FIRST)
        if not asked and not kinds:
            continue
        counted = ", ".join(f"{n} {kind}" for kind, n in kinds.items()) or "nothing"
        yield _link("here", "person", name, f"asked {asked} times, said: {counted}")
        for exchange_id in answers[:_FIRST]:
            yield _link("down", "answer", exchange_id, "to them")
        for feedback_id in first_said:
            yield _link("down", "feedback", feedback_id, "by them")
        yield from _use(view, answers, [name])


def _weights(view: _View, name: str) -> Links:
    """The release and its ancestors to the first, each with the dataset that made it; of the first dataset also the
    examples, feedback and people."""
    told = False
    release = releases.get(view.conn, name)
    while release is not None:
        yield _link("up", "release", release.name, f"{release.state}; {release.fingerprint}")
        candidate = artifacts.get_candidate(view.conn, release.name, view.project.dir)
        if candidate:
            yield _link("up", "training", candidate.trainer, f"seed {candidate.seed} from {candidate.parent}")
        for dataset in [dataset for dataset in view.datasets if dataset.name == release.dataset]:
            yield _dataset("up", dataset)
            if not told:
                yield from _grounds(view, dataset)
            told = True
        release = releases.get(view.conn, release.parent) if release.parent else None


def _grounds(view: _View, dataset: Dataset) -> Links:
    """What people gave to a dataset: how much, the first examples with their feedback, and who gave most."""
    from loopwise.store import lineage

    if not lineage.readable(dataset.path):
        yield _link("up", "examples", dataset.name, "the file has expired")
        return
    rows = lineage.people_rows(dataset.path)
    yield _link("up", "examples", dataset.name, f"{rows.count} from people, of {dataset.n}; {len(rows.people)} people")
    for row in rows.first[:_FIRST]:
        yield _example("up", dataset, row)
        yield from _rests_on(view, row, people=False)
    most = sorted(rows.people.items(), key=lambda person: (-person[1], person[0]))
    for name, n in most[:_FIRST]:
        yield _link("up", "person", name, f"{n} examples")


def _rests_on(view: _View, row: Row, people: bool = True) -> Links:
    for source_id in row.provenance:
        said, exchange = feedback.get(view.conn, source_id), exchanges.get(view.conn, source_id)
        if said:
            yield _said("up", said)
        elif exchange:
            yield _answer("up", exchange)
        else:
            yield _link("up", "source", source_id, "an attempt, an anchor, or gone from the store")
    if people and row.user:
        yield _link("up", "person", row.user, "whose words it holds")


def _use(view: _View, ids: Collection[str], users: Collection[str] = ()) -> Links:
    """Datasets in which examples rest on ``ids`` or are of ``users``, those examples, and what was trained on them."""
    from loopwise.store import lineage

    for dataset in view.datasets:
        if not lineage.readable(dataset.path):
            continue
        rows = lineage.resting_on(dataset.path, ids, users)
        if rows.count:
            for row in rows.first[:_FIRST]:
                yield _example("down", dataset, row)
            yield _link("down", "dataset", dataset.name, f"{rows.count} of its {dataset.n} examples rest on it")
            yield from _trained_on(view, dataset)


def _trained_on(view: _View, dataset: Dataset) -> Links:
    for release in view.releases:
        if release.dataset == dataset.name:
            yield _link("down", "release", release.name, f"{release.state}; {release.fingerprint}")
            yield _answers(view, release.name)


def _answers(view: _View, release: str) -> JsonObject:
    n, first = exchanges.first_of(view.conn, _FIRST, release=release)
    return _link("down", "answers", release, f"{n} given{_such_as(first)}")


def _named(view: _View, wanted: str) -> list[Dataset]:
    """The one dataset whose name begins so; fewer digits than eight, alone, may be a person's name."""
    begins = wanted.removeprefix("sha256:")
    found = [dataset for dataset in view.datasets if dataset.name.removeprefix("sha256:").startswith(begins)]
    return found if len(found) == 1 and (begins != wanted or len(wanted) >= 8) else []


def _answer(way: Way, exchange: Exchange) -> JsonObject:
    who = exchange.user or "nobody named"
    says = f"answered by {exchange.release} at {clock(exchange.at)} for {who}; {exchange.fingerprint}"
    return _link(way, "answer", exchange.id, says)


def _said(way: Way, said: Feedback) -> JsonObject:
    value = repr(said.value)
    short = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
    return _link(way, "feedback", said.id, f"{said.kind} {short} by {said.user or 'nobody named'} ({said.source})")


def _dataset(way: Way, dataset: Dataset) -> JsonObject:
    kinds: dict[str, int] = dataset.manifest.get("kinds", {})
    counted = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
    return _link(way, "dataset", dataset.name, f"{dataset.n} examples{': ' if counted else ''}{counted}")


def _example(way: Way, dataset: Dataset, row: Row) -> JsonObject:
    who = f" by {row.user}" if row.user else ""
    return _link(way, "example", f"{dataset.name}#{row.n}", f"{row.kind} from {row.source}{who}, weight {row.weight:g}")


def _such_as(ids: Iterable[str]) -> str:
    first = ", ".join(ids)
    return f", such as {first}" if first else ""


def _link(way: Way, what: str, name: str, says: str) -> JsonObject:
    return {"way": way, "what": what, "id": name, "says": says}
