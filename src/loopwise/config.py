"""``loopwise.toml`` → frozen settings. Unknown keys are refused; paths are taken from the project folder.

Imports nothing heavy, so that settings are parsed before anything slow is loaded.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from loopwise.errors import SettingsError

FILE_NAME = "loopwise.toml"
FINAL = "final"  # the suite that gives the headline figures
SERVED = "loopwise"  # the model name that always means the champion

Port = Annotated[int, Field(ge=1, le=65535)]
Share = Annotated[float, Field(ge=0.0, le=0.9)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(gt=0.0, le=86_400.0)]
Days = Annotated[float, Field(gt=0.0)]


_SECRET = "secret"  # the kind of an error whose message must not repeat the value


def _server_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write the server's address as http://host:port or https://host")
    if parts.username is not None or parts.password is not None:
        raise PydanticCustomError(
            _SECRET, "holds a password, and addresses are shown in messages: take it out, and name a key by api_key_env"
        )
    return url


ServerUrl = Annotated[str, AfterValidator(_server_url)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class UpstreamSettings(_Section):
    """How long a model's server may take, and how often a request that it never began is tried again."""

    connect_s: Seconds = 5.0
    first_token_s: Seconds = 120.0  # of a stream: until the first event, and between events
    total_s: Seconds = 600.0
    retries: Annotated[int, Field(ge=0, le=10)] = 2


class EngineSettings(UpstreamSettings):
    """What answers: the embedded model on loopback, or any server that speaks OpenAI's API."""

    kind: Literal["embedded", "openai"] = "embedded"
    port: Port = 4041  # of the embedded engine
    url: ServerUrl | None = None
    model: str | None = None
    api_key_env: str | None = None  # the name of the variable that holds the key, never the key

    @model_validator(mode="after")
    def _complete(self) -> EngineSettings:
        if self.kind == "openai" and not (self.url and self.model):
            raise ValueError('kind = "openai" also needs url and model')
        return self


class AliasSettings(UpstreamSettings):
    """A further model, passed on and recorded under its alias, never trained."""

    url: ServerUrl
    model: str
    api_key_env: str | None = None


class RetentionSettings(_Section):
    """Days after which text goes; counts, ids, hashes and manifests stay. None keeps it."""

    exchanges: Days | None = None
    feedback: Days | None = None
    attempts: Days | None = None
    datasets: Days | None = None


class GatewaySettings(_Section):
    """``on_store_failure``: pass answers on unrecorded, or refuse them. ``origins``: the web origins whose pages may
    send feedback. ``requests`` is how many may run at once."""

    host: str = "127.0.0.1"  # another one wants API keys
    port: Port = 4040
    on_store_failure: Literal["serve", "refuse"] = "serve"
    retention_days: RetentionSettings = RetentionSettings()
    pseudonyms: bool = True
    origins: list[str] = []
    body_mb: Annotated[float, Field(gt=0.0, le=1_000.0)] = 20.0
    requests: Annotated[int, Field(ge=1)] = 1_000


class TelemetrySettings(_Section):
    """OpenTelemetry over OTLP/HTTP; ``text`` lets prompts and answers leave with it."""

    otlp_url: ServerUrl | None = None  # e.g. http://127.0.0.1:4318
    text: bool = False


class StoreSettings(_Section):
    url: str = "sqlite:///loopwise.db"


class PracticeSettings(_Section):
    """``problems`` per turn over all sources, ``attempts`` per problem."""

    sources: list[str] = []
    problems: Annotated[int, Field(ge=1)] = 5_000
    attempts: Annotated[int, Field(ge=2, le=1_024)] = 8
    temperature: Annotated[float, Field(gt=0.0, le=2.0)] = 1.0
    max_tokens: Annotated[int, Field(ge=1)] = 32


class SignalSettings(_Section):
    """``episode``: what is said of an episode falls on its last exchange or on all. ``other_prompt`` is what is left of
    the confidence in what was said under wholly other instructions and tools than today's."""

    episode: Literal["last", "all"] = "last"
    other_prompt: Fraction = 0.5


