"""Every command over one small project: its JSON keys, its exit status, and one sentence for a user's mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands import Done, here, in_process
from loopwise.cli.init import created
from loopwise.cli.templates import embedded_toml
from loopwise.compute.services import free_port


def answer(*args: str, run: Callable[..., Done] = here) -> Any:
    done = here(*args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("cli") / "projekt ä"  # a space and a letter beyond ASCII
    toml = embedded_toml((free_port(), free_port())).replace("n = 1500", "n = 40")
    with created(directory, toml):
        return directory


def test_help_lists_every_command_without_importing_what_they_need():
    code = "import sys, loopwise.cli.main; print([m for m in ('torch', 'numpy', 'sqlalchemy') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
    shown = in_process("--help")
    assert shown.returncode == 0
    for command in ("init", "up", "demo", "turn", "status", "simulate", "feedback", "practice", "evaluate", "releases",
                    "promote", "rollback", "report", "datasets", "suites", "trace", "doctor"):  # fmt: skip
        assert f"  {command} " in shown.stdout


@pytest.mark.parametrize(
    ("args", "keys"),
    [
        (["status"], {"champion", "canary", "turn", "counts"}),
        (["releases"], {"releases", "history"}),
        (["suites"], {"suites"}),
        (["datasets"], {"datasets"}),
        (["doctor"], {"checks"}),
        (["trace", "tiny@0"], {"chain"}),
        (["promote", "tiny@0"], {"name", "state", "parent", "dataset", "fingerprint", "at"}),
    ],
)
def test_json_has_the_keys_of_the_contract(project: Path, args: list[str], keys: set[str]):
    assert keys <= set(answer(*args, "--dir", str(project)))


def test_suites_say_name_role_version_and_size(project: Path):
    found = {suite["name"]: suite for suite in answer("suites", "--dir", str(project))["suites"]}
    assert {name: suite["role"] for name, suite in found.items()} == {
        "target": "target", "rotate_matrix": "anchor", "spiral_matrix": "anchor", "final": "final",
    }  # fmt: skip
    assert all(suite["n"] == 40 and suite["version"].startswith("sha256:") for suite in found.values())


def test_evaluate_and_practice_give_figures_over_the_real_model(project: Path):
    where = ("--dir", str(project))
    scored = answer("evaluate", "champion", "--suite", "spiral_matrix", *where, run=in_process)
    assert scored["n"] == 40
    assert 0.0 <= scored["low"] <= scored["score"] <= scored["high"] <= 1.0
    assert [part["name"] for part in scored["slices"]] == ["spiral_matrix"]
    source = "reasoning-gym:spell_backward?min_word_len=3&max_word_len=6"
    practice = ("practice", "--source", source, "--problems", "20", "--attempts", "4")
    tried = answer(*practice, *where, run=in_process)
    assert (tried["problems"], tried["attempts"], tried["k"]) == (20, 80, 4)
    assert 0.0 < tried["pass_at_1"] < tried["pass_at_k"] <= 1.0
    assert tried["all_right"] + tried["all_wrong"] + tried["mixed"] == 20


def test_feedback_on_an_unknown_answer_is_kept_and_said_to_be_unknown(project: Path):
    given = answer("feedback", "ex_nobody", "--thumbs", "1", "--user", "u1", "--dir", str(project))
    assert given["known"] is False
    assert len(given["ids"]) == 1


@pytest.mark.parametrize(
    ("args", "status", "sentence"),
    [
        (["status", "--dir", "no-such-folder"], 2, "run 'loopwise init' there"),
        (["promote", "tiny@9"], 2, "those that exist: tiny@0"),
        (["rollback"], 1, "is the first champion"),
        (["report"], 2, "run 'loopwise turn', then ask again"),
        (["report", "7"], 2, "There is no report for turn 7"),
        (["evaluate", "champion", "--suite", "no"], 2, "There is no suite 'no' here"),
        (["evaluate", "champion", "--suite", "final", "--prompt", "nothing.txt"], 2, "is no file"),
        (["practice", "--source", "reasoning-gym:spel_backward"], 2, "did you mean spell_backward"),
        (["practice", "--source", "nonsense"], 2, "There is no source 'nonsense'"),
        (["datasets", "show", "12ab"], 2, "'loopwise datasets' lists all of them"),
        (["trace", "nothing"], 2, "Nothing is called 'nothing' here"),
        (["feedback", "ex_1"], 2, "give --thumbs, --correction or --comment"),
        (["feedback", "ex_1", "--thumbs", "0"], 2, "takes the value 1 or -1"),
        (["up", "--only", "cook"], 2, "choose gateway, engine or worker"),
        (["simulate", "--url", "http://127.0.0.1:9", "--events", "3"], 3, "start one with 'loopwise up'"),
        (["simulate", "--population", "hostle"], 2, "did you mean 'hostile'"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_exit_status(project: Path, args: list[str], status: int, sentence: str):
    where = [] if "--dir" in args else ["--dir", str(project)]
    done = here(*args, *where, cwd=project.parent)
    assert done.returncode == status, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_process_ends_with_the_status_and_the_sentence_of_the_mistake(project: Path):
    done = in_process("promote", "tiny@9", "--dir", str(project))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == here("promote", "tiny@9", "--dir", str(project)).stderr
    assert "those that exist: tiny@0" in done.stderr


@pytest.mark.parametrize("args", [["turm"], ["promote"], ["demo", "--turns", "0"], ["status", "--nonsense"]])
def test_wrong_usage_is_status_2(args: list[str]):
    done = here(*args)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_stack_trace_appears_only_with_debug(project: Path):
    assert "Traceback" in here("promote", "tiny@9", "--debug", "--dir", str(project)).stderr


def test_init_refuses_what_cannot_be_meant(tmp_path: Path):
    for args, sentence in (
        (["--url", "http://127.0.0.1:9"], "--url and --model go together"),
        (["--base", "models/x"], "--base and --api-key-env go with --url"),
        (["--url", "http://127.0.0.1:9", "--model", "m"], "cannot be reached"),
    ):
        done = here("init", str(tmp_path / "new"), *args)
        assert done.returncode in (2, 3), done.stderr
        assert sentence in done.stderr
        assert not (tmp_path / "new" / "loopwise.toml").exists()


def test_a_project_can_be_moved(project: Path, tmp_path: Path):
    moved = tmp_path / "elsewhere"
    import shutil

    shutil.copytree(project, moved)
    checks = {check["name"]: check for check in answer("doctor", "--dir", str(moved))["checks"]}
    assert checks["weights"]["ok"] is True


def test_a_suite_whose_sources_were_edited_is_refused(project: Path, tmp_path: Path):
    import shutil

    changed = tmp_path / "changed"
    shutil.copytree(project, changed)
    toml = changed / "loopwise.toml"
    toml.write_text(toml.read_text().replace("spiral_matrix?min_n=2&max_n=2", "spiral_matrix?min_n=3&max_n=3"))
    done = here("suites", "--dir", str(changed))
    assert done.returncode == 2
    assert "[suites.spiral_matrix] source was changed" in done.stderr
