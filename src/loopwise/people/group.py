"""What the settings of every group of people hold, whatever its behavior."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Chance = Annotated[float, Field(ge=0.0, le=1.0)]


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"no regular expression ({error})") from error
    return text


def _rising(pair: list[float]) -> list[float]:
    if pair[0] > pair[1]:
        raise ValueError("write the lower number first")
    return pair


Pattern = Annotated[str, AfterValidator(_pattern)]
Chances = Annotated[list[Chance], Field(min_length=2, max_length=2)]  # [taken for right, taken for wrong]
ChanceRange = Annotated[list[Chance], Field(min_length=2, max_length=2), AfterValidator(_rising)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ImplicitSettings(Section):
    """What people do without a word, each ``[a, b]``: the probability after an answer that they take for right, and
    after one that they take for wrong. Two equal numbers tell nothing of the answer."""

    copy_: Annotated[Chances, Field(alias="copy")] = [0.0, 0.0]
    accept: Chances = [0.0, 0.0]
    regenerate: Chances = [0.0, 0.0]  # the same conversation is asked again
    abandon: Chances = [0.0, 0.0]
    follow_up: Chances = [0.0, 0.0]  # the conversation goes on


class Group(Section):
    """``share`` of the people, or ``count`` accounts that come on top of them. ``segment`` is what the group asks
    about, if not everything: a problem's segment, or the family of a generated one."""

    share: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    count: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    segment: str | None = None
    implicit: ImplicitSettings = ImplicitSettings()

    @model_validator(mode="after")
    def _sized(self) -> Group:
        if (self.share is None) == (self.count is None):
            raise ValueError("give either share or count")
        return self
