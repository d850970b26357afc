"""benchmarks/exchange_rate: how a rate is read, what its people do, and its short form."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.exchange_rate import network, plan
from benchmarks.exchange_rate.rates import Rates, curve, t_interval
from benchmarks.exchange_rate.task import CLASSES, IMPLICIT_ERROR, People, World

ROOT = Path(__file__).parents[2]


def test_the_gap_is_read_where_the_corpus_has_the_same_score():
    read = curve([0, 100, 300], np.array([[0.4, 0.5, 0.7], [0.6, 0.7, 0.7]]), known=100)  # means 0.5, 0.6, 0.7
    assert read.size_for(0.6) == pytest.approx(100)
    assert read.size_for(0.65) == pytest.approx(math.sqrt(200 * 400) - 100)  # half way in the logarithm of 200 … 400
    assert read.size_for(0.5) == 0.0
    assert read.size_for(0.45) == 0.0  # worse than extra compute: worth nothing
    assert read.size_for(0.701) == math.inf


def test_a_learning_curve_that_dips_by_noise_is_read_as_level():
    read = curve([0, 10, 20, 30], np.array([[0.5, 0.7, 0.6, 0.8]]), known=10)
    assert read.scores.tolist() == pytest.approx([0.5, 0.65, 0.65, 0.8])
    assert read.size_for(0.6499) == pytest.approx(10, abs=0.05)


def test_the_interval_over_seeds_is_students():
    assert t_interval(np.array([1.0, 2.0, 3.0])) == pytest.approx((2.0, 2.0 - 2.4841, 2.0 + 2.4841), abs=1e-4)


def test_rates_pair_points_by_seed_and_leave_a_gap_open_where_the_curve_ends():
    at = {
        plan.Cell("classifier", 0, "served", 0): [0.5, 0.3],
        plan.Cell("classifier", 0, "corpus", 0): [0.5, 0.4],
        plan.Cell("classifier", 0, "corpus", 100): [0.6, 0.5],
        plan.Cell("classifier", 0, "labels", 40, "strong"): [0.5, 0.7],
        plan.Cell("classifier", 0, "feedback", 80, "strong", "right/wrong"): [0.48, 0.55],
    }
    scores = {
        plan.Cell(**{**vars(cell), "seed": seed}): {"none": none + 0.1 * seed, "strong": strong + 0.1 * seed}
        for seed in (0, 1)
        for cell, (none, strong) in at.items()
    }
    rates = Rates(scores, known=100)
    (told,) = (cell for cell, _ in rates.cells() if cell.arm == "feedback")
    rate = rates.of(told, "strong")
    assert rate.score[0] == pytest.approx(60)
    assert rate.points == pytest.approx((15, 15, 15))  # though the seeds are 10 points apart
    assert rate.points_corpus == pytest.approx((-2, -2, -2))
    assert rate.corpus[0] == math.inf  # 0.55 is more than 100 corpus examples give
    assert rate.labels[0] == pytest.approx(math.sqrt(100 * 140) - 100)  # half way between 0.4 and 0.7


def test_the_loss_has_the_gradient_of_its_likelihood():
    rng = np.random.default_rng(0)
    start = network.Network(tuple(weight.astype(float) for weight in network.untrained(4, 3, rng).weights))  # pyright: ignore
    said = network.Lessons(
        rng.normal(size=(3, 4)),  # pyright: ignore[reportArgumentType]
        np.array([0, 1, 2]),
        np.array([1, -1, -1]),  # pyright: ignore[reportArgumentType]
        np.array([0, 0, 0.25]),  # pyright: ignore[reportArgumentType]
    )

    def likelihoods(moved: network.Network) -> tuple[float, float, float]:
        p = moved.probabilities(said.inputs)[[0, 1, 2], [0, 1, 2]]
        return float(np.log(p[0])), float(np.log(1 - p[1])), float(np.log(1 - (0.25 + 0.5 * p[2])))

    for one in range(3):
        nudged = [start.weights[3].copy() for _ in range(2)]
        nudged[0][1] += 1e-6
        nudged[1][1] -= 1e-6
        up, down = (likelihoods(network.Network((*start.weights[:3], bias)))[one] for bias in nudged)
        outer = start.probabilities(said.inputs)[one]
        pull = network.pull(outer[[one]], said.signs[[one]], said.errors[[one]])[0]
        assert (up - down) / 2e-6 == pytest.approx(pull * ((one == 1) - outer[1]), rel=1e-4)


@pytest.fixture(scope="module")
def people() -> People:
    world, rng = World(3), np.random.default_rng(0)
    start = network.untrained(16, CLASSES, rng)
    return People(world, network.train(start, world.labelled(500, "none", "corpus"), 200, rng), "some")


def test_marks_without_noise_tell_the_truth_and_noise_flips_its_share(people: People):
    marks = people.events("right/wrong", 2_000, 0.0)
    truth = np.where(people.world.classes(marks.inputs) == marks.classes, 1, -1)
    assert marks.signs.tolist() == truth.tolist()
    assert 0.4 < (truth > 0).mean() < 0.8  # enough of both
    flipped = (people.events("right/wrong", 2_000, 0.3).signs != marks.signs).mean()
    assert flipped == pytest.approx(0.3, abs=4 * math.sqrt(0.3 * 0.7 / 2_000))  # four standard deviations
    implicit = people.events("implicit", 2_000, 0.0)
    lies = ((people.world.classes(implicit.inputs) == implicit.classes) != (implicit.signs > 0)).mean()
    assert lies == pytest.approx(IMPLICIT_ERROR, abs=4 * math.sqrt(0.25 * 0.75 / 2_000))


def test_corrections_come_on_wrong_answers_alone_and_fewer_are_the_first_of_more(people: People):
    given = people.events("correction", 500, 0.0)
    assert given.classes.tolist() == people.world.classes(given.inputs).tolist()
    assert not (people.served.answers(given.inputs) == given.classes).any()
    noisy = people.events("correction", 500, 0.3)
    assert (noisy.classes != given.classes).mean() == pytest.approx(0.3, abs=4 * math.sqrt(0.3 * 0.7 / 500))
    assert people.events("correction", 100, 0.3).classes.tolist() == noisy.classes[:100].tolist()


def _run(out: Path, *args: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.exchange_rate", "--short", "--out", str(out), *args]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (out / "exchange_rate.png").read_bytes().startswith(b"\x89PNG")
    return json.loads((out / "exchange_rate.json").read_text())


def test_the_short_form_measures_every_cell_and_goes_on_where_it_was_cut_short(tmp_path: Path):
    args = ("--part", "classifier", "--seeds", "1")
    found = _run(tmp_path, *args)
    wanted = {cell.group for cell in plan.classifier_cells(0, plan.CLASSIFIER_SHORT)}
    by_arm = [cell["arm"] for cell in found["cells"]]
    assert len(by_arm) - 2 * (by_arm.count("served") + by_arm.count("corpus")) // 3 == len(wanted)
    points = {(c["arm"], c["kind"], c["shift"]): c["points"][0] for c in found["cells"] if not c["noise"]}
    assert points["labels", None, "strong"] > points["random", "right/wrong", "strong"] + 5
    (kept,) = (tmp_path / "cache").glob("*.jsonl")
    lines = kept.read_text().splitlines(keepends=True)
    assert len(lines) == len(wanted)
    kept.write_text("".join(lines[:-10]) + lines[-10][:25])  # as a kill leaves it
    assert _run(tmp_path, *args) == found
    assert kept.read_text().splitlines(keepends=True) == lines


@pytest.mark.slow
def test_the_short_form_of_the_language_model_trains_every_arm(tmp_path: Path):
    found = _run(tmp_path, "--part", "model", "--seeds", "1")
    cells = list(plan.model_cells(0, plan.MODEL_SHORT))
    (kept,) = (tmp_path / "cache").glob("*.jsonl")
    assert len(kept.read_text().splitlines()) == len(cells)
    scores = {c["arm"]: c["score"][0] for c in found["cells"] if c["shift"] == "strong" and not c["kind"]}
    assert scores["served"] == 0.0  # words of 7 and 8 letters are beyond the corpus
    assert {cell["arm"] for cell in found["cells"]} == {cell.arm for cell in cells}


@pytest.mark.slow
def test_what_is_shown_in_a_prompt_is_what_is_most_alike_and_a_slip_is_one():
    from benchmarks.exchange_rate import language

    assert language.nearest(["stone"], ["stove", "tread", "stones"], 2) == [[0, 2]]  # 4 and 5 pairs of 6, and none
    assert language.nearest(["bread", "stone"], ["stove", "tread", "stones"], 1) == [[1], [2]]
    assert language._slip("enots", 0.0) == "neots"
    assert language._slip("enots", 0.99) == "enost"
    assert language._slip("sees", 0.5) == "see"  # swapping its two e would change nothing
