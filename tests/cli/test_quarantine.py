"""``loopwise quarantine`` as operators type it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from commands import here
from loopwise.store import Store
from town import Town, record


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in which five accounts copy each other."""
    (tmp_path / "loopwise.toml").write_text('[suites.target]\nrole = "target"\nsource = "reasoning-gym:gcd"\n')
    store = Store("sqlite:///loopwise.db", tmp_path, create=True)
    town = Town(1)
    town.people([0.02] * 30, 400, 100)
    town.copies(5, 12)
    record(store, town.rows)
    store.close()
    return tmp_path


def listed(project: Path) -> Any:
    done = here("quarantine", "--json", "--dir", str(project))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_list_says_who_why_on_what_evidence_and_by_whom(project: Path):
    found = listed(project)

    assert [row["person"] for row in found["quarantined"]] == [f"copy-{n}" for n in range(5)]
    assert found["quarantined"][0] == {
        "person": "copy-0",
        "reason": "copy-cat: 12 of its 12 statements are word for word those of another account, far more than chance "
        "gives; 5 accounts hang together so",
        "evidence": {"repeated": 12, "statements": 12, "accounts": 5},
        "by": "found",
        "at": None,
    }
    assert found["released"] == []
    assert "copy-4" in here("quarantine", "--dir", str(project)).stdout


def test_a_decision_is_made_and_reversed(project: Path):
    where = ("--dir", str(project))
    let_in = here("quarantine", "release", "copy-0", "--why", "our testers", *where)
    kept_out = here("quarantine", "add", "p-1", "--why", "scripted", *where, "--json")
    assert (let_in.returncode, kept_out.returncode) == (0, 0)
    assert let_in.stdout == "copy-0 counts in training from the next turn on.\n"
    assert json.loads(kept_out.stdout)["out"] is True

    found = listed(project)
    out = {row["person"]: row for row in found["quarantined"]}
    assert set(out) == {"copy-1", "copy-2", "copy-3", "copy-4", "p-1"}
    assert out["p-1"]["reason"] == "scripted"
    assert out["p-1"]["by"] not in ("found", "")
    assert [(row["person"], row["reason"]) for row in found["released"]] == [("copy-0", "our testers")]

    assert here("quarantine", "release", "p-1", "--why", "sorry", *where).returncode == 0
    assert "p-1" not in {row["person"] for row in listed(project)["quarantined"]}
    assert "let in: sorry" in here("quarantine", *where).stdout


@pytest.mark.parametrize("command", ["add", "release"])
def test_an_unknown_person_is_a_mistake_in_one_sentence(project: Path, command: str):
    done = here("quarantine", command, "nobody", "--why", "x", "--dir", str(project))

    assert done.returncode == 2
    assert done.stderr.startswith("loopwise: There is no person 'nobody' in this store")
    assert done.stderr.count("\n") == 1
