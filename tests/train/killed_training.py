"""A training in a process of its own, to be killed: parent, dataset, out, fingerprint of the parent."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch

from loopwise.train import RunSettings, train
from loopwise.types import Dataset, Release

SETTINGS = RunSettings(examples=384, batch=16, learning_rate=4e-3, seed=1, threads=1, checkpoint_s=0.0)


def main() -> None:
    folder, dataset, out, fingerprint = sys.argv[1:]
    torch.set_num_threads(1)
    release = Release("base", "champion", None, None, fingerprint, folder, at=0.0)
    made = train(Dataset("sha256:d", Path(dataset), 64, {}), release, Path(out), SETTINGS, told)
    sys.stdout.write(f"{made.fingerprint} {made.metrics['resumed_from']}\n")


def told(step: str, done: int, total: int) -> None:
    sys.stdout.write(f"step {done}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
