from __future__ import annotations

import hashlib
import json

import pyarrow.parquet as pq
import pytest

from loopwise.config import CurateSettings
from loopwise.curate import pipeline
from loopwise.curate.guards import Guards
from loopwise.curate.parquet import read, write
from loopwise.types import Example

SETTINGS = CurateSettings(per_prompt=2, per_person=2)
NONE = Guards()


def curate(examples, suites, anchors, out, guards=NONE, settings=SETTINGS):
    return pipeline.curate(examples, suites, anchors, settings, guards, 0.5, out)


def test_the_manifest_accounts_for_every_drop(example, suite, tmp_path):
    found = [
        example("q", "a", order=1),
        example("q", "a", order=2, provenance=("late",)),
        example("held", "b", order=3),
        example("p", "", order=4),
    ]

    dataset = curate(found, [suite("Held")], [], tmp_path)

    drops = {(row["step"], row["reason"]): row["examples"] for row in dataset.manifest["dropped"]}
    assert drops == {
        ("duplicates", "the same prompt and answer came before"): [["late"]],
        ("decontaminate", "its question is in the suite final"): [["held/b"]],
        ("unusable", "the answer is empty"): [["p/"]],
    }
    assert (dataset.n, dataset.manifest["read"], dataset.manifest["kept"]) == (1, 4, 1)
    assert dataset.manifest["suites"] == {"final": "v1"}
    assert dataset.manifest["settings"]["per_person"] == 2


def test_the_manifest_counts_each_step_in_the_order_in_which_they_run(example, suite, tmp_path):
    found = [
        example("q", "mail a@b.org", kind="approved", user="u"),
        example("q", "mail a@b.org", kind="approved", user="v"),
        example("held", "b"),
        example("p", ""),
        example("r", "c", user="bad"),
        *(example(str(i), "c", user="u") for i in range(3)),
    ]

    dataset = curate(found, [suite("held")], [], tmp_path, Guards({"bad": "copies"}))

    steps = [(row["step"], row["read"], row["kept"]) for row in dataset.manifest["steps"]]
    assert steps == [
        ("redact", 8, 8),
        ("unusable", 8, 7),
        ("conflicts", 7, 7),
        ("duplicates", 7, 6),
        ("near duplicates", 6, 6),
        ("decontaminate", 6, 5),
        ("quarantine", 5, 4),
        ("cap per prompt", 4, 4),
        ("cap per person", 4, 2),
        ("cap per group", 2, 2),
        ("cap per window", 2, 2),
        ("balance", 2, 2),
    ]
    assert dataset.manifest["steps"][0]["changed"] == {"EMAIL": 2}
    assert dataset.manifest["guards"] == {"quarantined": 1, "groups": 0}


def test_no_text_of_people_is_in_the_manifest(example, tmp_path):
    secret = "the blue heron"
    found = [example(secret, secret, user="u", provenance=(str(i),)) for i in range(3)]
    found.append(example(secret, f"{secret}<|end|>", user="u", provenance=("4",)))

    dataset = curate(found, [], [], tmp_path)

    assert dataset.manifest["read"] == 4
    assert secret not in dataset.path.with_suffix(".json").read_text()


def test_generated_problems_are_not_redacted(example, tmp_path):
    found = [
        example("sum 4111111111111111 and 1", "4111111111111112", source="reasoning-gym:sum", key="k"),
        example("my card is 4111111111111111", "ok"),
    ]

    dataset = curate(found, [], [], tmp_path)

    questions = {row["prompt"][0]["content"] for row in pq.read_table(dataset.path).to_pylist()}
    assert questions == {"sum 4111111111111111 and 1", "my card is [CARD]"}


def test_redaction_can_be_turned_off(example, tmp_path):
    settings = CurateSettings(redact=False)

    dataset = curate([example("mail a@b.org", "ok")], [], [], tmp_path, settings=settings)

    assert read(dataset.path, ["prompt"])[0]["prompt"][0]["content"] == "mail a@b.org"
    assert "redact" not in [row["step"] for row in dataset.manifest["steps"]]


