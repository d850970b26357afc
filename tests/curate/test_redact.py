from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from loopwise.curate.ledger import Ledger
from loopwise.curate.redact import redact, redact_messages
from loopwise.errors import MissingExtraError, SettingsError
from loopwise.types import Example

PIECES = [
    "bob@example.com",
    "ann@example.org",
    "+1 202-555-0143",
    "phone 2025550143",
    "4111 1111 1111 1111",
    "84.23.1.9",
]
PIECES += [
    "DE89370400440532013000",
    "password: hunter2",
    "[EMAIL]",
    "[PHONE_2]",
    "bob at example dot com",
    "{",
    '"',
    "\\n",
]
PIECES += [
    "tel ",
    "555 0143",
    "1234567 ",
    "at",
    " dot com",
    "token=",
    "Zx81kQw92Lm3Np4R",
    "://u:",
    "@",
    "\u200b",
    "-----BEGIN ",
]


def redacted(example: Example) -> tuple[Example, Ledger]:
    ledger = Ledger()
    return next(iter(redact([example], ledger))), ledger


def changes(ledger: Ledger) -> dict[str, int]:
    return {row["what"]: row["count"] for row in ledger.changes()}


def test_an_example_without_anything_is_the_same_object(example):
    clean = example("What is 2 + 2?", "4", tools=({"type": "function", "function": {"name": "add", "parameters": {}}},))

    assert redacted(clean)[0] is clean


def test_question_answer_and_rejected_answer_lose_the_same_thing(example):
    asked = example("Extract the address: Bob <bob@example.com>", "BOB@example.com", rejected="bob at example dot com")

    out, ledger = redacted(asked)

    assert out.messages[0]["content"] == "Extract the address: Bob <[EMAIL]>"
    assert (out.completion, out.rejected) == ("[EMAIL]", "[EMAIL]")
    assert changes(ledger) == {"EMAIL": 3}
    assert "bob" not in json.dumps(ledger.changes()).lower()


def test_several_of_a_kind_stay_apart_and_one_of_another_kind_needs_no_number(example):
    out, _ = redacted(example("From a@example.com to b@example.com by 84.23.1.9", "To b@example.com"))

    assert out.messages[0]["content"] == "From [EMAIL_1] to [EMAIL_2] by [IP]"
    assert out.completion == "To [EMAIL_2]"


def test_what_only_its_context_gave_away_is_taken_out_without_it_too(example):
    out, _ = redacted(example("phone: 2025550143, password: hunter2", "It is 202 555 0143, and hunter2, not hunter22."))

    assert out.completion == "It is [PHONE], and [KEY], not hunter22."


def test_placeholders_that_came_with_the_text_stay_and_are_not_given_again(example):
    out, ledger = redacted(example("[EMAIL] wrote to bob@example.com and [EMAIL_4]", "[EMAIL]"))

    assert out.messages[0]["content"] == "[EMAIL] wrote to [EMAIL_5] and [EMAIL_4]"
    assert out.completion == "[EMAIL]"
    assert changes(ledger) == {"EMAIL": 1}


def test_tool_calls_stay_json_and_keep_all_else_to_the_letter(example):
    arguments = '{"to":"bob@example.com", "card": 4111111111111111, "n": 1.10, "password": "hunter2"'
    arguments += ', "x": "a\\nbob@example.com"}'
    call = {"id": "call_4111111111111111", "type": "function", "function": {"name": "send", "arguments": arguments}}
    messages = (
        {"role": "user", "content": [{"type": "text", "text": "mail bob@example.com"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_4111111111111111", "content": '{"phones": ["2025550143"]}'},
    )

    out, _ = redacted(replace(example("", "ok", tool_calls=(call,)), messages=messages))

    wanted = '{"to":"[EMAIL]", "card": "[CARD]", "n": 1.10, "password": "[KEY]", "x": "a\\n[EMAIL]"}'
    assert out.messages[0]["content"] == [{"type": "text", "text": "mail [EMAIL]"}]
    assert out.messages[1]["tool_calls"] == [{**call, "function": {"name": "send", "arguments": wanted}}]
    assert out.messages[2] == {**messages[2], "content": '{"phones": ["[PHONE]"]}'}
    assert out.tool_calls[0]["function"]["arguments"] == wanted


def test_json_within_json_is_still_json(example):
    inner = json.dumps({"token": 'Zx81"kQw92Lm3Np4R', "note": 'say "hi" to bob@example.com'})

    out, _ = redacted(example(json.dumps({"body": inner})))

    body = json.loads(json.loads(out.messages[0]["content"])["body"])
    assert body["note"] == 'say "hi" to [EMAIL]'


def test_images_and_roles_are_left(example):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AKIAIOSFODNN7EXAMPLE"}}
    message = {"role": "user", "content": [image], "name": "bob@example.com"}

    assert redact_messages([message]) == ({**message, "name": "[EMAIL]"},)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(PIECES), max_size=8),
    st.lists(st.sampled_from(PIECES), max_size=4),
    st.sampled_from(["", " ", ", "]),
)
def test_redacting_twice_is_redacting_once(question: list[str], answer: list[str], between: str):
    asked = Example(
        ({"role": "user", "content": between.join(question)},), between.join(answer), "approved", "s", ("p",)
    )

    once, _ = redacted(asked)
    twice, ledger = redacted(once)

    assert twice is once
    assert changes(ledger) == {}


def test_names_without_the_extra_say_how_to_get_it(example, monkeypatch):
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)  # as if it were not installed, where it is

    with pytest.raises(MissingExtraError, match=r"pip install 'loopwise\[pii\]'"):
        redact([example()], Ledger(), names=True)


def test_names_without_a_model_say_which_setting_names_one(example, tmp_path):
    pytest.importorskip("presidio_analyzer", reason="the extra 'pii' is not installed")

    for model in (None, tmp_path):
        with pytest.raises(SettingsError, match="names_model"):
            redact([example()], Ledger(), names=True, names_model=model)


@pytest.mark.slow
def test_names_are_taken_out_by_a_local_model(example, tmp_path: Path):
    pytest.importorskip("presidio_analyzer", reason="the extra 'pii' is not installed")
    import spacy

    pipeline = spacy.blank("en")
    pipeline.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Ada Lovelace"}])
    pipeline.to_disk(tmp_path / "model")
    ledger = Ledger()

    asked = example("Ada Lovelace (ada@example.com) asks", "Dear Ada Lovelace,")
    (out,) = redact([asked], ledger, names=True, names_model=tmp_path / "model")

    assert (out.messages[0]["content"], out.completion) == ("[NAME] ([EMAIL]) asks", "Dear [NAME],")
    assert changes(ledger) == {"EMAIL": 1, "NAME": 2}
