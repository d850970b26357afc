"""What serves: promotions and rollbacks as a client sees them, through the gateway and the official client."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from openai import OpenAI

from loopwise.cli.project import opened
from loopwise.release import register
from loopwise.types import Release

from .conftest import loopwise, loopwise_json, make_project, small_toml

QUESTIONS = [
    *(f"Spell this word backward (example: sun -> nus): {word}" for word in ("loop", "wise", "tree", "cat", "anchor")),
    "How many legs are there in total if you have 3 dogs, 2 spiders?",
    "hello, who are you?",
]


def _answers(client: OpenAI) -> list[tuple[str | None, str | None]]:
    """(text, fingerprint) of each question, greedy, one at a time."""
    found = [
        client.chat.completions.create(
            model="loopwise", messages=[{"role": "user", "content": question}], temperature=0, max_tokens=48
        )
        for question in QUESTIONS
    ]
    return [(answer.choices[0].message.content, answer.system_fingerprint) for answer in found]


def _other_weights(directory: Path) -> Release:
    """A second release: the base with its last norm scaled, so that it answers otherwise."""
    import shutil

    from safetensors.torch import load_file, save_file

    from loopwise.engine.embedded.weights import fingerprint

    folder = directory / "models" / "other@1"
    shutil.copytree(directory / "models" / "tiny@0", folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.self_attn.o_proj.weight"] *= -1
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return Release("other@1", "candidate", "tiny@0", None, fingerprint(folder), "models/other@1", time.time())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project", small_toml(changes={"n = 300": "n = 20"}))


def test_rolling_back_gives_answers_byte_identical_to_those_before(project: Path, serving: Callable[[Path], str]):
    client = OpenAI(base_url=f"{serving(project)}/v1", api_key="unused", max_retries=0)
    before = _answers(client)
    with opened(project) as opened_project:
        other = register(opened_project.store, _other_weights(project), "test", "other weights")
    loopwise("promote", other.name, "--dir", str(project))
    _wait_for(client, other.fingerprint)
    assert _answers(client) != before
    loopwise("rollback", "--dir", str(project))
    _wait_for(client, str(before[0][1]))
    assert _answers(client) == before
    states = {row["name"]: row["state"] for row in loopwise_json("releases", "--dir", str(project))["releases"]}
    assert states == {"tiny@0": "champion", "other@1": "rolled_back"}


def _wait_for(client: OpenAI, fingerprint: str) -> None:
    """A new champion is served within a second of the command's end; twice that is allowed for a busy machine."""
    deadline = time.monotonic() + 2.0
    while True:
        answer = client.chat.completions.create(
            model="loopwise", messages=[{"role": "user", "content": "x"}], max_tokens=1
        )
        if answer.system_fingerprint == fingerprint:
            return
        assert time.monotonic() < deadline, answer.system_fingerprint


def test_feedback_from_client_and_command_line_reaches_the_status_and_the_trace(
    project: Path, serving: Callable[[Path], str]
):
    client = OpenAI(base_url=f"{serving(project)}/v1", api_key="unused", max_retries=0)
    answer = client.chat.completions.create(
        model="loopwise", messages=[{"role": "user", "content": QUESTIONS[0]}], user="u1"
    )
    given = loopwise_json("feedback", answer.id, "--correction", "pool", "--user", "u1", "--dir", str(project))
    assert given["known"] is True
    counts = loopwise_json("status", "--dir", str(project))["counts"]
    assert (counts["exchanges"], counts["feedback"]) == (1, 1)
    chain = loopwise_json("trace", answer.id, "--dir", str(project))["chain"]
    assert [link["what"] for link in chain] == ["answer", "person", "release", "feedback"]
    assert "correction 'pool'" in chain[-1]["says"]


def test_a_second_up_says_that_the_port_is_taken(project: Path, serving: Callable[[Path], str]):
    serving(project)
    done = loopwise("up", "--dir", str(project), check=False)
    assert done.returncode == 3
    assert "cannot be listened on" in done.stderr
    assert "[gateway] port" in done.stderr
    assert "Traceback" not in done.stderr
