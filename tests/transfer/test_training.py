"""Datasets as others train on them: rows become lines as their consumers publish them, and load there."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import datasets as hf
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import TypeAdapter

from loopwise.curate.parquet import write
from loopwise.transfer.datasets import copy, write_lines
from loopwise.types import Dataset, Example, JsonObject

TINY = Path(__file__).parents[2] / "src" / "loopwise" / "tiny" / "model"
TOOL: JsonObject = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
CALL: JsonObject = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}}
ASKED = {"role": "user", "content": "2+2?"}


def example(kind: Any, answer: str = "4", **fields: Any) -> Example:
    return Example(
        **{"messages": (ASKED,), "completion": answer, "kind": kind, "source": "s", "provenance": (answer,), **fields}
    )


EARLIER = (ASKED, {"role": "assistant", "content": "5"}, {"role": "user", "content": "Sure?"})
WITH_TOOLS = (
    {"role": "system", "content": "Use tools."},
    ASKED,
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "4", "tool_call_id": "c1"},
)
ROWS = [
    example("demonstration", "four", messages=EARLIER),
    example("approved", "IV", weight=0.5),
    example("refused", "fünf"),
    example("pair", "4", rejected="22"),
    example("anchor", "4", messages=WITH_TOOLS, tools=(TOOL,)),
    example("practice", "", tool_calls=(CALL,), tools=(TOOL,)),
    example("practice", "unweighted", weight=0.0),
]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write(ROWS, {}, tmp_path / "datasets")


def exported(dataset: Dataset, format: str) -> tuple[list[JsonObject], Any]:
    file = StringIO()
    done = write_lines(dataset.path, format, file, lambda *_: None)
    return [json.loads(line) for line in file.getvalue().splitlines()], done


def of(lines: list[JsonObject], **wanted: Any) -> JsonObject:
    (line,) = [line for line in lines if all(line.get(name) == value for name, value in wanted.items())]
    return line


def said(text: str) -> list[JsonObject]:
    return [{"role": "assistant", "content": text}]


def test_sft_has_what_may_be_imitated(dataset: Dataset):
    lines, done = exported(dataset, "trl-sft")
    assert of(lines, completion=said("four")) == {"prompt": list(EARLIER), "completion": said("four")}
    assert of(lines, completion=said("IV"))["prompt"] == [ASKED]
    called = of(lines, prompt=[ASKED], tools=json.dumps([TOOL], sort_keys=True, separators=(",", ":")))
    assert called["completion"] == [{"role": "assistant", "content": "", "tool_calls": [CALL]}]
    assert of(lines, completion=said("4"))["prompt"] == list(WITH_TOOLS)
    assert (done.rows, done.lines, done.unweighted) == (4, 4, 1)
    assert done.left_out == {
        "its answer was marked bad": 1,
        "a pair says which answer is better, not that it is good": 1,
        "its weight is 0": 1,
    }


def test_dpo_has_the_pairs(dataset: Dataset):
    lines, done = exported(dataset, "trl-dpo")
    assert lines == [{"prompt": [ASKED], "chosen": said("4"), "rejected": said("22")}]
    assert done.left_out == {"it is no pair": 5, "its weight is 0": 1}


def test_kto_has_every_answer_with_its_label_and_a_pair_as_both(dataset: Dataset):
    lines, done = exported(dataset, "trl-kto")
    labels = {(line["completion"][0]["content"], len(line["prompt"])): line["label"] for line in lines}
    assert labels == {
        ("four", 3): True, ("IV", 1): True, ("fünf", 1): False, ("4", 1): True, ("22", 1): False, ("4", 4): True,
        ("", 1): True,
    }  # fmt: skip
    assert (done.rows, done.lines) == (6, 7)


_MESSAGE = TypeAdapter(ChatCompletionMessageParam)
_TOOLS = TypeAdapter(list[ChatCompletionToolParam])
_KEYS = {"role", "content", "name", "weight", "tool_calls", "tool_call_id"}


def check_openai(messages: list[JsonObject], tools: Any) -> None:
    """As the package's types have them, and as OpenAI's guides and its published check of chat files say: known keys
    and roles, content or calls, weights of 0 or 1 on the assistant's messages alone, calls of tools that exist, answers
    of tools to calls that were made."""
    names = {tool["function"]["name"] for tool in _TOOLS.validate_python(tools, strict=True)}
    called: set[str] = set()
    for message in messages:
        _MESSAGE.validate_python(message, strict=True)
        assert message.keys() <= _KEYS
        assert message["role"] in ("system", "user", "assistant", "tool")
        assert isinstance(message.get("content"), str) or message["tool_calls"]
        assert message.get("content") or message.get("tool_calls")
        if "weight" in message:
            assert message["role"] == "assistant"
            assert message["weight"] in (0, 1)
        for call in message.get("tool_calls", []):
            assert call["function"]["name"] in names
            json.loads(call["function"]["arguments"])
            called.add(call["id"])
        assert message["role"] != "tool" or message["tool_call_id"] in called


def test_openais_fine_tuning_file_is_one_by_its_published_rules(dataset: Dataset):
    lines, done = exported(dataset, "openai")
    for line in lines:
        assert line.keys() <= {"messages", "tools"}
        check_openai(line["messages"], line.get("tools", []))
        assert line["messages"][-1]["role"] == "assistant"
        assert line["messages"][-1].get("weight", 1) == 1
    assert of(lines, messages=[ASKED, {**said("5")[0], "weight": 0}, EARLIER[2], *said("four")])
    assert of(lines, messages=[ASKED, {"role": "assistant", "tool_calls": [CALL]}])["tools"] == [TOOL]
    assert (done.rows, done.unweighted) == (4, 1)


def test_openais_preference_file_is_one_by_its_published_rules(dataset: Dataset):
    lines, _ = exported(dataset, "openai-dpo")
    assert lines == [
        {"input": {"messages": [ASKED]}, "preferred_output": said("4"), "non_preferred_output": said("22")}
    ]
    check_openai([*lines[0]["input"]["messages"], *lines[0]["preferred_output"]], [])


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (({"role": "developer", "content": "Be brief."}, ASKED), "OpenAI's format has no role 'developer'"),
        (({"role": "user", "content": ""},), "a message of the conversation is empty"),
        ((), "nothing was asked"),
    ],
)
def test_what_openai_does_not_take_is_counted_with_the_reason(tmp_path: Path, messages: Any, reason: str):
    for format, row in (("openai", example("approved")), ("openai-dpo", example("pair", rejected="22"))):
        dataset = write([replace(row, messages=messages)], {}, tmp_path)
        assert exported(dataset, format)[1].left_out == {reason: 1}


def test_each_format_loads_as_a_dataset(dataset: Dataset, tmp_path: Path):
    for format, columns in (
        ("trl-sft", {"prompt", "completion", "tools"}),
        ("trl-dpo", {"prompt", "chosen", "rejected"}),
        ("trl-kto", {"prompt", "completion", "label", "tools"}),
        ("openai", {"messages", "tools"}),
        ("openai-dpo", {"input", "preferred_output", "non_preferred_output"}),
    ):
        lines, _ = exported(dataset, format)
        loaded = load(tmp_path, lines)
        assert (set(loaded.column_names), len(loaded)) == (columns, len(lines))


def test_the_plain_file_is_the_datasets_own(dataset: Dataset, tmp_path: Path):
    assert copy(dataset.path, tmp_path / "rows.parquet").rows == len(ROWS)
    assert (tmp_path / "rows.parquet").read_bytes() == dataset.path.read_bytes()
    loaded: Any = hf.load_dataset(
        "parquet", data_files=str(tmp_path / "rows.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert sorted(loaded["kind"]) == sorted(row.kind for row in ROWS)


def load(folder: Path, lines: list[JsonObject]) -> Any:
    path = folder / f"{len(list(folder.glob('*.jsonl')))}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return hf.load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder / "cache"))


@pytest.mark.slow
@pytest.mark.parametrize("format", ["trl-sft", "trl-dpo", "trl-kto"])
def test_trls_trainers_take_a_step_on_it(format: str, tmp_path: Path):
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.kto_trainer import KTOTrainer
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    plain = [row for row in ROWS if not row.tools]  # the embedded model's template has none
    lines, done = exported(write([*plain, example("pair", "4!", rejected="44")], {}, tmp_path / "datasets"), format)
    assert done.lines >= 2
    config, trainer = {
        "trl-sft": (SFTConfig, SFTTrainer),
        "trl-dpo": (DPOConfig, DPOTrainer),
        "trl-kto": (KTOConfig, KTOTrainer),
    }[format]
    args: Any = config(
        output_dir=str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=2, use_cpu=True, report_to=[],
        save_strategy="no", bf16=False,
    )  # fmt: skip
    made: Any = trainer(
        model=AutoModelForCausalLM.from_pretrained(TINY), args=args, train_dataset=load(tmp_path, lines),
        processing_class=AutoTokenizer.from_pretrained(TINY),
    )  # fmt: skip
    before = made.model.get_input_embeddings().weight.detach().clone()
    loss = made.train().training_loss
    assert loss > 0
    assert not (made.model.get_input_embeddings().weight == before).all()
