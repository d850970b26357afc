"""How fast is curation, how much memory does it take, and does a record cost more when there are more of them?

    python benchmarks/curation.py [--records 100000] [--seed 0] [--peer-python PYTHON] [--out FOLDER]

Records are chats as the seeder of benchmarks/gateway writes them, each approved by the person who asked: about 100
words, plus a tenth that are copies of earlier ones and a tenth that differ from one in a word. They lie in a file of
JSON lines, which every contender reads and the result of which every contender writes.

- whole: all of curation at its default settings, with a text suite of 1,000 questions and 100 anchors.
- parts: each step alone, on the examples that reach it, from a list in memory; the sum of them is the floor.
- datatrove: its MinHash pipeline with its default settings (signatures, buckets, clusters, filter): near duplicates
  alone, where curation does a dozen steps. It is installed by hand, into a Python of its own that ``--peer-python``
  names: ``pip install datatrove orjson tokenizers spacy fasteners "xxhash<4"``. Without it this arm is left out.
- growth: the whole on a tenth of the records, for the cost of a record.

All run one after the other, each in a process of its own. Rates are of processor time, so that a machine that others
use, too, does not decide; wall time stands beside it. Targets: 3 times datatrove's rate, at least half of what the
parts alone would allow, at most 1.15 times the cost of a record for ten times the records. Writes curation.json and
curation.png; exits with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.gateway import people  # noqa: E402

from loopwise.config import CurateSettings  # noqa: E402
from loopwise.curate import pipeline  # noqa: E402
from loopwise.curate.anchors import mix_anchors  # noqa: E402
from loopwise.curate.guards import Guards  # noqa: E402
from loopwise.curate.ledger import Ledger  # noqa: E402
from loopwise.curate.parquet import write  # noqa: E402
from loopwise.types import Example, Problem, Suite  # noqa: E402

FASTER, FLOOR, GROWTH = 3.0, 0.5, 1.15  # the targets
SEGMENTS = ("", "", "law", "food", "sport")
N_QUESTIONS, N_ANCHORS, ANCHOR_SHARE = 1_000, 100, 0.1
MOST_IN_PARTS = 100_000  # records whose steps are measured alone, from lists in memory


def make_records(path: Path, n: int, seed: int) -> None:
    """Writes ``n`` records, a JSON line each."""
    rng = random.Random(f"curation:{seed}")
    fresh = _fresh(n, seed)
    recent: list[dict[str, Any]] = []
    with path.open("w", encoding="utf-8") as file:
        for i in range(n):
            record = next(fresh)
            if recent and i % 10 in (4, 8):
                earlier = rng.choice(recent)
                answer = earlier["answer"] if i % 10 == 4 else _retold(earlier["answer"], rng)
                record |= {"question": earlier["question"], "answer": answer}
            elif len(recent) < 1_000:
                recent.append(record)
            else:
                recent[rng.randrange(1_000)] = record
            record["text"] = f"{record['question']}\n{record['answer']}"
            file.write(json.dumps(record) + "\n")


def _fresh(n: int, seed: int) -> Iterator[dict[str, Any]]:
    place = {name: i for i, name in enumerate(people.EXCHANGE_COLUMNS)}
    for row, _ in people.rows(people.Wanted(n + n // 20 + 100, seed)):  # a hundredth failed, and has no answer
        if row[place["response"]] is not None:
            request, response = json.loads(row[place["request"]]), json.loads(row[place["response"]])
            yield {
                "id": row[place["id"]],
                "question": request["messages"][1]["content"],
                "answer": response["choices"][0]["message"]["content"],
                "user": row[place["user"]],
                "at": row[place["at"]],
                "segment": SEGMENTS[int(row[place["user"]][:4], 16) % len(SEGMENTS)],
            }


def _retold(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    words[rng.randrange(len(words) - 1)] = "otherwise"
    return " ".join(words)


def examples(path: Path, n: int) -> Iterator[Example]:
    with path.open(encoding="utf-8") as file:
        for order, line in enumerate(islice(file, n)):
            row = json.loads(line)
            yield Example(
                messages=(
                    {"role": "system", "content": "You answer briefly and say where you are not sure."},
                    {"role": "user", "content": row["question"]},
                ),
                completion=row["answer"],
                kind="approved",
                source="people",
                provenance=(row["id"],),
                weight=0.7,
                user=row["user"],
                segment=row["segment"],
                order=order,
                at=row["at"],
            )


def good_data(seed: int) -> tuple[list[Suite], list[Example]]:
    """A suite of texts, and anchors, of another seed than the records."""
    rows = list(islice(_fresh(N_QUESTIONS + N_ANCHORS, seed + 1_000), N_QUESTIONS + N_ANCHORS))
    asked = [({"role": "user", "content": row["question"]},) for row in rows]
    problems = [
        Problem(f"k{i}", "held.jsonl", messages, None, "exact") for i, messages in enumerate(asked[:N_QUESTIONS])
    ]
    anchors = [
        Example(messages, row["answer"], "anchor", "good", (row["id"],))
        for messages, row in zip(asked[N_QUESTIONS:], rows[N_QUESTIONS:], strict=True)
    ]
    return [Suite("held", "target", "v1", tuple(problems))], anchors


def whole(path: Path, n: int, seed: int) -> dict[str, Any]:
    """All of curation over the first ``n`` records."""
    suites, anchors = good_data(seed)
    with TemporaryDirectory() as out:
        clock = _Clock()
        made = pipeline.curate(examples(path, n), suites, anchors, CurateSettings(), Guards(), ANCHOR_SHARE, Path(out))
        return {**clock.read(), "records": n, "kept": made.n, "name": made.name, "steps": made.manifest["steps"]}


def parts(path: Path, n: int, seed: int) -> dict[str, Any]:
    """Seconds of processor time of each step alone, reading and writing among them."""
    suites, anchors = good_data(seed)
    seconds: dict[str, float] = {}
    ledger = Ledger()

    def timed(name: str, found: Iterable[Example]) -> list[Example]:
        began = time.process_time()
        kept = list(found)
        seconds[name] = time.process_time() - began
        return kept

    rows = timed("read", examples(path, n))
    for name, step in pipeline.steps(suites, CurateSettings(), Guards()).items():
        rows = timed(name, step(rows, ledger))
    rows = timed("mix anchors", mix_anchors(rows, ledger, anchors, ANCHOR_SHARE))
    with TemporaryDirectory() as out:
        began = time.process_time()
        write(rows, {}, Path(out))
        seconds["write"] = time.process_time() - began
    return {"records": n, "parts": seconds}


class _Clock:
    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
        return {
            "seconds": time.perf_counter() - self._wall,
            "cpu_seconds": time.process_time() - self._cpu,
            "peak_mb": peak_mb,
        }


JOBS = {"whole": whole, "parts": parts}


def in_a_process(job: str, path: Path, n: int, seed: int) -> dict[str, Any]:
    say(f"{job} of {n:,} records")
    command = [sys.executable, __file__, "--job", job, "--file", str(path), "--records", str(n), "--seed", str(seed)]
    return _ran(command)


def datatrove(python: str, path: Path) -> dict[str, Any]:
    say("datatrove")
    with TemporaryDirectory() as work:
        return _ran([python, str(Path(__file__).with_name("curation_peer.py")), str(path.parent), work])


def _ran(command: list[str]) -> dict[str, Any]:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-4_000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measured(n: int, seed: int, peer_python: str | None) -> dict[str, Any]:
    with TemporaryDirectory(prefix="curation-") as folder:
        path = Path(folder) / "records" / "records.jsonl"
        path.parent.mkdir()
        say(f"making {n:,} records")
        make_records(path, n, seed)
        found = {
            "growth": in_a_process("whole", path, n // 10, seed),
            "whole": in_a_process("whole", path, n, seed),
            "parts": in_a_process("parts", path, min(n, MOST_IN_PARTS), seed),
        }
        if peer_python:
            found["datatrove"] = {**datatrove(peer_python, path), "records": n}
    return found


def verdicts(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each target with what was reached; what was not measured is left out."""
    cost = {name: row["cpu_seconds"] / row["records"] for name, row in found.items() if "cpu_seconds" in row}
    floor = sum(found["parts"]["parts"].values()) / found["parts"]["records"]
    table = {
        "of the rate that the parts alone would allow": (floor / cost["whole"], FLOOR, True),
        "cost of a record, ten times the records": (cost["whole"] / cost["growth"], GROWTH, False),
    }
    if "datatrove" in cost:
        table["of datatrove's rate"] = (cost["datatrove"] / cost["whole"], FASTER, True)
    return {
        name: {"ratio": ratio, "target": target, "met": ratio >= target if more else ratio <= target}
        for name, (ratio, target, more) in table.items()
    }


