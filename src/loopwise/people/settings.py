"""A population's TOML → frozen settings. Unknown keys and behaviors are refused, with what was probably meant."""

from __future__ import annotations

import difflib
import math
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, cast

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from loopwise.errors import SettingsError
from loopwise.people.behaviors.attacker import Attackers
from loopwise.people.behaviors.table import BEHAVIORS, AnyGroup
from loopwise.people.group import Section
from loopwise.types import JsonObject

SHIPPED = resources.files("loopwise.people") / "populations"


class PopulationSettings(Section):
    """Groups by a name of one's own, in the order of the file. ``days`` is the simulated time over which feedback is
    spread by its ``at``; with 0 it is given when it arrives."""

    days: Annotated[float, Field(ge=0.0, le=36_500.0)] = 0.0
    groups: Annotated[dict[str, AnyGroup], Field(min_length=1)]

    @model_validator(mode="after")
    def _whole(self) -> PopulationSettings:
        shares = [group.share for group in self.groups.values() if group.share is not None]
        if not shares:
            raise ValueError("every group has a count: give at least one a share, of all other people")
        if not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
            raise ValueError(f"the groups' shares make {sum(shares):g} together, not 1: correct them")
        for name, group in self.groups.items():
            if isinstance(group, Attackers) and group.events > group.most(self.days):
                raise ValueError(
                    f"[groups.{name}] events = {group.events}: {group.count} accounts that keep to "
                    f"{group.per_account_day} a day push at most {group.most(self.days)} in {self.days:g} days; give "
                    "them more of either"
                )
        return self


def built_in() -> list[str]:
    """Names of the populations that come with Loopwise."""
    return sorted(Path(each.name).stem for each in SHIPPED.iterdir() if each.name.endswith(".toml"))


def load(given: str) -> PopulationSettings:
    """A population by built-in name, or from a file whose path ends in ``.toml``. Raises SettingsError."""
    if given in built_in():
        return parse((SHIPPED / f"{given}.toml").read_text(encoding="utf-8"), given)
    path = Path(given)
    if not path.is_file():
        close = difflib.get_close_matches(given, built_in(), n=1)
        meant = f"did you mean {close[0]!r}?" if close else f"built in are {', '.join(built_in())}."
        raise SettingsError(f"There is no population {given!r}, by name or as a file: {meant}")
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8."
        ) from error


def parse(text: str, where: str) -> PopulationSettings:
    """Settings from the text of a population file; ``where`` names it in errors."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where} is not valid TOML: {error}.") from error
    try:
        return PopulationSettings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(f"{where}: {_sentence(error.errors()[0], values)}") from error


def _sentence(error: ErrorDetails, values: JsonObject) -> str:
    loc = [str(part) for part in error["loc"] if isinstance(part, str)]
    if len(loc) > 2:
        del loc[2]  # pydantic puts the behavior between the group's name and the key
    said = error["msg"].removeprefix("Value error, ")
    if not loc:
        return f"{said}."
    if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
        return _behavior(loc[-1], values)
    section, key = loc[:-1], loc[-1]
    name = key if not section else f"[{'.'.join(loc)}]" if section == ["groups"] else f"[{'.'.join(section)}] {key}"
    if error["type"] == "extra_forbidden":
        return f"{name} is not a setting.{_suggestion(section, key, values)}"
    if error["type"] == "missing":
        return f"{name} is missing: add it."
    if isinstance(error["input"], dict):
        return f"{name}: {said}."
    return f"{name} = {error['input']!r} is not possible: {said}."


def _behavior(group: str, values: JsonObject) -> str:
    given = values["groups"][group].get("behavior")
    if given is None:
        return f"[groups.{group}] behavior is missing: choose one of {', '.join(BEHAVIORS)}."
    return f"[groups.{group}] behavior = {given!r} is not known.{_meant(str(given), list(BEHAVIORS))}"


def _suggestion(section: list[str], key: str, values: JsonObject) -> str:
    if not section:
        return _meant(key, list(PopulationSettings.model_fields))
    fields = BEHAVIORS[values["groups"][section[1]]["behavior"]].settings.model_fields
    if section[2:] == ["implicit"]:
        fields = cast(type[Section], fields["implicit"].annotation).model_fields
    return _meant(key, [field.alias or name for name, field in fields.items()])


def _meant(given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(given, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" Known here: {', '.join(known)}."
