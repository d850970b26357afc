"""Turns on real weights: what a good one gives, and what the gate does with a bad one."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

from loopwise.cli.project import opened
from loopwise.store import exchanges, feedback
from loopwise.types import Exchange, Feedback

from .conftest import loopwise, loopwise_json, make_project, small_toml

WRONG = 300  # corrections, each of them wrong


def _ask(url: str, question: str) -> dict[str, str]:
    body = {"model": "loopwise", "messages": [{"role": "user", "content": question}], "temperature": 0}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:
        answer = json.load(response)
    return {"text": answer["choices"][0]["message"]["content"], "fingerprint": answer["system_fingerprint"]}


def test_a_candidate_trained_on_corrupted_labels_is_refused_and_the_champion_keeps_serving(
    tmp_path: Path, serving: Callable[[Path], str]
):
    project = make_project(
        tmp_path / "project", small_toml(changes={**_NO_PRACTICE, "examples = 3000": "examples = 1500"})
    )
    _corrupt(project)
    url = serving(project)
    before = _ask(url, "Spell this word backward (example: sun -> nus): loop")
    done = loopwise("turn", "--json", "--dir", str(project), check=False)
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout)
    assert (result["verdict"], result["candidate"], result["release"]) == ("failed", "tiny@1", "tiny@0")
    report = loopwise_json("report", "--dir", str(project))
    target = next(check for check in report["checks"] if check["name"] == "superiority:target")
    assert target["passed"] is False
    assert target["high"] < 0  # proved worse, not merely unproved
    assert report["worst"], "the report shows answers that were lost"
    assert _ask(url, "Spell this word backward (example: sun -> nus): loop") == before
    states = {row["name"]: row["state"] for row in loopwise_json("releases", "--dir", str(project))["releases"]}
    assert states == {"tiny@0": "champion", "tiny@1": "rejected"}


_NO_PRACTICE = {"attempts = 8": "attempts = 2", "problems = 5000": "problems = 5"}


def _corrupt(project_dir: Path) -> None:
    """Everybody corrects right answers into wrong ones: the first character is lost."""
    from itertools import islice

    from loopwise.practice.sources import PEOPLE, mixed

    with opened(project_dir) as project, project.store.writing() as conn:
        champion = project.champion()
        sources = project.settings.suites["target"].sources
        for i, problem in enumerate(islice(mixed(sources, 5, PEOPLE), WRONG)):
            request = {"messages": list(problem.messages)}
            response = {"choices": [{"index": 0, "message": {"content": "?"}}]}
            served = ("loopwise", champion.name, champion.fingerprint, "champion", 1.0)
            exchanges.add(conn, [Exchange(f"ex_{i}", float(i), *served, request, response, 200, 0.1, user=f"u{i}")])
            wrong = str(problem.reference)[1:] + "7"
            feedback.add(conn, [Feedback(f"fb_{i}", float(i), "correction", wrong, f"ex_{i}", user=f"u{i}")])


def test_a_turn_with_nothing_to_learn_from_ends_and_says_so(tmp_path: Path):
    changes = {**_NO_PRACTICE, "n = 300": "n = 20"}
    project = make_project(tmp_path / "project", small_toml(changes=changes))
    text = (project / "loopwise.toml").read_text()
    begin, end = text.index("sources = ["), text.index("]\nproblems")
    (project / "loopwise.toml").write_text(text[:begin] + "sources = [" + text[end:])
    done = loopwise("turn", "--json", "--dir", str(project), check=False)
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout)
    assert (result["verdict"], result["candidate"], result["release"]) == ("not trained", None, "tiny@0")
    assert loopwise_json("status", "--dir", str(project))["turn"]["stage"] == "release done"
