"""A disk that is soon full, for tests: a tmpfs, which only root may mount."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class SmallDisk:
    """24 MB, until it grows."""

    folder: Path

    def grow(self) -> None:
        """To twice its size."""
        subprocess.run(["mount", "-o", "remount,size=48m", self.folder], check=True)


@pytest.fixture
def small_disk() -> Iterator[SmallDisk]:
    if os.getuid() != 0:
        pytest.skip("Only root can mount a small disk.")
    with tempfile.TemporaryDirectory(prefix="loopwise-small-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder]
        made = subprocess.run(mount, capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"This machine lets nobody mount a disk: {made.stderr.strip()}")
        os.chmod(folder, 0o755)
        yield SmallDisk(Path(folder))
        subprocess.run(["umount", "-l", folder], check=True)
