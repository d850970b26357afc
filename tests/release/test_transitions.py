"""Promote, reject and roll back on a real SQLite store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Thread

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from loopwise.errors import TransitionError, UnknownNameError
from loopwise.release.transitions import promote, register, reject, rollback
from loopwise.store import Store, releases
from loopwise.types import JsonObject, Release

URL = "sqlite:///loopwise.db"


@pytest.fixture
def store(tmp_path: Path):
    store = Store(URL, tmp_path, create=True)
    yield store
    store.close()


def made(name: str, fingerprint: str = "sha256:aa", at: float = 1.0) -> Release:
    return Release(name, "candidate", None, None, fingerprint, f"models/{name}", at)


def states(store: Store) -> dict[str, str]:
    with store.reading() as conn:
        return {release.name: release.state for release in releases.all_releases(conn)}


def history(store: Store) -> list[JsonObject]:
    with store.reading() as conn:
        return releases.history(conn)


def with_releases(store: Store, *names: str) -> None:
    for name in names:
        register(store, made(name), "test", "made")


def test_promoting_retires_the_champion_and_says_who_and_why(store: Store):
    with_releases(store, "a@1", "a@2")
    promote(store, "a@1", "init", "the base")
    assert promote(store, "a@2", "lena", "better on the target").state == "champion"
    assert states(store) == {"a@1": "retired", "a@2": "champion"}
    told = [(row["name"], row["from_state"], row["to_state"], row["who"], row["why"]) for row in history(store)[-2:]]
    assert told == [
        ("a@1", "champion", "retired", "lena", "a@2 took its place: better on the target"),
        ("a@2", "candidate", "champion", "lena", "better on the target"),
    ]


def test_promoting_the_champion_again_changes_nothing(store: Store):
    with_releases(store, "a@1")
    promote(store, "a@1", "init", "the base")
    before = history(store)
    assert promote(store, "a@1", "init", "again").state == "champion"
    assert history(store) == before


def test_a_rejected_release_can_never_be_promoted(store: Store):
    with_releases(store, "a@1")
    reject(store, "a@1", "gate", "worse")
    with pytest.raises(TransitionError, match=r"'a@1' is 'rejected' and cannot become 'champion': that state is final"):
        promote(store, "a@1", "lena", "but I like it")
    assert states(store) == {"a@1": "rejected"}


def test_a_champion_cannot_be_rejected(store: Store):
    with_releases(store, "a@1")
    promote(store, "a@1", "init", "the base")
    with pytest.raises(TransitionError, match="loopwise rollback"):
        reject(store, "a@1", "lena", "no")


def test_rolling_back_twice_walks_back_through_the_champions(store: Store):
    with_releases(store, "a@1", "a@2", "a@3")
    for name in ("a@1", "a@2", "a@3"):
        promote(store, name, "test", "better")
    assert rollback(store, "lena", "complaints").name == "a@2"
    assert rollback(store, "lena", "still").name == "a@1"
    assert states(store) == {"a@1": "champion", "a@2": "rolled_back", "a@3": "rolled_back"}
    with pytest.raises(TransitionError, match=r"'a@1' is the first champion"):
        rollback(store, "lena", "further")


def test_a_retired_or_rolled_back_release_comes_back_by_no_promotion(store: Store):
    with_releases(store, "a@1", "a@2")
    promote(store, "a@1", "test", "base")
    promote(store, "a@2", "test", "better")
    with pytest.raises(TransitionError, match="only by 'loopwise rollback'"):
        promote(store, "a@1", "test", "back")
    rollback(store, "test", "worse")
    with pytest.raises(TransitionError, match="final"):
        promote(store, "a@2", "test", "again")


def test_rolling_back_without_a_champion_says_so(store: Store):
    with pytest.raises(TransitionError, match="no champion to roll back"):
        rollback(store, "test", "why not")


def test_an_unknown_name_is_answered_with_those_that_exist(store: Store):
    with pytest.raises(UnknownNameError, match="none yet"):
        promote(store, "a@9", "test", "?")
    with_releases(store, "a@1", "a@2")
    with pytest.raises(UnknownNameError, match=r"'a@9'; those that exist: a@1, a@2"):
        reject(store, "a@9", "test", "?")


def test_registering_again_is_harmless_and_another_content_is_refused(store: Store):
    register(store, made("a@1", "sha256:aa", at=1.0), "loop", "turn 1")
    promote(store, "a@1", "loop", "passed")
    assert register(store, made("a@1", "sha256:aa", at=2.0), "loop", "turn 1 resumed").state == "champion"
    assert len(history(store)) == 2
    with pytest.raises(TransitionError, match="names are never reused"):
        register(store, made("a@1", "sha256:bb"), "loop", "other weights")


def test_nothing_begins_as_champion(store: Store):
    with pytest.raises(TransitionError, match="register it as 'candidate' first"):
        register(store, Release("a@1", "champion", None, None, "sha256:aa", "p", 1.0), "x", "y")


def test_promoters_at_once_in_threads_give_one_champion_and_a_whole_history(store: Store):
    names = [f"a@{n}" for n in range(6)]
    with_releases(store, *names)
    barrier = Barrier(len(names))

    def run(name: str) -> None:
        barrier.wait()
        promote(store, name, name, "race")

    threads = [Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states(store).values()) == ["champion"] + ["retired"] * 5
    assert replayed(history(store)) == states(store)


def test_promoters_at_once_in_processes_give_one_champion(store: Store, tmp_path: Path):
    names = [f"a@{n}" for n in range(3)]
    with_releases(store, *names)
    code = (
        "import sys, pathlib; from loopwise.store import Store; from loopwise.release.transitions import promote\n"
        f"store = Store({URL!r}, pathlib.Path(sys.argv[1])); print('ready', flush=True); sys.stdin.readline()\n"
        "promote(store, sys.argv[2], 'process', 'race')"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ, text=True)
        for name in names
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(timeout=30) for process in processes] == [0, 0, 0]
    for process in processes:
        process.communicate()
    assert sorted(states(store).values()) == ["champion", "retired", "retired"]
    assert replayed(history(store)) == states(store)


def replayed(events: list[JsonObject]) -> dict[str, str]:
    """The states that the history leads to; fails where a step does not start from the state that was reached."""
    found: dict[str, str] = {}
    for event in events:
        assert found.get(event["name"]) == event["from_state"]
        found[event["name"]] = event["to_state"]
    return found


class Releases(RuleBasedStateMachine):
    """Whatever people press, there is at most one champion and the history explains it."""

    names = st.sampled_from(["a@1", "a@2", "a@3", "a@4"])

    @initialize()
    def opened(self) -> None:
        self.folder = TemporaryDirectory()
        self.store = Store(URL, Path(self.folder.name), create=True)
        self.finals: dict[str, str] = {}
        self.refused = 0

    def pressed(self, lever: object, *arguments: object) -> None:
        try:
            lever(self.store, *arguments, "someone", "because")  # type: ignore[operator]
        except (TransitionError, UnknownNameError):
            self.refused += 1

    @rule(name=names)
    def registers(self, name: str) -> None:
        register(self.store, made(name), "someone", "made")

    @rule(name=names)
    def promotes(self, name: str) -> None:
        self.pressed(promote, name)

    @rule(name=names)
    def rejects(self, name: str) -> None:
        self.pressed(reject, name)

    @rule()
    def rolls_back(self) -> None:
        before = states(self.store)
        self.pressed(rollback)
        assert ("champion" in before.values()) == ("champion" in states(self.store).values())

    @invariant()
    def is_consistent(self) -> None:
        now = states(self.store)
        assert list(now.values()).count("champion") <= 1
        assert replayed(history(self.store)) == now
        assert all(now[name] == state for name, state in self.finals.items())
        self.finals = {name: state for name, state in now.items() if state in ("rejected", "rolled_back")}

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


TestReleases = Releases.TestCase
TestReleases.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def test_a_candidate_is_not_promoted_over_a_champion_that_it_was_not_compared_with(store: Store):
    with_releases(store, "a@1", "a@2")
    promote(store, "a@1", "t", "y")
    with pytest.raises(TransitionError, match="'a@2' was compared with 'a@0', which is not the champion any more"):
        promote(store, "a@2", "t", "y", instead_of="a@0")
    assert promote(store, "a@2", "t", "y", instead_of="a@1").state == "champion"
