"""Commands in the documents exist: each is parsed by the real command line; a document cannot drift unnoticed."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from loopwise.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
_BLOCK = re.compile(r"^```sh(?P<mark>[^\n]*)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)


def _commands(runnable: bool = False) -> list[tuple[str, list[str]]]:
    """(where, words after ``loopwise``) of every command; with ``runnable``, without those marked norun."""
    found: list[tuple[str, list[str]]] = []
    for path in DOCS:
        for block in _BLOCK.finditer(path.read_text()):
            for line in block["body"].replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and Path(words[0]).name == "loopwise" and not (runnable and "# norun" in line):
                    found.append((f"{path.name}: {line.strip()}", words[1:]))
    return found


def test_the_documents_hold_commands():
    assert len(_commands()) > 10


@pytest.mark.parametrize(("where", "words"), _commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_each_documented_command_and_option_exists(where: str, words: list[str]):
    assert words[0] in COMMANDS, where
    shown = [words[0], *(["show"] if words[1:2] == ["show"] else [])]
    help_text = subprocess.run(
        [sys.executable, "-m", "loopwise.cli.main", *shown, "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in (word.split("=")[0] for word in words if word.startswith("--")):
        assert option in help_text or option == "--debug", f"{where}: {option} is no option of {shown}"


def test_each_make_target_in_the_documents_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in DOCS:
        for block in _BLOCK.finditer(path.read_text()):
            for target in re.findall(r"^make ([a-z-]+)", block["body"], re.MULTILINE):
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
            ran = subprocess.run(
                [sys.executable, "-m", "loopwise.cli.main", *words], capture_output=True, text=True, cwd=tmp_path
            )
            assert ran.returncode == 0, f"{where}: {ran.stderr}"
    assert len(done) >= 7
