"""What redaction finds, what it takes by mistake, and what it costs, beside other detectors.

    python -m benchmarks.redaction [--records 4000] [--seed 11] [--clean 200] [--out FOLDER]

- found: recall and precision per kind on made records in ten formats, of which some 40 % of the things hide (spelled
  out, split over lines, with characters that do not show). The generator draws them by seed; a label counts as found
  when all of its letters and digits are covered by findings of its kind.
- clean: the share of records with any finding, among real problems, answers and code (../shared/data) and made numbers
  that look like something: versions, ISBNs, order numbers, hashes, arithmetic. At most 1 % is the target.
- speed: the whole step on one core, and each detector on the same texts.

Peers (presidio-analyzer, phonenumbers, scrubadub, datafog) run where they are installed, by patterns alone. The set was
made by the authors of the patterns, so figures on it flatter them; the real texts do not. Writes redaction.json and
redaction.png; exits with 1 where false alarms exceed the target.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.redaction import clean, formats
from benchmarks.redaction.figure import draw
from benchmarks.redaction.measure import KINDS, compare, false_alarms, gone, redact_all, speed, total
from benchmarks.redaction.peers import installed, ours

LIMIT = 0.01  # the share of clean records that may hold a false alarm
PEER_TEXTS = 400  # that all detectors are timed on


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.redaction", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=11, help="patterns were written looking at 0, 1 and 5")
    parser.add_argument("--clean", type=int, default=200, help="made clean records of each sort")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results")
    given = parser.parse_args()
    records, real = formats.make(given.records, given.seed), clean.real()
    lookalikes = clean.made(given.clean, given.seed)
    columns = {}
    for peer in [ours(), *installed()]:
        columns[peer.name] = {
            "kinds": peer.kinds,
            **compare(peer.detect, records, peer.kinds),
            "false_alarms": false_alarms(peer.detect, [*real, *lookalikes], peer.kinds),
            "speed": speed(_mixed(records, real), lambda texts, peer=peer: [peer.detect(text) for text in texts], 2),
        }
        print(table(peer.name, columns[peer.name]), flush=True)
    document = {
        "command": f"python -m benchmarks.redaction {' '.join(sys.argv[1:])}".strip(),
        "versions": {"python": platform.python_version(), "loopwise": version("loopwise")},
        "records": len(records),
        "detectors": columns,
        "gone": gone(records),
        "step": {
            name: speed([record.text for record in texts], redact_all)
            for name, texts in (("made, all with something to find", records), ("real, clean", real))
            if texts
        },
    }
    print(json.dumps({"gone": document["gone"], "step": document["step"]}, indent=1))
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "redaction.json").write_text(json.dumps(document, indent=1))
    draw(columns, given.out / "redaction.png")
    alarms = [columns["loopwise"]["false_alarms"][form] for form in columns["loopwise"]["false_alarms"]]
    sys.exit(sum(row["k"] for row in alarms) > LIMIT * sum(row["n"] for row in alarms))


def _mixed(records: list, real: list) -> list[str]:
    return [record.text for record in [*records[:PEER_TEXTS], *real[:PEER_TEXTS]]]


def table(name: str, column: dict) -> str:
    lines = [f"\n{name}", f"  {'kind':8}{'recall':>26}{'precision':>26}"]
    lines += [f"  {kind:8}{_cell(column['recall'].get(kind))}{_cell(column['precision'].get(kind))}" for kind in KINDS]
    lines += [f"  clean, {form:24}{_cell(row)}" for form, row in column["false_alarms"].items()]
    lines += [f"  clean, {'all':24}{_cell(total(column['false_alarms']))}"]
    lines += [f"  {form:32}{_cell(row)}" for form, row in {**column["by_format"], **column["by_trick"]}.items()]
    lines += [f"  {column['speed']['records_per_s']:,.0f} records/s, {column['speed']['mb_per_s']:.1f} MB/s"]
    return "\n".join(lines)


def _cell(row: dict | None) -> str:
    if row is None:
        return f"{'-':>26}"
    return f"{100 * row['share']:8.1f} [{100 * row['low']:5.1f}, {100 * row['high']:5.1f}]".rjust(26)


if __name__ == "__main__":
    main()
