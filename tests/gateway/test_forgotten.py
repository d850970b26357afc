"""What is said of an exchange that went with a forgotten person is refused, wherever it comes in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from loopwise.cli.main import main
from loopwise.client import Client
from loopwise.errors import ForgottenError, RefusedError
from loopwise.store import Store, exchanges, feedback
from loopwise.store.forget import forget
from loopwise.store.writer import GroupWriter
from loopwise.transfer.bring import import_file
from loopwise.types import Exchange, Feedback


def exchange(name: str, user: str | None = None) -> Exchange:
    request = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    response = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "ho"}}]}
    return Exchange(name, 1.0, "m", "a@1", "f", "external", 1.0, request, response, 200, 0.1, user=user)


@pytest.fixture
def forgotten(store: Store) -> Store:
    """The exchange "gone" went with u1."""
    with store.writing() as conn:
        exchanges.add(conn, [exchange("gone", "u1"), exchange("there")])
    forget(store, ["u1"], 9.0)
    return store


def thumbs(about: str, **fields: Any) -> dict[str, Any]:
    return {"exchange_id": about, "kind": "thumbs", "value": 1, **fields}


def kept(store: Store) -> set[str]:
    with store.reading() as conn:
        return {row.id for _, row in feedback.up_to(conn, 10**6)}


def test_alone_it_is_gone_and_in_a_list_the_whole_list_is_refused_and_the_row_named(forgotten: Store, gateway: str):
    alone = httpx.post(f"{gateway}/v1/feedback", json=thumbs("gone"))
    assert alone.status_code == 410
    assert alone.json()["error"] == {
        "message": "The exchange 'gone' went with a person who was forgotten: leave out what names it.",
        "type": "invalid_request_error",
        "param": "exchange_id",
        "code": "forgotten",
    }
    listed = httpx.post(f"{gateway}/v1/feedback", json=[thumbs("there", id="a"), thumbs("gone"), thumbs("new")])
    error = listed.json()["error"]
    assert (listed.status_code, error["code"], error["param"]) == (410, "forgotten", "[1].exchange_id")
    assert error["message"].startswith("Feedback [1]: The exchange 'gone' went")
    assert kept(forgotten) == set()
    of_tensorzero = {"metric_name": "comment", "value": "fine", "inference_id": "gone"}
    assert httpx.post(f"{gateway}/feedback", json=of_tensorzero).status_code == 410
    assert httpx.post(f"{gateway}/v1/feedback", json=thumbs("there")).status_code == 200
    assert httpx.post(f"{gateway}/v1/feedback", json=thumbs("new")).status_code == 202


def test_a_forgotten_exchange_is_not_brought_back(forgotten: Store, gateway: str):
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "content": "ho"}
    done = httpx.post(f"{gateway}/v1/exchanges", json=[{**body, "id": "other"}, {**body, "id": "gone"}])
    error = done.json()["error"]
    assert (done.status_code, error["code"], error["param"]) == (410, "forgotten", "[1].id")
    with forgotten.reading() as conn:
        assert exchanges.known(conn, ["other", "gone", "there"]) == {"there"}
    assert httpx.post(f"{gateway}/v1/exchanges", json={**body, "id": "other"}).status_code == 200


async def test_neighbors_in_one_commit_are_none_the_worse(forgotten: Store):
    writer = GroupWriter(forgotten)
    units = [[Feedback(f"f{n}", 1.0, "thumbs", 1, ("there", "gone", "new")[n % 3])] for n in range(30)]
    waiting = [writer.hand_over(unit) for unit in [[exchange("brought")], *units]]
    done = await asyncio.gather(*waiting, return_exceptions=True)
    writer.close()
    assert [type(result) for result in done[1:]] == 10 * [frozenset, ForgottenError, frozenset]
    assert kept(forgotten) == {f"f{n}" for n in range(30) if n % 3 != 1}
    with forgotten.reading() as conn:
        assert exchanges.known(conn, ["brought"]) == {"brought"}


def test_the_client_says_why(forgotten: Store, gateway: str):
    with Client(gateway) as client, pytest.raises(RefusedError, match="went with a person who was forgotten") as told:
        client.thumbs("gone", 1)
    assert (told.value.status, told.value.code) == (410, "forgotten")


def test_the_command_is_refused_with_exit_status_2(
    forgotten: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "loopwise.toml").write_text('[engine]\nkind = "openai"\nurl = "http://127.0.0.1:9/v1"\nmodel = "m"\n')
    with pytest.raises(SystemExit) as ended:
        main(["feedback", "gone", "--thumbs", "1", "--dir", str(tmp_path)])
    assert ended.value.code == 2
    assert "The exchange 'gone' went with a person who was forgotten" in capsys.readouterr().err


def test_an_import_refuses_the_rows_and_takes_the_others(forgotten: Store, tmp_path: Path):
    said = '{"type": "feedback", "id": "%s", "at": 1.0, "kind": "thumbs", "value": 1, "exchange_id": "%s"}\n'
    file = tmp_path / "rows.jsonl"
    file.write_text(said % ("f1", "gone") + said % ("f2", "there") + said % ("f3", "gone"))
    done = import_file(forgotten, file, "loopwise", None, lambda *_: None)
    assert (done.feedback, done.known, done.refused) == (1, 0, 2)
    assert [(row.line, "was forgotten" in row.reason) for row in done.told] == [(1, True), (3, True)]
    assert kept(forgotten) == {"f2"}
