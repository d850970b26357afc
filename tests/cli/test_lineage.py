"""``loopwise trace`` walks both ways between answer, release, dataset, example, feedback, person; ``forget`` cuts."""

from __future__ import annotations

import json
import os
import pty
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loopwise.cli.main import main
from loopwise.curate.parquet import write
from loopwise.gateway.identity import pseudonym
from loopwise.store import Store, artifacts, exchanges, feedback, meta, releases
from loopwise.types import Candidate, Example, Exchange, Feedback, Release

Run = Callable[..., Any]
OF_BOTH = [("down", "dataset", "BOTH"), ("down", "release", "t@1"), ("down", "answers", "t@1")]
WORDS = "the heron stands by the weir"


@dataclass(frozen=True)
class Names:
    """Of a small history: ada asks t@0 and corrects it, bob asks it and likes it; t@1 learns both, t@2, from t@1, bob's
    alone; and cleo asks t@1."""

    dir: Path
    ada: str
    bob: str
    both: str
    bobs: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process: (exit status, JSON or None, what was said to standard error)."""

    def call(*args: str) -> tuple[int, Any, str]:
        with pytest.raises(SystemExit) as ended:
            main([*args, "--json"])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), json.loads(out) if out.strip() else None, err

    return call


@pytest.fixture
def past(tmp_path: Path) -> Names:
    (tmp_path / "loopwise.toml").write_text('[engine]\nkind = "openai"\nurl = "http://127.0.0.1:9/v1"\nmodel = "m"\n')
    store = Store("sqlite:///loopwise.db", tmp_path, create=True)
    with store.writing() as conn:
        key = meta.pseudonym_key(conn)
    ada, bob, cleo = (pseudonym(name, key) for name in ("ada", "bob", "cleo"))

    def exchange(name: str, user: str, release: str) -> Exchange:
        request = {"messages": [{"role": "user", "content": WORDS}]}
        response = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}}]}
        return Exchange(
            name, 1.0, "m", release, f"sha256:{release}", "champion", 1.0, request, response, 200, 0.1, user=user
        )

    def example(kind: Any, user: str | None, *provenance: str) -> Example:
        return Example(
            ({"role": "user", "content": WORDS},),
            str(provenance),
            kind,
            "people" if user else "s",
            provenance,
            user=user,
        )

    practised = [example("practice", None, f"t@0/k{n}/0") for n in range(4)]
    of_bob = example("approved", bob, "ex_bob", "fb_bob")
    both = write([*practised, of_bob, example("demonstration", ada, "ex_ada", "fb_ada")],
                 {"kinds": {"approved": 1, "demonstration": 1, "practice": 4}}, tmp_path / "datasets")  # fmt: skip
    bobs = write([*practised, of_bob], {"kinds": {"approved": 1, "practice": 4}}, tmp_path / "datasets")
    with store.writing() as conn:
        exchanges.add(conn, [exchange("ex_ada", ada, "t@0"), exchange("ex_bob", bob, "t@0")])
        exchanges.add(conn, [exchange(f"ex_cleo{n}", cleo, "t@1") for n in range(5)])
        feedback.add(conn, [Feedback("fb_ada", 2.0, "correction", WORDS, "ex_ada", user=ada)])
        feedback.add(conn, [Feedback("fb_bob", 2.0, "thumbs", 1, "ex_bob", user=bob)])
        for turn, (name, parent, dataset) in enumerate(
            (("t@0", None, None), ("t@1", "t@0", both), ("t@2", "t@1", bobs))
        ):
            state = "champion" if turn == 2 else "retired"
            on = None
            if dataset and parent:
                on = dataset.name
                artifacts.add_dataset(conn, dataset, turn, tmp_path)
                made = (name, parent, on, "sft", {}, 7, {}, f"sha256:{name}", tmp_path / "models" / name, {})
                artifacts.add_candidate(conn, Candidate(*made), tmp_path)
            releases.add(
                conn, Release(name, state, parent, on, f"sha256:{name}", f"models/{name}", float(turn)), "t", "t"
            )
    store.close()
    return Names(tmp_path, ada, bob, both.name, bobs.name)


def short(past: Names, link: dict[str, str]) -> tuple[str, str, str]:
    """(way, what, id) with the names that change spelled out."""
    id = link["id"]
    for name in ("both", "bobs", "ada", "bob"):
        id = id.replace(getattr(past, name), name.upper())
    return link["way"], link["what"], id.partition("#")[0]


def traced(run: Run, past: Names, id: str) -> list[tuple[str, str, str]]:
    status, document, err = run("trace", id, "--dir", str(past.dir))
    assert status == 0, err
    return [short(past, link) for link in document["chain"]]


def test_from_an_answer_to_its_weights_and_to_what_was_learned_from_it(run: Run, past: Names):
    assert traced(run, past, "ex_ada") == [
        ("here", "answer", "ex_ada"), ("up", "person", "ADA"), ("up", "release", "t@0"),
        ("down", "feedback", "fb_ada"), ("down", "example", "BOTH"), *OF_BOTH,
    ]  # fmt: skip


def test_from_an_answer_up_to_the_people_whose_words_made_its_weights(run: Run, past: Names):
    chain = traced(run, past, "ex_cleo1")
    assert chain[2:6] == [
        ("up", "release", "t@1"),
        ("up", "training", "sft"),
        ("up", "dataset", "BOTH"),
        ("up", "examples", "BOTH"),
    ]
    assert {("up", "feedback", "fb_ada"), ("up", "feedback", "fb_bob"), ("up", "answer", "ex_ada")} <= set(chain)
    assert {("up", "person", "ADA"), ("up", "person", "BOB"), ("up", "release", "t@0")} <= set(chain)


def test_from_feedback_both_ways(run: Run, past: Names):
    assert traced(run, past, "fb_bob") == [
        ("here", "feedback", "fb_bob"), ("up", "person", "BOB"), ("up", "answer", "ex_bob"), ("up", "release", "t@0"),
        ("down", "example", "BOTH"), *OF_BOTH,
        ("down", "example", "BOBS"), ("down", "dataset", "BOBS"),
        ("down", "release", "t@2"), ("down", "answers", "t@2"),
    ]  # fmt: skip


def test_from_a_release_up_to_people_and_down_to_its_answers(run: Run, past: Names):
    chain = traced(run, past, "t@1")
    assert chain[0] == ("here", "release", "t@1")
    assert ("up", "release", "t@0") in chain
    assert chain[-2:] == [("down", "release", "t@2"), ("down", "answers", "t@1")]
    _, document, _ = run("trace", "t@1", "--dir", str(past.dir))
    says = {link["what"]: link["says"] for link in document["chain"]}
    assert says["answers"] == "5 given, such as ex_cleo0, ex_cleo1, ex_cleo2"
    assert says["examples"] == "2 from people, of 6; 2 people"
    assert says["dataset"] == "6 examples: 1 approved, 1 demonstration, 4 practice"


def test_an_example_has_an_id_that_leads_both_ways(run: Run, past: Names):
    _, document, _ = run("trace", "fb_ada", "--dir", str(past.dir))
    (example,) = [link["id"] for link in document["chain"] if link["what"] == "example"]
    for id in (example, example.replace(past.both, past.both[:15])):
        chain = traced(run, past, id)
        assert chain == [
            ("here", "example", "BOTH"), ("up", "answer", "ex_ada"),
            ("up", "feedback", "fb_ada"), ("up", "person", "ADA"),
            *OF_BOTH,
        ]  # fmt: skip


@pytest.mark.parametrize("name", ["ada", "pseudonym"])
def test_a_person_is_found_by_name_and_by_pseudonym(run: Run, past: Names, name: str):
    assert traced(run, past, past.ada if name == "pseudonym" else name) == [
        ("here", "person", "ADA"), ("down", "answer", "ex_ada"), ("down", "feedback", "fb_ada"),
        ("down", "example", "BOTH"), *OF_BOTH,
    ]  # fmt: skip


def test_forgetting_removes_and_lists_and_leaves_the_chain_of_the_others(run: Run, past: Names):
    status, document, _ = run("forget", "ada", "--dir", str(past.dir))
    assert status == 0
    assert document == {
        "removed": {"datasets": 1, "exchanges": 1, "feedback": 1, "quarantine": 0},
        "affected": [{"dataset": past.both, "examples": 1, "releases": ["t@1"], "heirs": ["t@2"]}],
        "unknown": [],
        "unaffected": "t@0",
        "wiped": True,
    }
    assert traced(run, past, "fb_bob")[4:8] == [
        ("down", "example", "BOTH"), *OF_BOTH,
    ]  # fmt: skip
    for command in ("forget", "trace"):
        status, _, err = run(command, "ada", "--dir", str(past.dir))
        assert (status, "ada" in err) == (2, True)
    status, _, err = run("feedback", "ex_ada", "--thumbs", "1", "--dir", str(past.dir))
    assert (status, "was forgotten" in err) == (2, True)


def test_a_name_that_nobody_has_is_one_sentence(run: Run, past: Names):
    assert run("forget", "dora", "--dir", str(past.dir)) == (
        2, None, "loopwise: Nothing is recorded under 'dora': give the name that the app sends.\n",
    )  # fmt: skip
    assert run("trace", "sha256:0000", "--dir", str(past.dir))[0] == 2
    assert run("trace", f"{past.both}#6", "--dir", str(past.dir))[0] == 2


def test_somebody_at_a_terminal_is_asked_first_and_may_decline(run: Run, past: Names, monkeypatch: pytest.MonkeyPatch):
    typing, terminal = pty.openpty()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        os.write(typing, b"n\n")
        status, _, err = run("forget", "ada", "--dir", str(past.dir))
        assert (status, "Nothing was removed." in err) == (2, True)
        assert "Remove everything that ada said and was answered?" in err
        assert traced(run, past, "ex_ada")
        assert run("forget", "ada", "--yes", "--dir", str(past.dir))[0] == 0
    os.close(typing)
