"""What the weighing of signals found out about people, as far as curation acts on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Guards:
    """``quarantined``: people whose examples stay out, each with the reason. ``groups``: the group of alike accounts
    that a person belongs to; people in none are left out. ``report`` is what else was found, for the manifest."""

    quarantined: Mapping[str, str] = field(default_factory=dict[str, str])
    groups: Mapping[str, str] = field(default_factory=dict[str, str])
    report: Mapping[str, Any] = field(default_factory=dict[str, Any])