class CurateSettings(_Section):
    """``per_…`` are the most examples of one prompt, person, group of alike accounts and ``window_hours``.
    ``near_duplicate`` is the Jaccard similarity from which two texts are one; ``segment_share`` the most of people's
    examples that one segment may be. ``names`` also takes out people's names, which needs the extra ``pii`` and
    ``names_model``, the folder of a spaCy model."""

    per_prompt: Annotated[int, Field(ge=1)] = 2
    per_person: Annotated[int, Field(ge=1)] = 200
    per_group: Annotated[int, Field(ge=1)] = 400
    per_window: Annotated[int, Field(ge=1)] = 5_000
    window_hours: Annotated[float, Field(gt=0.0)] = 24.0
    max_characters: Annotated[int, Field(ge=1)] = 20_000
    near_duplicate: Annotated[float, Field(gt=0.5, le=1.0)] = 0.85
    segment_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    redact: bool = True
    names: bool = False
    names_model: str | None = None


class TrainSettings(_Section):
    """``method`` "auto" chooses by what the dataset holds; ``weights``: all of them, low-rank adapters, or adapters for
    a folder of your own ("auto"). ``examples`` is the number of examples that one turn's training sees, repeats
    counted, ``batch`` of them at a step; ``max_length`` is in tokens, prompt and answer together. ``kl_limit`` bounds
    the mean KL divergence to the parent, in nats per answer token. ``threads`` None leaves PyTorch's own number."""

    method: Literal["auto", "sft", "dpo", "kto"] = "auto"
    weights: Literal["auto", "full", "lora"] = "auto"
    kl_limit: Annotated[float, Field(gt=0.0)] | None = None
    base: str | None = None  # the Hugging Face folder that is trained; default: the embedded model's
    examples: Annotated[int, Field(ge=1)] = 32_000
    batch: Annotated[int, Field(ge=2)] = 32
    max_length: Annotated[int, Field(ge=8)] = 1_024
    learning_rate: Annotated[float, Field(gt=0.0, lt=1.0)] = 2e-3
    threads: Annotated[int, Field(ge=1)] | None = None


class SuiteSettings(_Section):
    """``source`` is one problem source or several; ``margin`` is in points (an anchor may lose no more)."""

    role: Literal["target", "anchor", "probe", "final"]
    source: str | list[str]
    n: Annotated[int, Field(ge=1)] = 1_000
    margin: Annotated[float, Field(gt=0.0, lt=100.0)] = 5.0

    @property
    def sources(self) -> list[str]:
        return [self.source] if isinstance(self.source, str) else self.source


class AnchorSettings(_Section):
    """``share`` of the training rows that are anchors."""

    path: str | None = None
    share: Share = 0.1


class ReleaseSettings(_Section):
    approve: Literal["human", "auto"] = "human"


class LoopSettings(_Section):
    """A turn begins when ``every_feedback`` new feedback has come in."""

    every_feedback: Annotated[int, Field(ge=1)] = 500
    seed: int = 0


class Settings(_Section):
    """All of ``loopwise.toml``; ``dir`` is the project folder."""

    dir: Path
    engine: EngineSettings = EngineSettings()
    aliases: dict[str, AliasSettings] = {}
    gateway: GatewaySettings = GatewaySettings()
    store: StoreSettings = StoreSettings()
    practice: PracticeSettings = PracticeSettings()
    signals: SignalSettings = SignalSettings()
    curate: CurateSettings = CurateSettings()
    train: TrainSettings = TrainSettings()
    suites: dict[str, SuiteSettings] = {}
    anchors: AnchorSettings = AnchorSettings()
    release: ReleaseSettings = ReleaseSettings()
    loop: LoopSettings = LoopSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @property
    def models(self) -> Path:
        """Where released weights lie, a folder each."""
        return self.dir / "models"


