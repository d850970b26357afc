"""Examples on disk, for the steps that must see all of them before they can judge one."""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO

from loopwise.types import Example


class Spill:
    """Examples in a file, by place: 8 bytes each in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._starts = array("Q", [0])

    def __len__(self) -> int:
        return len(self._starts) - 1

    def add(self, example: Example) -> int:
        """Keeps it as the last one. Returns its place."""
        end = self._starts[-1]
        if self._file.tell() != end:  # something was read since
            self._file.seek(end)
        self._starts.append(end + self._file.write(pickle.dumps(example, protocol=5)))
        return len(self) - 1

    def __iter__(self) -> Iterator[Example]:
        """All examples, in the order in which they were added."""
        for place in range(len(self)):
            yield self[place]

    def __getitem__(self, place: int) -> Example:
        start = self._starts[place]
        if self._file.tell() != start:
            self._file.seek(start)
        return pickle.loads(self._file.read(self._starts[place + 1] - start))


@contextmanager
def spilled() -> Generator[Spill]:
    """An empty spill in an unnamed file in the folder for temporary files (``TMPDIR``).

    The file has no name, so that no text of people is left behind when the process is killed.
    """
    with TemporaryFile(prefix="loopwise-curate-") as file:
        yield Spill(file)