def test_people_put_into_quarantine_change_nothing_for_the_others(example, tmp_path):
    honest = [example(str(i), "a", kind="approved", user=f"u{i}") for i in range(4)]
    lies = [("a", "refused"), ("a", "approved"), ("b", "demonstration")]
    attack = [
        example(str(i), answer, kind=kind, user="x", weight=5.0, provenance=(f"{i}{kind}",))
        for i in range(4)
        for answer, kind in lies
    ]

    guarded = curate([*attack, *honest], [], [], tmp_path / "a", Guards({"x": "a burst"}))

    assert guarded.name == curate(honest, [], [], tmp_path / "b").name
    assert guarded.manifest["steps"][6] == {"step": "quarantine", "read": 16, "kept": 4, "changed": {}}


def test_the_floor_of_anchors_holds_whatever_the_settings_say(example, tmp_path):
    found = [example(str(i), "a") for i in range(98)]

    dataset = pipeline.curate(found, [], [example("good", "x", kind="anchor")], SETTINGS, Guards(), 0.0, tmp_path)

    assert dataset.manifest["kinds"] == {"anchor": 2, "practice": 98}


def test_the_name_is_the_hash_of_the_rows_worked_by_hand(example, tmp_path):
    dataset = curate([example("q", "ü", key="k", user="u", order=7)], [], [], tmp_path)

    line = (
        '{"completion":[{"content":"\\u00fc","role":"assistant"}],"key":"k","kind":"practice",'
        '"prompt":[{"content":"q","role":"user"}],"provenance":["q/\\u00fc"],"segment":"","source":"s","user":"u",'
        '"weight":1.0}\n'
    )
    assert dataset.name == f"sha256:{hashlib.sha256(line.encode()).hexdigest()}"
    assert dataset.path == tmp_path / f"{dataset.name.removeprefix('sha256:')}.parquet"


def test_the_folder_holds_rows_and_manifest_and_nothing_else(example, tmp_path):
    dataset = curate([example("q", "a")], [], [], tmp_path / "datasets")

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

    dataset = curate([*first, *second], [], [], tmp_path)

    rows = pq.read_table(dataset.path).to_pylist()
    assert sorted(row["prompt"][0]["content"] + row["completion"][0]["content"] for row in rows) == [
        *("0a", "1a", "2a", "3a", "3b", "4a", "4b", "5b", "6b", "7b", "8b")
    ]


def test_anchors_are_decontaminated_mixed_in_and_repeated_when_few(example, suite, tmp_path):
    good = [example("kept", "x", kind="anchor"), example("held", "x", kind="anchor")]

    dataset = curate([example(str(i)) for i in range(3)], [suite("held")], good, tmp_path)

    rows = pq.read_table(dataset.path).to_pylist()
    assert [row["prompt"][0]["content"] for row in rows if row["kind"] == "anchor"] == ["kept"] * 3
    steps = dataset.manifest["anchors"].pop("steps")
    assert [(row["step"], row["kept"]) for row in steps] == [
        *(("redact", 2), ("unusable", 2), ("duplicates", 2), ("decontaminate", 1))
    ]
    assert dataset.manifest["anchors"] == {
        "read": 2,
        "kept": 1,
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
        "wanted": 0.5,
        "share": 0.5,
    }


def test_no_examples_make_an_empty_dataset(example, tmp_path):
    dataset = curate([], [], [example("good", "x", kind="anchor")], tmp_path)

    assert dataset.n == 0
    assert dataset.name == f"sha256:{hashlib.sha256(b'').hexdigest()}"


def test_the_columns_of_sft_load_with_datasets_and_go_straight_into_trl(example, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    from trl.data_utils import is_conversational

    made = curate([example("q", "a", user="u")], [], [], tmp_path)

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
