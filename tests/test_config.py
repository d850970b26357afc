"""Settings: what is written arrives, and what is wrong is said in one sentence with the key and the way out."""

import re
from pathlib import Path

import pytest

from loopwise import config
from loopwise.cli.templates import embedded_toml, openai_toml
from loopwise.errors import SettingsError


def test_what_is_written_arrives_and_the_rest_has_defaults(tmp_path: Path):
    (tmp_path / "loopwise.toml").write_text(
        '[engine]\nkind = "openai"\nurl = "http://h/v1"\nmodel = "m"\n'
        '[suites.t]\nrole = "target"\nsource = "a"\nmargin = 2\n'
    )
    settings = config.load(tmp_path)
    assert (settings.engine.url, settings.engine.model) == ("http://h/v1", "m")
    assert settings.suites["t"].sources == ["a"]
    assert settings.suites["t"].margin == 2.0
    assert (settings.gateway.port, settings.loop.every_feedback, settings.release.approve) == (4040, 500, "human")
    assert settings.models == tmp_path.resolve() / "models"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[engin]\nkind = "x"', "[engin] is not a setting. Did you mean 'engine'?"),
        ("[gateway]\nprot = 1", "[gateway] prot is not a setting. Did you mean 'port'?"),
        ("[gateway]\nxyzzy = 1", "Known here: host, port, "),
        ('[gateway]\nport = "1"', "[gateway] port = '1' is not possible: Input should be a valid integer."),
        ("[gateway]\nport = 99999", "[gateway] port = 99999 is not possible"),
        ('[suites.t]\nrole = "target"', "[suites.t] source is missing: add it."),
        (
            '[suites.t]\nrole = "target"\nsource = "a"\nmargn = 2',
            "[suites.t] margn is not a setting. Did you mean 'margin'?",
        ),
        ('[suites.t]\nrole = "judge"\nsource = "a"', "[suites.t] role = 'judge' is not possible"),
        ('[engine]\nkind = "openai"', "also needs url and model"),
        ("[anchors]\nshare = 1.5", "[anchors] share = 1.5 is not possible"),
        ('[anchors]\npath = "no.jsonl"', "[anchors] path = 'no.jsonl' does not exist"),
        ('[train]\nbase = "no/model"', "[train] base = 'no/model' does not exist"),
        ('[curate]\nnames_model = "no"', "[curate] names_model = 'no' does not exist"),
        ('[practice]\nsources = ["no.jsonl"]', "[practice] sources = 'no.jsonl' does not exist"),
        ('[suites.x]\nrole = "final"\nsource = "a"', "the suite that no gate reads is called 'final'"),
        ('[suites.t]\nrole = "anchor"\nsource = "a"\nmargin = 100', "[suites.t] margin = 100 is not possible"),
        ("[gateway]\nhost = 0", "[gateway] host = 0 is not possible: Input should be a valid string."),
        ('dir = "x"', "'dir' is not a setting"),
        ('[aliases.loopwise]\nurl = "http://h"\nmodel = "m"', "'loopwise' names the served model"),
        ('[aliases.a]\nurl = "ftp://h"\nmodel = "m"', "http://host:port"),
        ('[aliases.a]\nmodel = "m"', "[aliases.a] url is missing"),
        ('[aliases.a]\nurl = "http://h"\nmodel = "m"\nmodels = "m"', "Did you mean 'model'?"),
        ('[telemetry]\notlp_url = "h:4318"', "http://host:port"),
        ("a = ", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_said_with_key_value_and_way_out(tmp_path: Path, text: str, sentence: str):
    with pytest.raises(SettingsError) as caught:
        config.parse(text, tmp_path)
    assert sentence in str(caught.value)
    assert caught.value.exit_status == 2


def test_a_folder_without_settings_says_how_to_begin(tmp_path: Path):
    with pytest.raises(SettingsError, match="run 'loopwise init' there"):
        config.load(tmp_path)


def test_a_file_that_is_no_utf8_is_named(tmp_path: Path):
    (tmp_path / "loopwise.toml").write_bytes(b"\xff\xfe[engine]")
    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        config.load(tmp_path)


def test_settings_cannot_be_changed(tmp_path: Path):
    settings = config.parse("", tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        settings.gateway.port = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path: Path):
    text = '[engine]\nkind = "openai"\nmodel = "m"\nurl = "http://me:sesame@h"'
    with pytest.raises(SettingsError, match="holds a password") as caught:
        config.parse(text, tmp_path)
    assert "sesame" not in str(caught.value)


def test_every_shipped_template_parses(tmp_path: Path):
    (tmp_path / "anchors.jsonl").touch()
    embedded = config.parse(embedded_toml((5000, 5001), "auto", 7), tmp_path)
    assert (embedded.gateway.port, embedded.engine.port, embedded.release.approve, embedded.loop.seed) == (
        5000,
        5001,
        "auto",
        7,
    )
    assert {suite.role for suite in embedded.suites.values()} == {"target", "anchor", "final"}
    own = config.parse(openai_toml("http://h:1", 'a "model"', tmp_path), tmp_path)
    assert (own.engine.kind, own.engine.model, own.train.base) == ("openai", 'a "model"', str(tmp_path.resolve()))
    keyed = config.parse(openai_toml("http://h:1", "m", None, "MY_KEY"), tmp_path)
    assert keyed.engine.api_key_env == "MY_KEY"


@pytest.mark.parametrize("template", [embedded_toml(), openai_toml("http://h:1", "m", None)])
def test_what_the_templates_only_suggest_parses_as_well(tmp_path: Path, template: str):
    for name in ("anchors.jsonl", "problems.jsonl"):
        (tmp_path / name).touch()
    every = config.parse(re.sub(r"^# (?=\w+ = |\[)", "", template, flags=re.MULTILINE), tmp_path)
    assert (every.gateway.host, every.gateway.retention_days.exchanges) == ("0.0.0.0", 90)
    assert set(every.aliases) == ({"small"} if every.engine.kind == "openai" else set())


def test_a_file_of_problems_is_taken_from_the_project_folder_wherever_the_command_runs(tmp_path: Path):
    (tmp_path / "mine.jsonl").touch()
    text = (
        '[practice]\nsources = ["mine.jsonl", "reasoning-gym:gcd"]\n[suites.t]\nrole = "target"\nsource = "mine.jsonl"'
    )
    settings = config.parse(text, tmp_path)
    absolute = str(tmp_path.resolve() / "mine.jsonl")
    assert settings.practice.sources == [absolute, "reasoning-gym:gcd"]
    assert settings.suites["t"].sources == [absolute]
