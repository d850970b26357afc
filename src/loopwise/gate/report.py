"""The referee's report for people and for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast

from loopwise.types import Check, CheckResult, GateReport, JsonObject

HEADINGS = ("check", "result", "champion", "candidate", "change", "interval", "needs", "power", "n")
CLIP = 100  # characters shown of a prompt or an answer


def verdict(report: GateReport) -> CheckResult:
    """The worst result among the checks: one "failed" fails the candidate; no checks at all prove nothing."""
    if report.passed:
        return "passed"
    return "failed" if any(check.result == "failed" for check in report.checks) else "not proved"


def to_text(report: GateReport) -> str:
    """Verdict, what stands in the way, a table in points (100 points are a share of 1), and answers lost."""
    candidate, champion = report.candidate or "(none)", report.champion or "(none)"
    lines = [f"{verdict(report).upper()}: candidate {candidate} against champion {champion}"]
    lines += [f"  {check.name} {check.result}: {_reason(check)}" for check in report.checks if not check.passed]
    lines += ["", *_table([HEADINGS, *(_row(check) for check in report.checks)])]
    lines += ["", *_legend(report)]
    if report.worst:
        lines += ["", "Right before, wrong now:"]
        for example in report.worst:
            lines.append(f"  [{example['suite']}] {_clip(example['prompt'])}")
            lines.append(f"      reference {_clip(example['reference'])} | was {_clip(example['champion'])}")
            lines.append(f"      now {_clip(example['candidate'])}")
    return "\n".join(lines) + "\n"


def to_json(report: GateReport) -> JsonObject:
    """A JSON object that ``from_json`` reads back; ``verdict`` and each ``passed`` are added for readers."""
    return {
        "champion": report.champion,
        "candidate": report.candidate,
        "verdict": verdict(report),
        "checks": [{**asdict(check), "passed": check.passed} for check in report.checks],
        "worst": [dict(example) for example in report.worst],
    }


def from_json(value: JsonObject) -> GateReport:
    """The report that ``to_json`` wrote. A value of any other shape raises KeyError or TypeError."""
    checks: list[Check] = []
    for stored in cast("list[dict[str, Any]]", value["checks"]):
        checks.append(Check(**{name: figure for name, figure in stored.items() if name != "passed"}))
    return GateReport(value["champion"], value["candidate"], tuple(checks), tuple(value["worst"]))


def _legend(report: GateReport) -> list[str]:
    effects = sorted({100 * check.detail["effect"] for check in report.checks if check.detail.get("effect")})
    sizes = " or ".join(f"{effect:g}" for effect in effects)
    gain = f"to show a gain of {sizes} points on a target, " if effects else ""
    return [
        "Change, interval and needs are in points.",
        f"Power is the chance {gain}to pass an anchor when truly equal.",
    ]


def _row(check: Check) -> tuple[str, ...]:
    if check.n == 0:
        return (check.name, check.result, *("-" for _ in HEADINGS[2:]))
    facts = check.detail
    return (
        check.name,
        check.result,
        f"{100 * facts['champion']:.1f}",
        f"{100 * facts['candidate']:.1f}",
        f"{100 * check.estimate:+.1f}",
        f"[{100 * check.low:+.1f}, {100 * check.high:+.1f}]",
        f"> {100 * check.threshold:+.1f}" if check.threshold else "> 0",
        "-" if check.power is None else f"{100 * check.power:.0f} %",
        str(check.n),
    )


def _reason(check: Check) -> str:
    needed = check.detail.get("needed")
    if check.result != "not proved" or needed is None:
        return check.detail["reason"]
    return f"{check.detail['reason']} (about {needed} questions would do)"


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines: list[str] = []
    for row in rows:
        cells = [
            cell.ljust(w) if column < 2 else cell.rjust(w)
            for column, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _clip(text: object) -> str:
    """One line, quoted: what people and models wrote must not look like the report itself."""
    flat = repr(text) if isinstance(text, str) else "(not kept)"
    return flat if len(flat) <= CLIP else flat[: CLIP - 1] + "…"