def load(directory: Path) -> Settings:
    """Reads ``directory/loopwise.toml``. Raises SettingsError: missing file, bad TOML, unknown key, wrong type."""
    path = directory / FILE_NAME
    if not path.is_file():
        raise SettingsError(
            f"There is no {FILE_NAME} in {directory.resolve()}: run 'loopwise init' there, or give --dir."
        )
    try:
        return parse(path.read_text(encoding="utf-8"), directory, str(path))
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8."
        ) from error


def parse(text: str, directory: Path, where: str = FILE_NAME) -> Settings:
    """Settings from the text of a ``loopwise.toml``."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where} is not valid TOML: {error}.") from error
    if "dir" in values:
        raise SettingsError(f"{where}: 'dir' is not a setting; the project folder is where {FILE_NAME} lies.")
    try:
        settings = Settings.model_validate({**values, "dir": directory.resolve()})
    except ValidationError as error:
        raise SettingsError(f"{where}: {_sentence(error.errors()[0])}") from error
    for name, suite in settings.suites.items():
        if (suite.role == "final") != (name == FINAL):
            raise SettingsError(
                f"{where}: [suites.{name}] role = {suite.role!r}: the suite that no gate reads is called {FINAL!r}, "
                "and no other is."
            )
    if SERVED in settings.aliases:
        raise SettingsError(f"{where}: [aliases.{SERVED}]: {SERVED!r} names the served model: choose another alias.")
    _require_files(settings, where)
    return _located(settings)


def _require_files(settings: Settings, where: str) -> None:
    files = [
        ("[anchors] path", settings.anchors.path),
        ("[train] base", settings.train.base),
        ("[curate] names_model", settings.curate.names_model),
    ]
    files += [("[practice] sources", source) for source in settings.practice.sources if source.endswith(".jsonl")]
    for name, suite in settings.suites.items():
        files += [(f"[suites.{name}] source", source) for source in suite.sources if source.endswith(".jsonl")]
    for key, value in files:
        if value is not None and not (settings.dir / value).exists():
            raise SettingsError(
                f"{where}: {key} = {value!r} does not exist in {settings.dir}: create it or correct the path."
            )


def _located(settings: Settings) -> Settings:
    """The settings with each JSONL source, and the names' model, as an absolute path, taken from the project folder."""

    def place(source: str) -> str:
        return str(settings.dir / source) if source.endswith(".jsonl") else source

    practice = settings.practice.model_copy(update={"sources": [place(source) for source in settings.practice.sources]})
    suites = {
        name: suite.model_copy(update={"source": [place(source) for source in suite.sources]})
        for name, suite in settings.suites.items()
    }
    model = settings.curate.names_model
    curate = settings.curate.model_copy(update={"names_model": str(settings.dir / model) if model else None})
    return settings.model_copy(update={"practice": practice, "suites": suites, "curate": curate})


def _sentence(error: ErrorDetails) -> str:
    place = [str(part) for part in error["loc"] if part not in ("str", "list[str]")]
    section, key = place[:-1], place[-1] if place else ""
    name = f"[{'.'.join(section)}] {key}" if section else f"[{key}]"
    if error["type"] == "extra_forbidden":
        return f"{name} is not a setting.{_suggestion(section, key)}"
    if error["type"] == _SECRET:
        return f"{name} {error['msg']}."
    if error["type"] == "missing":
        return f"{name} is missing: add it."
    return f"{name} = {error['input']!r} is not possible: {error['msg'].removeprefix('Value error, ')}."


_NAMED: dict[str, type[_Section]] = {
    "suites": SuiteSettings,
    "aliases": AliasSettings,
}  # sections by a name of one's own


def _suggestion(section: list[str], key: str) -> str:
    known = _keys(Settings, section)
    close = difflib.get_close_matches(key, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" Known here: {', '.join(known)}."


def _keys(model: Any, section: list[str]) -> list[str]:
    if not section:
        return [name for name in model.model_fields if name != "dir"]
    if section[0] in _NAMED:
        return list(_NAMED[section[0]].model_fields)
    return _keys(model.model_fields[section[0]].annotation, section[1:])
