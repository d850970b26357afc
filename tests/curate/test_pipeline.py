from __future__ import annotations

import hashlib
import json

import pyarrow.parquet as pq
import pytest

from loopwise.curate.parquet import read, write
from loopwise.curate.pipeline import CurateSettings, curate
from loopwise.types import Example

SETTINGS = CurateSettings(per_prompt=2, per_person=2, anchor_share=0.5)


def test_the_manifest_accounts_for_every_drop(example, suite, tmp_path):
    found = [
        example("q", "a", order=1),
        example("q", "a", order=2, provenance=("late",)),
        example("held", "b", order=3),
        example("p", "", order=4),
    ]

    dataset = curate(found, [suite("Held")], [], SETTINGS, tmp_path)

    drops = {(row["step"], row["reason"]): row["examples"] for row in dataset.manifest["dropped"]}
    assert drops == {
        ("duplicates", "the same prompt and answer came before"): [["late"]],
        ("decontaminate", "its question is in the suite final"): [["held/b"]],
        ("unusable", "the answer is empty"): [["p/"]],
    }
    assert (dataset.n, dataset.manifest["read"], dataset.manifest["kept"]) == (1, 4, 1)
    assert dataset.manifest["suites"] == {"final": "v1"}
    assert dataset.manifest["settings"]["per_person"] == 2


def test_the_name_is_the_hash_of_the_rows_worked_by_hand(example, tmp_path):
    dataset = curate([example("q", "ü", key="k", user="u", order=7)], [], [], SETTINGS, tmp_path)

    line = (
        '{"completion":[{"content":"\\u00fc","role":"assistant"}],"key":"k","kind":"practice",'
        '"prompt":[{"content":"q","role":"user"}],"provenance":["q/\\u00fc"],"segment":"","source":"s","user":"u",'
        '"weight":1.0}\n'
    )
    assert dataset.name == f"sha256:{hashlib.sha256(line.encode()).hexdigest()}"
    assert dataset.path == tmp_path / f"{dataset.name.removeprefix('sha256:')}.parquet"


def test_the_folder_holds_rows_and_manifest_and_nothing_else(example, tmp_path):
    dataset = curate([example("q", "a")], [], [], SETTINGS, tmp_path / "datasets")

    assert {file.name for file in dataset.path.parent.iterdir()} == {dataset.path.name, f"{dataset.path.stem}.json"}
    assert json.loads(dataset.path.with_suffix(".json").read_text()) == dataset.manifest


def test_rows_are_written_sorted_and_read_back_in_their_order(example, tmp_path):
    rows = [example(question, "a") for question in "cab"]

    dataset = write(rows, {}, tmp_path)

    assert dataset.name == write(rows[::-1], {}, tmp_path).name
    assert [row["source"] + row["provenance"][0] for row in read(dataset.path, ["source", "provenance"])] == [
        *("sa/a", "sb/a", "sc/a")
    ]


def test_a_later_turn_keeps_what_earlier_turns_taught(example, tmp_path):
    first = [example(str(i), "a", order=i) for i in range(5)]
    second = [example(str(i), "b", order=i) for i in range(3, 9)]

    dataset = curate([*second, *first], [], [], SETTINGS, tmp_path)

    rows = pq.read_table(dataset.path).to_pylist()
    assert sorted(row["prompt"][0]["content"] + row["completion"][0]["content"] for row in rows) == [
        *("0a", "1a", "2a", "3a", "3b", "4a", "4b", "5b", "6b", "7b", "8b")
    ]


def test_anchors_are_decontaminated_mixed_in_and_repeated_when_few(example, suite, tmp_path):
    good = [example("kept", "x", kind="anchor"), example("held", "x", kind="anchor")]

    dataset = curate([example(str(i)) for i in range(3)], [suite("held")], good, SETTINGS, tmp_path)

    rows = pq.read_table(dataset.path).to_pylist()
    assert [row["prompt"][0]["content"] for row in rows if row["kind"] == "anchor"] == ["kept"] * 3
    assert dataset.manifest["anchors"] == {
        "available": 2,
        "dropped": [
            {
                "step": "decontaminate",
                "reason": "its question is in the suite final",
                "count": 1,
                "examples": [["held/x"]],
            }
        ],
        "used": 3,
        "repeated": True,
        "share": 0.5,
    }


def test_no_examples_make_an_empty_dataset(example, tmp_path):
    dataset = curate([], [], [example("good", "x", kind="anchor")], SETTINGS, tmp_path)

    assert dataset.n == 0
    assert dataset.name == f"sha256:{hashlib.sha256(b'').hexdigest()}"


def test_the_columns_of_sft_load_with_datasets_and_go_straight_into_trl(example, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    from trl.data_utils import is_conversational

    made = curate([example("q", "a", user="u")], [], [], SETTINGS, tmp_path)

    rows = datasets.load_dataset(
        "parquet",
        data_files=str(made.path),
        columns=["prompt", "completion"],
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    nothing = {"name": None, "tool_call_id": None, "tool_calls": None}
    assert rows[0]["prompt"] == [{"role": "user", "content": "q", **nothing}]
    assert rows[0]["completion"] == [{"role": "assistant", "content": "a", **nothing}]
    assert is_conversational(rows[0])


def test_pairs_and_tool_calls_are_rows_of_the_same_columns(tmp_path):
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
    tools = ({"type": "function", "function": {"name": "weather"}},)
    asked = (
        {"role": "user", "content": "Rome?", "name": "ada"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "20", "tool_call_id": "c1"},
    )
    pair = Example(asked, "20 degrees", "pair", "people", ("e", "f"), rejected="No idea", tools=tools)
    called = Example(asked[:1], "", "approved", "people", ("g",), tool_calls=(call,), tools=tools)

    dataset = write([pair, called], {}, tmp_path)

    rows = {row["kind"]: row for row in pq.read_table(dataset.path).to_pylist()}
    nothing = {"name": None, "tool_call_id": None, "tool_calls": None}
    assert rows["pair"]["rejected"] == [{"role": "assistant", "content": "No idea", **nothing}]
    assert rows["pair"]["prompt"] == [{**nothing, **message} for message in asked]
    assert rows["approved"]["completion"] == [{"role": "assistant", "content": "", **nothing, "tool_calls": [call]}]
    assert rows["approved"]["rejected"] is None
    assert json.loads(rows["approved"]["tools"]) == list(tools)
