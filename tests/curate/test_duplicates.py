from __future__ import annotations

from functools import partial

from loopwise.curate.duplicates import drop_duplicates


def test_the_first_of_equals_stays(example, answers):
    kept, ledger = answers(drop_duplicates, [example("q", "a", order=1), example("q", "a"), example("q", "b")])

    assert kept == ["a", "b"]
    assert ledger.total == 1


def test_the_same_answer_to_another_question_is_no_duplicate(example, answers):
    assert answers(drop_duplicates, [example("q", "a"), example("p", "a")])[0] == ["a", "a"]


def test_case_white_space_and_unicode_form_make_no_difference(example, answers):
    rows = [example("Straße  \ufb01ve?", "Café"), example("STRASSE\nfive? ", "cafe\u0301"), example("six?", "café")]

    kept, ledger = answers(drop_duplicates, rows)

    assert kept == ["Café", "café"]
    assert ledger.rows()[0]["examples"] == [list(rows[1].provenance)]


def test_quotes_dashes_and_line_ends_make_no_difference_and_stay_as_written(example, answers):
    written = "\u201cDon\u2019t\u201d \u2014 he said\r\nand left"
    rows = [example("Q\u2019s?", written), example("q's?", '"Don\'t" - he said\nand left')]

    assert answers(drop_duplicates, rows)[0] == [written]


def test_a_correction_stays_beside_its_pair_and_a_refusal(example, answers):
    rows = [
        example("q", "a", kind="demonstration"),
        example("q", "a", kind="pair", rejected="b"),
        example("q", "a", kind="pair", rejected="c"),
        example("q", "a", kind="refused"),
        example("q", "a", kind="approved"),
        example("q", "a", kind="pair", rejected="b"),
    ]

    kept, ledger = answers(drop_duplicates, rows)

    assert (len(kept), ledger.total) == (4, 2)  # approved is the demonstration again


def test_tool_calls_are_compared_without_their_ids(example, answers):
    def calling(call_id, city):
        function = {"name": "weather", "arguments": city}
        return example("q", "", tool_calls=({"id": call_id, "type": "function", "function": function},))

    kept, _ = answers(drop_duplicates, [calling("1", "Rome"), calling("2", "Rome"), calling("3", "Oslo")])

    assert len(kept) == 2


def test_what_people_set_apart_say_stands_for_nobody(example, answers):
    rows = [example("q", "a", user=user) for user in ("bad", "good", "better")]

    kept, ledger = answers(partial(drop_duplicates, apart={"bad"}), rows)

    assert kept == ["a", "a"]
    assert ledger.total == 1
