from __future__ import annotations

from pathlib import Path

import pytest

from loopwise.errors import SettingsError, UnknownNameError
from loopwise.types import Problem
from loopwise.verify import table


def problem(reference: str | None) -> Problem:
    return Problem("k", "test", ({"role": "user", "content": "?"},), reference, "")


@pytest.mark.parametrize(
    ("verifier", "reference", "text", "score"),
    [
        ("exact", "Red  Fox", " red\nfox ", 1.0),
        ("exact", "é", "e\u0301", 1.0),
        ("exact", "straße", "STRASSE", 1.0),
        ("exact", "red fox", "red fo x", 0.0),
        ("exact", "red fox", "", 0.0),
        ("exact", "", " ", 1.0),
        ("number", "42", " 42.0 ", 1.0),
        ("number", "1,234,567.5", "1234567.5", 1.0),
        ("number", "1000000", "1000000.9", 1.0),  # 9e-7 of it: inside the tolerance of 1e-6
        ("number", "1000000", "1000002", 0.0),
        ("number", "0", "0.0000000001", 1.0),
        ("number", "0", "0.001", 0.0),
        ("number", "-3e2", "-300", 1.0),
        ("number", "42", "the answer is 42", 0.0),
        ("number", "42", "nan", 0.0),
        ("number", "42", "inf", 0.0),
        ("number", "12", "1,2", 0.0),
        ("number", "12", "1_2", 0.0),
        ("number", "12", "١٢", 0.0),
        ("number", "12", "12" + "0" * 100, 0.0),
        ("number", "12", "", 0.0),
    ],
)
def test_the_simple_verifiers_score_as_worked_out_by_hand(verifier: str, reference: str, text: str, score: float):
    assert table.resolve(verifier)(problem(reference), text) == score


@pytest.mark.parametrize(
    ("verifier", "reference"), [("exact", None), ("number", None), ("number", "forty"), ("number", "inf")]
)
def test_a_useless_reference_raises_and_is_never_a_wrong_answer(verifier: str, reference: str | None):
    with pytest.raises(ValueError, match="reference"):
        table.resolve(verifier)(problem(reference), "42")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("exac", "There is no verifier 'exac'; did you mean exact."),
        ("zzz", "There is no verifier 'zzz'; known are exact, number, reasoning-gym:…."),
        ("reasoning-gym:leg_countin", "reasoning-gym has no family 'leg_countin'; did you mean leg_counting"),
    ],
)
def test_an_unknown_name_is_a_sentence_with_close_matches(name: str, sentence: str):
    with pytest.raises(UnknownNameError) as caught:
        table.resolve(name)
    assert str(caught.value).startswith(sentence)


def test_a_file_registers_a_verifier_once(tmp_path: Path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from loopwise.verify.table import verifier\n"
        "@verifier('even')\n"
        "def even(problem, attempt_text):\n"
        "    return attempt_text.strip()[-1:] in '02468'\n"
    )
    try:
        table.load_modules([str(file)])
        assert table.resolve("even")(problem(None), "12") == 1.0
        with pytest.raises(SettingsError, match="verifier 'even' exists already"):
            table.load_modules([str(file)])
    finally:
        table.VERIFIERS.pop("even", None)


def test_a_missing_file_is_a_sentence(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"module '.*none.py' cannot be imported \(FileNotFoundError"):
        table.load_modules([str(tmp_path / "none.py")])
