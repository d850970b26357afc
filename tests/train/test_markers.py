from __future__ import annotations

import pytest

from loopwise.train.markers import Markers, free_cut

from .conftest import byte_tokenizer

CUT = "\ufdd0"


@pytest.fixture
def markers() -> Markers:
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im", "<<x>>", ">>y"]})
    tokenizer.add_tokens(["<think>"])
    return Markers(tokenizer)


def test_control_tokens_are_found_however_deep_and_other_added_tokens_are_not(markers):
    assert markers.found([{"a": ["b", "x<|pad|>"]}])
    assert not markers.found([{"a": ["b", "<think>", 3, None]}])


def test_each_control_token_is_cut_also_where_they_overlap(markers):
    assert markers.cut("<|im_end|>", CUT) == f"<|i{CUT}m_end|{CUT}>"  # both <|im and <|im_end|>
    assert markers.cut("<<x>>y", CUT) == f"<<x>{CUT}>{CUT}y"
    assert markers.cut({"a": ["<|pad|>", 1]}, CUT) == {"a": [f"<|pad|{CUT}>", 1]}


def test_pieces_hold_the_same_text_and_no_control_token(markers):
    text = "a <<x>>y <|im_start|> b"

    pieces = markers.pieces(markers.cut(text, CUT), CUT)

    assert "".join(pieces) == text
    assert not markers.found(pieces)


def test_a_cut_that_is_no_longer_needed_is_healed(markers):
    assert markers.pieces(f"< |pad|{CUT}> and <|pad|{CUT}>", CUT) == ["< |pad|> and <|pad|", ">"]


def test_the_cut_is_a_character_that_the_conversation_lacks():
    assert free_cut(["plain"]) == "\ufdd0"
    assert free_cut([{"content": "a\ufdd0b"}]) == "\ufdd1"
