"""Forgetting a person leaves what would be there had they never come: curation makes the dataset of the same name."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from loopwise import config
from loopwise.cli.project import opened
from loopwise.curate.anchors import load
from loopwise.loop import STAGES, Parts
from loopwise.release.transitions import promote, register
from loopwise.store import Store, artifacts, exchanges, feedback, lineage
from loopwise.store.forget import forget
from loopwise.types import Exchange, Feedback, Release

from .conftest import loopwise_json, make_project, small_toml

ANCHORS = Path(__file__).parents[2] / "src" / "loopwise" / "tiny" / "anchors.jsonl"
TOML = '[engine]\nkind = "embedded"\n[practice]\nsources = []\n'
GONE = "p1"


def history(seed: int) -> list[Exchange | Feedback]:
    """What five people asked, some of it the same or in shared episodes, and what they said of their own answers, of
    others' and of whole episodes, in order of arrival."""
    draw = random.Random(seed)
    rows: list[Exchange | Feedback] = []
    asked: list[Exchange] = []
    for n in range(120):
        user, at = f"p{draw.randrange(5)}", float(n)
        episode = draw.choice([None, None, f"own-{user}", f"shared-{n // 20}"])
        request = {
            "messages": [
                {"role": "user", "content": f"Which word comes after number {draw.randrange(90)} on the list?"}
            ]
        }
        answer = f"It is the word {draw.choice('abcdefgh') * 3}, said {user}'s model in turn {n}."
        response = {"choices": [{"index": 0, "message": {"role": "assistant", "content": answer}}]}
        served = ("loopwise", "t@0", "sha256:f", "champion", 1.0, request, response, 200, 0.1)
        rows.append(Exchange(f"e{n}", at, *served, user=user, episode=episode))
        asked.append(rows[-1])  # pyright: ignore
        for k in range(draw.randrange(3)):
            about, by = draw.choice(asked[-8:]), f"p{draw.randrange(5)}"
            kind, value = draw.choice(
                [
                    ("thumbs", 1),
                    ("thumbs", -1),
                    ("correction", f"The right word in row {n} is {by} {k}."),
                    ("preference", {"chosen": f"Better word {n} {k}.", "rejected": f"Worse word {n}."}),
                    ("edit", f"An edited answer {n}, which {by} made."),
                    ("accept", None),
                    ("regenerate", True),
                    ("rating", 4.0),
                ]
            )  # fmt: skip
            whole = about.episode is not None and kind == "thumbs" and draw.random() < 0.5
            on = {"episode_id": about.episode} if whole else {"exchange_id": about.id}
            said = [row.id for row in rows if isinstance(row, Feedback) and row.exchange_id == about.id]
            metadata = {"scale": [1.0, 5.0]} if kind == "rating" else {}
            supersedes = draw.choice(said) if said and draw.random() < 0.2 else None
            implicit = kind in ("accept", "regenerate", "edit")
            rows.append(
                Feedback(
                    f"f{n}-{k}", at + 0.1 + k / 10, kind, value, source="implicit" if implicit else "human", user=by,
                    supersedes=supersedes, metadata=metadata, **on,
                )
            )  # fmt: skip
    return rows


def without(rows: Sequence[Exchange | Feedback], gone: str) -> list[Exchange | Feedback]:
    """Neither their rows, nor what was said of their answers, nor of an episode when theirs was its last."""
    served = {row.id: row for row in rows if isinstance(row, Exchange)}

    def stays(row: Exchange | Feedback) -> bool:
        if row.user == gone or isinstance(row, Exchange):
            return row.user != gone
        if row.exchange_id:
            return served[row.exchange_id].user != gone
        of_episode = [one for one in served.values() if one.episode == row.episode_id and one.at <= row.at]
        return of_episode[-1].user != gone

    return [row for row in rows if stays(row)]


def curated(folder: Path, rows: Sequence[Exchange | Feedback], forgetting: str | None) -> tuple[str, list[str]]:
    """The name of the dataset that a turn makes of ``rows``, and the ids that are left in the store."""
    folder.mkdir()
    settings = config.parse(TOML, folder)
    store = Store("sqlite:///loopwise.db", folder, create=True)
    register(store, Release("t@0", "candidate", None, None, "sha256:f", "models/t@0", 0.0), "test", "made")
    promote(store, "t@0", "test", "the base")
    with store.writing() as conn:
        for row in rows:
            exchanges.add(conn, [row]) if isinstance(row, Exchange) else feedback.add(conn, [row])
    missing: Any = None
    parts = Parts(settings, store, (), load(ANCHORS)[:20], missing, missing, missing, lambda *_: None)
    if forgetting:
        first = _dataset(parts, 1)
        assert [row.dataset for row in forget(store, [forgetting], 9.0).affected] == [first]
    name = _dataset(parts, 2)
    with store.reading() as conn:
        left = [row.id for _, row in exchanges.up_to(conn, 10**6)] + [row.id for _, row in feedback.up_to(conn, 10**6)]
        assert artifacts.dataset(conn, name, folder).n > 25
    store.close()
    return name, left


def _dataset(parts: Parts, turn: int) -> str:
    done = {"gather": STAGES["gather"](parts, turn, {})}
    return STAGES["curate"](parts, turn, done)["dataset"]


@pytest.mark.parametrize("seed", [1, 2])
def test_curation_after_forgetting_is_curation_of_a_store_that_never_had_them(tmp_path: Path, seed: int):
    rows = history(seed)
    never, left_never = curated(tmp_path / "never", without(rows, GONE), None)
    after, left_after = curated(tmp_path / "after", rows, GONE)
    assert left_after == left_never
    assert after == never
    assert curated(tmp_path / "all", rows, None)[0] != after


@pytest.mark.slow
def test_a_turn_after_forgetting_makes_a_dataset_without_them(tmp_path: Path):
    project = make_project(
        tmp_path / "project",
        small_toml(
            changes={"problems = 5000": "problems = 5", "n = 300": "n = 20", "examples = 3000": "examples = 200"}
        ),
    )
    with opened(project) as found, found.store.writing() as conn:
        for n in range(60):
            request = {"messages": [{"role": "user", "content": f"Spell this word backward: {'abcdefgh'[n % 8]}{n}"}]}
            response = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "?"}}]}
            served = ("loopwise", "tiny@0", "sha256:f", "champion", 1.0, request, response, 200, 0.1)
            exchanges.add(conn, [Exchange(f"e{n}", float(n), *served, user=f"p{n % 2}")])
            feedback.add(
                conn, [Feedback(f"f{n}", float(n), "correction", f"{n}{'abcdefgh'[n % 8]}", f"e{n}", user=f"p{n % 2}")]
            )
    done = loopwise_json("forget", "p1", "--yes", "--retrain", "--dir", str(project))
    assert done["removed"] == {"exchanges": 30, "feedback": 30, "quarantine": 0, "datasets": 0}
    assert done["turn"]["turn"] == 1
    with opened(project) as found, found.store.reading() as conn:
        made = artifacts.dataset(conn, done["turn"]["dataset"], found.dir)
    assert set(lineage.people_rows(made.path).people) == {"p0"}
