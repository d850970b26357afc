"""``loopwise import`` and ``export`` as people type them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from loopwise.cli.main import main
from loopwise.curate.parquet import write
from loopwise.store import Store, artifacts
from loopwise.types import Example

SAMPLES = Path(__file__).parent.parent / "data" / "imports"


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs a command in this process, which is quicker to start."""

    def call(*args: object) -> Done:
        with pytest.raises(SystemExit) as ended:
            main([str(arg) for arg in args])
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, *capsys.readouterr())

    return call


Run = Callable[..., Done]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "loopwise.toml").write_text('[engine]\nkind = "openai"\nurl = "http://127.0.0.1:9/v1"\nmodel = "m"\n')
    Store("sqlite:///loopwise.db", tmp_path, create=True).close()
    return tmp_path


def test_an_import_tells_counts_and_refused_rows(project: Path, run: Run):
    done = run("import", SAMPLES / "openai-logs.jsonl", "--format", "openai", "--dir", project, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {name: told[name] for name in ("exchanges", "feedback", "known", "left_out", "refused_count")} == {
        "exchanges": 5, "feedback": 0, "known": 0, "left_out": 0, "refused_count": 4,
    }  # fmt: skip
    assert [row["line"] for row in told["refused"]] == [3, 8, 9, 10]
    shown = run("import", SAMPLES / "openai-logs.jsonl", "--format", "openai", "--dir", project)
    assert shown.returncode == 0
    assert "4 refused" in shown.stdout
    assert "The last message is not the assistant's" in " ".join(shown.stdout.split())


def test_nothing_taken_is_exit_status_1(project: Path, run: Run):
    (project / "log.jsonl").write_text('{"messages": []}\n')
    done = run("import", project / "log.jsonl", "--format", "openai", "--dir", project, "--json")
    assert (done.returncode, json.loads(done.stdout)["refused_count"]) == (1, 1)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (
            (SAMPLES / "langfuse-scores.json", "--format", "openai"),
            "looks like langfuse, not openai: say --format langfuse",
        ),
        ((SAMPLES / "langfuse-scores.json", "--format", "csv"), "choose one of open-webui, langfuse, openai, loopwise"),
        ((SAMPLES / "nothing.json", "--format", "langfuse"), "There is no file"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_status_2(
    project: Path, run: Run, args: tuple[object, ...], sentence: str
):
    done = run("import", *args, "--dir", project)
    assert done.returncode == 2
    assert done.stdout == ""
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_export_comes_back_as_it_went(project: Path, tmp_path: Path, run: Run):
    run("import", SAMPLES / "open-webui.json", "--format", "open-webui", "--dir", project)
    printed = run("export", "--dir", project)
    told = run("export", "--dir", project, "--out", tmp_path / "all.jsonl", "--json")
    assert json.loads(told.stdout) == {"exchanges": 3, "feedback": 6, "out": str(tmp_path / "all.jsonl")}
    assert printed.stdout == (tmp_path / "all.jsonl").read_text()
    assert len(printed.stdout.splitlines()) == 1 + 3 + 6
    assert [path.name for path in tmp_path.glob("all*")] == ["all.jsonl"]
    again = run("import", tmp_path / "all.jsonl", "--format", "loopwise", "--dir", project, "--json")
    assert (json.loads(again.stdout)["known"], json.loads(again.stdout)["refused_count"]) == (9, 0)
    lost = run("export", "--dir", project, "--json")
    assert (lost.returncode, "give --out too" in lost.stderr) == (2, True)


def test_a_dataset_is_taken_out_for_training_elsewhere(project: Path, tmp_path: Path, run: Run):
    asked = ({"role": "user", "content": "2+2?"},)
    rows = [Example(asked, "4", "approved", "people", ("e", "f")), Example(asked, "5", "refused", "people", ("e", "g"))]
    store = Store("sqlite:///loopwise.db", project)
    with store.writing() as conn:
        for turn, made in enumerate([rows[:1], rows]):
            artifacts.add_dataset(conn, write(made, {}, project / "datasets"), turn, project)
    store.close()
    out = tmp_path / "sft.jsonl"
    told = run("export", "--format", "trl-sft", "--out", out, "--dir", project, "--json")
    assert {**json.loads(told.stdout), "dataset": "newest"} == {
        "dataset": "newest",
        "rows": 1,
        "lines": 1,
        "left_out": [{"reason": "its answer was marked bad", "count": 1}],
        "unweighted": 0,
        "out": str(out),
    }
    printed = run("export", "--format", "trl-sft", "--dir", project)
    assert printed.stdout == out.read_text()
    assert "1 left out: its answer was marked bad." in printed.stderr
    older = write(rows[:1], {}, tmp_path).name
    chosen = run(
        "export", "--format", "parquet", "--dataset", older[:15], "--out", tmp_path / "rows", "--dir", project, "--json"
    )
    assert (json.loads(chosen.stdout)["dataset"], json.loads(chosen.stdout)["rows"]) == (older, 1)
    for args, sentence in (
        (["--format", "csv"], "choose one of loopwise, trl-sft, trl-dpo, trl-kto, openai, openai-dpo, parquet"),
        (["--format", "trl-sft", "--dataset", "sha256:00"], "0 datasets begin with 'sha256:00'"),
        (["--dataset", older], "leave --dataset out"),
        (["--format", "parquet"], "give --out too"),
    ):
        refused = run("export", *args, "--dir", project)
        assert (refused.returncode, sentence in refused.stderr) == (2, True), refused.stderr
    for path in (project / "datasets").glob("*.parquet"):
        path.unlink()
    assert (
        "are gone, by retention or with a forgotten person"
        in run("export", "--format", "openai", "--dir", project).stderr
    )