def table(found: dict[str, Any]) -> str:
    lines = ["                      records      kept   wall s    CPU s   records/CPU s   peak MB"]
    for name in ("growth", "whole", "datatrove"):
        if row := found.get(name):
            lines.append(
                f"{name:18} {row['records']:10,} {row['kept']:9,} {row['seconds']:8.1f} {row['cpu_seconds']:8.1f} "
                f"{row['records'] / row['cpu_seconds']:15,.0f} {row['peak_mb']:9,.0f}"
            )
    lines.append("\nmicroseconds per record of each part alone")
    for name, seconds in found["parts"]["parts"].items():
        lines.append(f"  {name:18} {1e6 * seconds / found['parts']['records']:8.1f}")
    lines.append("")
    for name, row in verdicts(found).items():
        lines.append(f"{row['ratio']:6.2f} {name} (target {row['target']:g}: {'met' if row['met'] else 'missed'})")
    return "\n".join(lines)


def figure(found: dict[str, Any], path: Path) -> None:
    """Left: records a second of each contender. Right: what each part costs."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    drawing, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    names = [name for name in ("datatrove", "whole", "growth") if name in found]
    labels = [f"{name if name == 'datatrove' else 'curation'}\n{found[name]['records']:,}" for name in names]
    left.bar(labels, [found[name]["records"] / found[name]["cpu_seconds"] for name in names], color="#4c72b0")
    left.set_ylabel("records per second of processor time")
    given = found["parts"]
    right.barh(
        list(given["parts"])[::-1],
        [1e6 * seconds / given["records"] for seconds in given["parts"].values()][::-1],
        color="#55a868",
    )
    right.set_xlabel("microseconds per record, alone")
    drawing.savefig(path, dpi=120)
    plt.close(drawing)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peer-python", help="a Python that has datatrove")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        print(json.dumps(JOBS[given.job](given.file, given.records, given.seed)))
        return 0
    found = measured(given.records, given.seed, given.peer_python)
    reached = verdicts(found)
    print(table(found))
    document = {
        "settings": {"records": given.records, "seed": given.seed, **CurateSettings().model_dump(mode="json")},
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
        "versions": {name: version(name) for name in ("numpy", "pyarrow", "xxhash")},
        "measured": found,
        "targets": reached,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "curation.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    figure(found, given.out / "curation.png")
    return 0 if all(row["met"] for row in reached.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
