"""What the documents show works: commands, settings and code are run, so that a document cannot drift unnoticed."""

import ast
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import here
from loopwise import config
from loopwise.cli.main import COMMANDS
from loopwise.store import Store, feedback
from loopwise.types import Exchange

ROOT = Path(__file__).parents[1]
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
_BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
NODE = ROOT / "tests" / "e2e" / "node"


def _blocks(path: Path, kind: str) -> list[str]:
    return [block["body"] for block in _BLOCK.finditer(path.read_text()) if block["kind"] == kind]


def _with(kind: str, holding: str = "") -> list[Path]:
    """The documents that show code of a kind."""
    return [path for path in DOCS if any(holding in body for body in _blocks(path, kind))]


def _here(code: str, gateway: str) -> str:
    """Code as it would be written for this gateway."""
    return code.replace("http://127.0.0.1:4040", gateway).replace("lw_…", "lw_key").replace("ex_…", "ex_1")


def _commands(runnable: bool = False) -> list[tuple[str, list[str]]]:
    """(where, words after ``loopwise``) of every command; with ``runnable``, without those marked norun."""
    found: list[tuple[str, list[str]]] = []
    for path in DOCS:
        for body in _blocks(path, "sh"):
            for line in body.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and Path(words[0]).name == "loopwise" and not (runnable and "# norun" in line):
                    found.append((f"{path.name}: {line.strip()}", words[1:]))
    return found


def test_the_documents_hold_commands():
    assert len(_commands()) > 10


@pytest.mark.parametrize(("where", "words"), _commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_each_documented_command_and_option_exists(where: str, words: list[str]):
    assert words[0] in COMMANDS, where
    shown = words[:2] if words[1:2] and words[1] in ("show", "create", "revoke", "add", "release") else words[:1]
    helped = here(*shown, "--help")
    assert helped.returncode == 0, f"{where}: {helped.stderr}"
    for option in (word.split("=")[0] for word in words if word.startswith("--")):
        assert option in helped.stdout or option == "--debug", f"{where}: {option} is no option of {shown}"


def test_each_make_target_in_the_documents_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in DOCS:
        for body in _blocks(path, "sh"):
            for target in re.findall(r"^make ([a-z-]+)", body, re.MULTILINE):
                assert target in targets, f"{path.name}: make {target}"


def test_links_between_documents_lead_somewhere():
    for path in DOCS:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_documents_commands_run(tmp_path: Path):
    done: list[list[str]] = []
    for where, words in sorted(_commands(runnable=True), key=lambda command: command[1][0] != "init"):
        if words not in done:
            done.append(words)
            ran = here(*words, cwd=tmp_path)
            assert ran.returncode == 0, f"{where}: {ran.stderr}"
    assert len(done) >= 7


@pytest.mark.parametrize("path", _with("toml"), ids=lambda path: path.name)
def test_the_documents_settings_parse(path: Path, tmp_path: Path):
    (tmp_path / "models" / "en_core_web_lg").mkdir(parents=True)  # whose path must exist
    for body in _blocks(path, "toml"):
        assert config.parse(body, tmp_path, path.name).dir == tmp_path.resolve()


@pytest.mark.parametrize("path", _with("python"), ids=lambda path: path.name)
def test_the_documents_python_runs(
    path: Path, gateway: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: Callable[[], list[Exchange]]
):
    asked = json.dumps(
        {"system": "Be kind.", "messages": [{"role": "user", "content": [{"type": "text", "text": "?"}]}]}
    )
    common = {"id": "0190-7", "at": 1.0, "function_name": "draft", "variant_name": "a", "episode_id": "0190-1"}
    output = json.dumps([{"type": "text", "text": "!"}])
    inference = {**common, "input": asked, "output": output, "tags": {"user_id": "u1"}}
    metric = {"id": "0190-9", "at": 2.0, "target_id": "0190-7", "metric_name": "draft_accepted", "value": True}
    (tmp_path / "inferences.jsonl").write_text(json.dumps(inference) + "\n")
    (tmp_path / "metrics.jsonl").write_text(json.dumps(metric) + "\n")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for body in _blocks(path, "python"):
        exec(compile(ast.parse(_here(body, gateway)), path.name, "exec"), names)
    if path.name == "from-tensorzero.md":
        (exchange,) = recorded()
        assert exchange.response is not None
        assert (exchange.id, exchange.model, exchange.episode) == ("0190-7", "draft/a", "0190-1")
        assert [message["content"] for message in exchange.request["messages"]] == ["Be kind.", "?"]
        assert exchange.response["choices"][0]["message"]["content"] == "!"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")
@pytest.mark.parametrize("path", _with("sh", "curl http"), ids=lambda path: path.name)
def test_the_documents_curl_commands_are_answered(path: Path, gateway: str):
    lines = [line for body in _blocks(path, "sh") for line in body.replace("\\\n", " ").splitlines()]
    for line in (line for line in lines if line.startswith("curl ")):
        command = ["curl", "-sS", "--fail-with-body", *shlex.split(_here(line, gateway))[1:]]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert ran.returncode == 0, f"{path.name}: {line}: {ran.stdout}{ran.stderr}"


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed here")
def test_the_browsers_snippet_sends_feedback(gateway: str, store: Store):
    (snippet,) = _blocks(ROOT / "docs" / "feedback.md", "js")
    _node(_here(snippet, gateway), ROOT)
    with store.reading() as conn:
        rows = [row for _, row in feedback.up_to(conn, feedback.watermark(conn))]
    assert [(row.exchange_id, row.kind, row.value) for row in rows] == [("ex_1", "thumbs", 1)]


@pytest.mark.slow
@pytest.mark.skipif(not (NODE / "node_modules").exists(), reason="the packages for Node are not installed here")
def test_the_snippet_for_node_is_answered(gateway: str, recorded: Callable[[], list[Exchange]]):
    (snippet,) = _blocks(ROOT / "docs" / "put-in-front.md", "js")
    _node(_here(snippet, gateway), NODE)
    assert [exchange.status for exchange in recorded()] == [200]


def _node(code: str, folder: Path) -> None:
    command = ["node", "--input-type=module"]
    ran = subprocess.run(command, input=code, capture_output=True, text=True, cwd=folder, timeout=20)
    assert ran.returncode == 0, ran.stderr
