"""Forgetting a person: their rows go, with what others said of their answers; what was trained on them is listed.

It goes as retention does, in small transactions, and killed at any point the next call finishes it: what was found is
written down first, datasets lose their text while the rows still tell which they are, and an exchange's id is kept as
forgotten in the transaction that removes it. In the end no text of theirs is in SQLite's files.

Not covered: rows of nobody named, their words where another person's rows quote them, what the model's server and
backups keep, and weights: a release that learned from them is listed, and serves until another takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from sqlalchemy import Connection, Text, cast, delete, exists, func, select

from loopwise.errors import UnknownNameError
from loopwise.store import artifacts, journal, leases, lineage, releases
from loopwise.store.database import Store
from loopwise.store.inserts import insert_new
from loopwise.store.lookups import find
from loopwise.store.retention import CHARACTERS, ROWS, in_steps
from loopwise.store.schema import exchanges as served, feedback as said, forgotten, meta, quarantine
from loopwise.types import Release

_KEY = "forgetting "  # in meta, followed by the names: what is under way
_ABOUT = "SELECT id FROM feedback WHERE exchange_id IN ({marks})"
_WHOSE = 'SELECT seq, "user" FROM exchanges WHERE seq IN ({marks})'
# What is said of an episode falls on the exchange that was its last when it was said, as ``signals/`` reads it.
_IN_EPISODE = "SELECT e.seq FROM exchanges e WHERE e.episode = f.episode_id AND e.endpoint <> 'embeddings'"
_LAST = "ORDER BY e.at DESC, e.seq DESC LIMIT 1"
_FALLS_ON = (
    f"SELECT f.id, COALESCE(({_IN_EPISODE} AND e.at <= f.at {_LAST}), ({_IN_EPISODE} {_LAST})) "
    "FROM feedback f WHERE f.exchange_id IS NULL AND f.episode_id IN ({marks})"
)


@dataclass(frozen=True)
class Affected:
    """A dataset with ``examples`` that rest on the person, the ``releases`` trained on it, and the ``heirs`` that go on
    from those."""

    dataset: str
    examples: int
    releases: tuple[str, ...]
    heirs: tuple[str, ...]


@dataclass
class Forgotten:
    """``removed`` counts rows by table, and files of datasets. ``unknown`` are datasets whose file had expired: nobody
    can tell any more who was in them. ``wiped`` is False while somebody reads an old state of the store: call again.
    """

    affected: list[Affected] = field(default_factory=list[Affected])
    unknown: list[str] = field(default_factory=list[str])
    removed: dict[str, int] = field(default_factory=dict[str, int])
    wiped: bool = False


def recorded(conn: Connection, names: Sequence[str]) -> list[str]:
    """Those of ``names`` under which somebody is recorded, or is being forgotten."""
    begun = [key.removeprefix(_KEY) for key in conn.scalars(select(meta.c.key).where(meta.c.key.startswith(_KEY)))]
    under_way = {name for names_json in begun for name in json.loads(names_json)}
    columns = (served.c.user, said.c.user, quarantine.c.user)
    return [
        name
        for name in names
        if name in under_way or any(conn.scalar(select(exists().where(column == name))) for column in columns)
    ]


def forget(store: Store, names: Sequence[str], now: float) -> Forgotten:
    """Forgets the person who is stored as one of ``names``: their pseudonym, or their name where that was stored.

    Raises UnknownNameError where nothing is recorded under them, StoreError while a turn runs and when the store fails.
    """
    with leases.held(store, "turn", leases.this_process()):
        with store.reading() as conn:
            known = recorded(conn, names)
        if not known:
            raise UnknownNameError(f"Nothing is recorded under {' or '.join(map(repr, names))}.")
        work = _Work(store, known, now)
        work.begin()
        work.drop_datasets()
        in_steps(store, Event(), work.exchanges_left, work.remove_exchanges)
        in_steps(store, Event(), work.said_left, work.remove_said)
        work.end()
    return work.done


class _Work:
    """Forgetting one person. What is done is kept in ``meta`` until all of it is."""

    def __init__(self, store: Store, names: list[str], now: float):
        self._store, self._names, self._now = store, names, now
        self._said_up_to = 0
        self._key = _KEY + json.dumps(sorted(names))
        self.done = Forgotten()

    def begin(self) -> None:
        """Finds what is affected, and writes it down beside what an earlier call found."""
        with self._store.reading() as conn:
            before = json.loads(conn.scalar(select(meta.c.value).where(meta.c.key == self._key)) or "{}")
            affected, self.done.unknown = _affected(conn, self._store, self._names)
        rows = [
            Affected(row["dataset"], row["examples"], tuple(row["releases"]), tuple(row["heirs"]))
            for row in before.get("affected", [])
        ]
        found = {row.dataset: row for row in rows}
        for row in affected:
            if row.dataset not in found or found[row.dataset].examples < row.examples:
                found[row.dataset] = row
        self.done.affected, self.done.removed = list(found.values()), before.get("removed", {"datasets": 0})
        new = sum(
            path.exists() for path in self._paths({row.dataset for row in affected} - {row.dataset for row in rows})
        )
        with self._store.writing() as conn:
            insert_new(conn, meta, [{"key": self._key, "value": ""}])
            self._count(conn, {"datasets": new})

    def drop_datasets(self) -> None:
        """The files go, so that no text of theirs is in them; names, manifests and lineage stay. A turn that was cut
        short before it had trained on one of them curates again."""
        names = {row.dataset for row in self.done.affected}
        with self._store.writing() as conn:
            turn = journal.last_turn(conn)
            stages = journal.done(conn, turn)
            if "train" not in stages and stages.get("curate", {}).get("dataset") in names:
                journal.write(conn, turn, "curate", "undone", {})
        for path in self._paths(names):
            if lineage.readable(path):  # it may have expired since an earlier call
                lineage.drop_text(path, self._names)
        for path in (self._store.root / "datasets").glob(".*.partial"):  # of a curation that was killed
            path.unlink()

    def _paths(self, datasets: Collection[str]) -> list[Path]:
        with self._store.reading() as conn:
            return [artifacts.dataset(conn, name, self._store.root).path for name in sorted(datasets)]

    def exchanges_left(self, conn: Connection) -> list[Any]:
        """As many as one transaction should remove: (seq, id, episode)."""
        size = func.length(cast(served.c.request, Text)) + func.coalesce(func.length(cast(served.c.response, Text)), 0)
        query = select(served.c.seq, served.c.id, served.c.episode, size.label("size"))
        found = conn.execute(query.where(served.c.user.in_(self._names)).limit(ROWS)).all()
        characters = 0
        for count, row in enumerate(found, 1):
            characters += row.size
            if characters > CHARACTERS:
                return list(found[:count])
        return list(found)

    def remove_exchanges(self, conn: Connection, rows: list[Any]) -> int:
        """With what was said of them, by whomever."""
        ids = [row.id for row in rows]
        of_episodes = _said_of_episodes(conn, {row.episode for row in rows if row.episode}, self._names)
        n_said = conn.execute(delete(said).where(said.c.exchange_id.in_(ids) | said.c.id.in_(of_episodes))).rowcount
        conn.execute(delete(served).where(served.c.seq.in_([row.seq for row in rows])))
        insert_new(conn, forgotten, [{"id": id, "at": self._now} for id in ids])
        self._count(conn, {"exchanges": len(rows), "feedback": n_said})
        return len(rows)

    def said_left(self, conn: Connection) -> list[int]:
        """By one pass over the table, which has no index by person."""
        theirs = said.c.user.in_(self._names) & (said.c.seq > self._said_up_to)
        return list(conn.scalars(select(said.c.seq).where(theirs).order_by(said.c.seq).limit(ROWS)))

    def remove_said(self, conn: Connection, seqs: list[int]) -> int:
        conn.execute(delete(said).where(said.c.seq.in_(seqs)))
        self._count(conn, {"feedback": len(seqs)})
        self._said_up_to = seqs[-1]
        return len(seqs)

    def end(self) -> None:
        with self._store.writing() as conn:
            rows = conn.execute(delete(quarantine).where(quarantine.c.user.in_(self._names))).rowcount
            self._count(conn, {"quarantine": rows})
        self.done.wiped = self._store.wipe()
        if self.done.wiped:
            with self._store.writing() as conn:
                conn.execute(delete(meta).where(meta.c.key == self._key))
            self._store.wipe()

    def _count(self, conn: Connection, counts: dict[str, int]) -> None:
        for name, n in counts.items():
            self.done.removed[name] = self.done.removed.get(name, 0) + n
        state = json.dumps({"affected": [asdict(row) for row in self.done.affected], "removed": self.done.removed})
        conn.execute(meta.update().where(meta.c.key == self._key).values(value=state))


def _affected(conn: Connection, store: Store, names: Sequence[str]) -> tuple[list[Affected], list[str]]:
    """The datasets with rows that rest on the person, and those of which nobody can tell."""
    ids = _their_ids(conn, names)
    every = releases.all_releases(conn)
    affected, unknown = list[Affected](), list[str]()
    for _, dataset in artifacts.all_datasets(conn, store.root):
        if not lineage.readable(dataset.path):
            unknown.append(dataset.name)
        elif n := lineage.resting_on(dataset.path, ids, names).count:
            trained = [release.name for release in every if release.dataset == dataset.name]
            affected.append(Affected(dataset.name, n, tuple(trained), tuple(heirs(every, trained))))
    return affected, unknown


def heirs(every: Sequence[Release], names: Collection[str]) -> list[str]:
    """The releases whose ancestors are among ``names``; ``every`` release, oldest first."""
    found: list[str] = []
    for release in every:
        if release.parent is not None and (release.parent in names or release.parent in found):
            found.append(release.name)
    return [name for name in found if name not in names]


def _their_ids(conn: Connection, names: Sequence[str]) -> set[str]:
    """Of all rows that will be removed."""
    mine = conn.execute(select(served.c.id, served.c.episode).where(served.c.user.in_(names))).all()
    ids = {row.id for row in mine} | set(conn.scalars(select(said.c.id).where(said.c.user.in_(names))))
    episodes = {row.episode for row in mine if row.episode}
    about = {id for (id,) in find(conn, _ABOUT, [row.id for row in mine])}
    return ids | about | set(_said_of_episodes(conn, episodes, names))


def _said_of_episodes(conn: Connection, episodes: Collection[str], names: Sequence[str]) -> list[str]:
    """Ids of the feedback on whole ``episodes`` that falls on an exchange of theirs, or on none."""
    falls_on: dict[str, int | None] = dict(find(conn, _FALLS_ON, episodes))
    whose = dict(find(conn, _WHOSE, {seq for seq in falls_on.values() if seq is not None}))
    return [id for id, seq in falls_on.items() if seq is None or whose[seq] in names]
