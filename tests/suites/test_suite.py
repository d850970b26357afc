from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from loopwise.errors import SettingsError, UnknownNameError
from loopwise.practice.sources import in_split
from loopwise.suites import from_file, load, make, overlap, save, version
from loopwise.types import Suite

SPECS = ["reasoning-gym:gcd", "reasoning-gym:spell_backward", "reasoning-gym:leg_counting"]


@pytest.fixture(scope="module")
def suite() -> Suite:
    return make("mine", "target", SPECS, 31, seed=4)


def test_a_suite_is_balanced_by_family_and_of_its_roles_split(suite: Suite):
    segments = [p.segment for p in suite.problems]
    assert [segments.count(s) for s in ("gcd", "spell_backward", "leg_counting")] == [11, 10, 10]
    assert all(in_split(p.key, "held-out") for p in suite.problems)
    assert all(in_split(p.key, "final") for p in make("f", "final", SPECS, 30, seed=4).problems)
    assert all(in_split(p.key, "held-out") for p in make("a", "anchor", SPECS, 30, seed=4).problems)
    assert len({p.key for p in suite.problems}) == 31


def test_the_version_follows_the_content_alone(suite: Suite):
    assert suite.version.startswith("sha256:")
    assert make("other", "anchor", SPECS, 31, seed=4, margin=0.1).version == suite.version
    assert make("mine", "target", SPECS, 31, seed=5).version != suite.version
    first, *rest = suite.problems
    changes = [
        {"reference": "9"}, {"verifier": "number"}, {"key": "0"}, {"messages": ({"role": "user", "content": "?"},)},
    ]  # fmt: skip
    versions = {version([dataclasses.replace(first, **change), *rest]) for change in changes}
    versions |= {version(rest), version([*rest, first]), suite.version}
    assert len(versions) == 7
    assert version([dataclasses.replace(first, metadata={}, segment="z"), *rest]) == suite.version


def test_a_saved_suite_comes_back_equal(suite: Suite, tmp_path: Path):
    path = tmp_path / "suites" / "mine.json"
    save(suite, path)
    assert load(path) == suite


def test_text_that_is_hard_to_store_comes_back(tmp_path: Path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"id": "1", "prompt": "\ud800 \u0000 é \u2028 <b>", "reference": "ß"}) + "\n")
    suite = from_file("hard", "probe", str(rows), margin=0.0)
    save(suite, tmp_path / "hard.json")
    assert load(tmp_path / "hard.json") == suite


def test_a_file_is_a_suite_as_it_stands(tmp_path: Path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(json.dumps({"id": str(i), "prompt": f"{i}?", "reference": "1"}) for i in range(50)))
    suite = from_file("mine", "anchor", str(rows), margin=0.02)
    assert [p.metadata["id"] for p in suite.problems] == [str(i) for i in range(50)]
    assert (suite.role, suite.margin) == ("anchor", 0.02)


def test_overlap_names_what_is_shared(suite: Suite):
    other = make("final", "final", SPECS, 30, seed=1)
    keys = [suite.problems[7].key, suite.problems[2].key, "unknown"]
    assert overlap(keys, [suite, other]) == {"mine": [suite.problems[2].key, suite.problems[7].key]}
    assert overlap([p.key for p in other.problems], [suite]) == {}


def test_a_changed_or_damaged_file_is_refused(suite: Suite, tmp_path: Path):
    path = tmp_path / "s.json"
    save(suite, path)
    whole = path.read_text()
    answer = f'"reference": {json.dumps(suite.problems[0].reference)}'
    path.write_text(whole.replace(answer, '"reference": "17"', 1))
    with pytest.raises(SettingsError, match="are not those of its version sha256:"):
        load(path)
    for text in (
        whole[:1000],
        "{}",
        "[]",
        whole.replace('"margin"', '"margins"'),
        whole.replace('"format": 1', '"format": 2'),
    ):
        path.write_text(text)
        with pytest.raises(SettingsError, match="run 'loopwise init' again"):
            load(path)
    with pytest.raises(SettingsError, match=r"none.json cannot be read"):
        load(tmp_path / "none.json")


def test_wrong_wishes_are_sentences(tmp_path: Path):
    with pytest.raises(SettingsError, match="suite 's' has the role 'goal'; roles are target, anchor, probe, final"):
        make("s", "goal", SPECS, 30, seed=1)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="suite 's' needs at least one source"):
        make("s", "target", [], 30, seed=1)
    with pytest.raises(SettingsError, match=r"margin of the suite 's' is 5; it must be a share"):
        make("s", "target", SPECS, 30, seed=1, margin=5)
    with pytest.raises(UnknownNameError, match="no family 'gdc'"):
        make("s", "target", ["reasoning-gym:gdc"], 30, seed=1)
    with pytest.raises(SettingsError, match=r"distinct problems in the split 'held-out', and 999 are needed"):
        make("s", "target", ["reasoning-gym:gcd?max_value=9"], 999, seed=1)
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(SettingsError, match="holds no problems"):
        from_file("s", "target", str(tmp_path / "empty.jsonl"))
