"""The chain between an answer, the weights that gave it, the data that made them, and the people behind the data."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sqlalchemy import Connection

from loopwise.cli.output import clock
from loopwise.cli.project import Project
from loopwise.errors import UnknownNameError
from loopwise.store import artifacts, exchanges, feedback, releases
from loopwise.types import Dataset, Exchange, Feedback, JsonObject


def chain(project: Project, wanted: str) -> list[JsonObject]:
    """Links ``{what, id, says}`` from ``wanted`` onwards. Raises UnknownNameError when nothing has that id."""
    root = project.dir
    with project.store.reading() as conn:
        exchange = exchanges.get(conn, wanted)
        if exchange:
            return [*_exchange(conn, exchange), *_used_in(conn, root, wanted), *_releases(conn, root, exchange.release)]
        said = feedback.get(conn, wanted)
        if said:
            return [_said(said), *_about(conn, said), *_used_in(conn, root, said.id)]
        if releases.get(conn, wanted):
            return _releases(conn, root, wanted)
        dataset = artifacts.get_dataset(conn, wanted, root)
        if dataset:
            made = [release.name for release in releases.all_releases(conn) if release.dataset == wanted]
            return [_dataset(dataset), *(link for name in made for link in _releases(conn, root, name)[:1])]
    raise UnknownNameError(
        f"Nothing is called {wanted!r} here: give the id of an answer, feedback, release or dataset."
    )


def _exchange(conn: Connection, exchange: Exchange) -> list[JsonObject]:
    says = f"answered by {exchange.release} at {clock(exchange.at)} for {exchange.user or 'nobody named'}"
    links = [_link("answer", exchange.id, f"{says}; {exchange.fingerprint}")]
    return links + [_said(said) for said in feedback.of_exchange(conn, exchange.id)]


def _about(conn: Connection, said: Feedback) -> list[JsonObject]:
    exchange = exchanges.get(conn, said.exchange_id) if said.exchange_id else None
    return _exchange(conn, exchange)[:1] if exchange else []


def _said(said: Feedback) -> JsonObject:
    return _link("feedback", said.id, f"{said.kind} {said.value!r} by {said.user or 'nobody named'} ({said.source})")


def _releases(conn: Connection, root: Path, name: str) -> list[JsonObject]:
    """The release, its dataset, and so on through its parents to the first."""
    links: list[JsonObject] = []
    release = releases.get(conn, name)
    while release is not None:
        parent = release.parent
        links.append(_link("release", release.name, f"{release.state}; {release.fingerprint}"))
        candidate = artifacts.get_candidate(conn, release.name, root)
        if candidate:
            links.append(_link("training", candidate.trainer, f"seed {candidate.seed} from {candidate.parent}"))
        dataset = artifacts.get_dataset(conn, release.dataset, root) if release.dataset else None
        if dataset:
            links.append(_dataset(dataset))
        release = releases.get(conn, parent) if parent else None
    return links


def _dataset(dataset: Dataset) -> JsonObject:
    rows = _rows(dataset.path, ["kind", "user"])
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(Counter(row["kind"] for row in rows).items()))
    people = len({row["user"] for row in rows if row["user"]})
    return _link("dataset", dataset.name, f"{dataset.n} examples: {kinds}; {people} people")


def _used_in(conn: Connection, root: Path, source_id: str) -> list[JsonObject]:
    """Datasets in which an example rests on ``source_id``, and the releases made from them."""
    links: list[JsonObject] = []
    for _, dataset in artifacts.all_datasets(conn, root):
        uses = sum(source_id in row["provenance"] for row in _rows(dataset.path, ["provenance"]))
        if uses:
            made = [release.name for release in releases.all_releases(conn) if release.dataset == dataset.name]
            links.append(_link("used in", dataset.name, f"{uses} examples; trained {', '.join(made) or 'nothing yet'}"))
    return links


def _rows(path: Path, columns: list[str]) -> list[JsonObject]:
    from loopwise.curate.parquet import read

    return read(path, columns)


def _link(what: str, name: str, says: str) -> JsonObject:
    return {"what": what, "id": name, "says": says}
