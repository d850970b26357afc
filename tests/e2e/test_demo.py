"""The demo, small: real processes, simulated people over HTTP, one turn, a picture; and once more where it left off."""

from __future__ import annotations

from pathlib import Path

from loopwise.cli.project import opened
from loopwise.store import exchanges

from .conftest import loopwise, loopwise_json, make_project, small_toml


def test_the_demo_turns_the_loop_and_goes_on_where_it_left_off(tmp_path: Path):
    small = small_toml(changes={"examples = 3000": "examples = 960", "n = 300": "n = 100"})
    directory = make_project(tmp_path / "demo", small)  # the demo takes a project that is there
    first = loopwise_json("demo", "--dir", str(directory), "--turns", "1", "--seed", "1")
    assert set(first) >= {"turns", "base", "champion", "seconds", "plot"}
    [row] = first["turns"]
    assert row["turn"] == 1
    assert row["verdict"] in ("passed", "failed", "not proved")
    assert row["target"]["n"] == first["base"]["target"]["n"] == 100
    assert set(row["anchors"]) == {"rotate_matrix", "spiral_matrix"}
    assert Path(first["plot"]).read_bytes().startswith(b"\x89PNG")
    with opened(directory) as project, project.store.reading() as conn:
        assert exchanges.count(conn) == 400
    again = loopwise_json("demo", "--dir", str(directory), "--turns", "1", "--seed", "1")
    assert (again["turns"][0]["target"], again["base"]) == (row["target"], first["base"])
    with opened(directory) as project, project.store.reading() as conn:
        assert exchanges.count(conn) == 400
    done = loopwise("demo", "--dir", str(directory), "--seed", "2", check=False)
    assert done.returncode == 2
    assert "was made with --seed 1" in done.stderr
