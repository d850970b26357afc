from __future__ import annotations

import re
from pathlib import Path

import pytest

from loopwise.errors import SettingsError
from loopwise.people.behaviors.table import BEHAVIORS
from loopwise.people.population import population
from loopwise.people.settings import built_in, load, parse

HONEST = "[groups.a]\nbehavior = 'honest'\nshare = 1.0\n"
ATTACK = HONEST + "[groups.b]\nbehavior = 'attacker'\nevents = 100\ntarget = '7'\n"
DOCS = Path(__file__).parents[2] / "docs" / "simulate.md"


def shown_in_the_documents() -> list[str]:
    return re.findall(r"^```toml population\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", built_in())
def test_every_population_that_ships_parses_and_has_people(name: str):
    people = population(200, 1, load(name))
    assert {person.group for person in people} == set(load(name).groups)


def test_the_shipped_ones_show_every_behavior():
    shown = {group.behavior for name in built_in() for group in load(name).groups.values()}
    assert shown == set(BEHAVIORS)


def test_the_documents_populations_parse():
    shown = shown_in_the_documents()
    assert shown
    for text in shown:
        parse(text, DOCS.name)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = ", "is not valid TOML"),
        ("", "f.toml: groups is missing: add it."),
        ("[groups]", "groups: Dictionary should have at least 1 item"),
        ("groups = 3", "groups = 3 is not possible"),
        ("[groups]\na = 3", "[groups.a] = 3 is not possible"),
        ("dais = 1\n" + HONEST, "dais is not a setting. Did you mean 'days'?"),
        ("days = -1\n" + HONEST, "days = -1 is not possible: Input should be greater than or equal to 0."),
        (HONEST + "p_thum = 1", "[groups.a] p_thum is not a setting. Did you mean 'p_thumb'?"),
        (HONEST + "xyz = 1", "Known here: share, count, segment, implicit, behavior, p_thumb, p_correct."),
        (
            HONEST + "p_thumb = 1.5",
            "[groups.a] p_thumb = 1.5 is not possible: Input should be less than or equal to 1.",
        ),
        (HONEST + "p_thumb = 'x'", "[groups.a] p_thumb = 'x' is not possible"),
        (HONEST.replace("honest", "honst"), "[groups.a] behavior = 'honst' is not known. Did you mean 'honest'?"),
        ("[groups.a]\nshare = 1.0", "[groups.a] behavior is missing: choose one of honest, noisy,"),
        ("[groups.a]\nbehavior = 'honest'", "[groups.a]: give either share or count."),
        (HONEST + "count = 3", "[groups.a]: give either share or count."),
        (HONEST.replace("1.0", "-0.1"), "[groups.a] share = -0.1 is not possible"),
        (HONEST.replace("1.0", "0.5"), "the groups' shares make 0.5 together, not 1: correct them."),
        (HONEST.replace("share = 1.0", "count = 3"), "every group has a count: give at least one a share"),
        (HONEST + "implicit = {coppy = [0, 1]}", "[groups.a.implicit] coppy is not a setting. Did you mean 'copy'?"),
        (HONEST + "implicit = {copy = [0, 2]}", "[groups.a.implicit] copy = 2 is not possible"),
        (HONEST + "implicit = {copy = [0]}", "[groups.a.implicit] copy = [0] is not possible"),
        ("[groups.a]\nbehavior = 'noisy'\nshare = 1.0\nerror = [0.3, 0.1]", "write the lower number first"),
        ("[groups.a]\nbehavior = 'rater'\nshare = 1.0\nscale = [5, 1]", "write the scale as [low, high]"),
        ("[groups.a]\nbehavior = 'gullible'\nshare = 1.0", "[groups.a] pattern is missing: add it."),
        ("[groups.a]\nbehavior = 'gullible'\nshare = 1.0\npattern = '('", "pattern = '(' is not possible: no regular"),
        (HONEST + "[groups.b]\nbehavior = 'copy_cat'\ncount = 1", "[groups.b]: a leader needs somebody who copies"),
        (ATTACK + "share = 0.1", "[groups.b]: attackers are accounts on top of the people: give count, not share."),
        (ATTACK + "count = 0", "[groups.b] count = 0 is not possible"),
        ("days = 2\n" + ATTACK + "count = 3\nadaptive = true\nper_account_day = 4", "push at most 24 in 2 days"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_key_the_value_and_the_way_out(text: str, sentence: str):
    with pytest.raises(SettingsError) as caught:
        parse(text, "f.toml")
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("f.toml")
    assert "\n" not in str(caught.value)


def test_a_population_is_named_or_a_file(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text(HONEST)
    assert load(str(path)) == parse(HONEST, "x")
    with pytest.raises(
        SettingsError, match="There is no population 'hostle', by name or as a file: did you mean 'host"
    ):
        load("hostle")
    with pytest.raises(SettingsError, match="built in are default, hostile, varied"):
        load("zzz.toml")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        load(str(path))
