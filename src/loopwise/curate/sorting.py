"""Sorts more lines than fit into memory: sorted pieces on disk, then one merge of them all."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryFile
from typing import IO

PIECE_BYTES = 64 << 20  # of lines that are sorted in memory at once


@contextmanager
def sorted_lines(lines: Iterable[bytes], piece_bytes: int = PIECE_BYTES) -> Generator[Iterator[bytes]]:
    """The lines in the order of their bytes. All are read before the first is given. No line may hold a line feed.

    What does not fit into one piece lies in unnamed files in the folder for temporary files.
    """
    with ExitStack() as stack:
        pieces: list[IO[bytes]] = []
        piece: list[bytes] = []
        size = 0
        for line in lines:
            piece.append(line)
            size += len(line)
            if size >= piece_bytes:
                file = stack.enter_context(TemporaryFile(prefix="loopwise-sort-"))
                _write(piece, file)
                pieces.append(file)
                piece, size = [], 0
        piece.sort()
        yield heapq.merge(*map(_read, pieces), piece)


def _write(piece: list[bytes], file: IO[bytes]) -> None:
    piece.sort()
    file.writelines(line + b"\n" for line in piece)
    file.seek(0)


def _read(file: IO[bytes]) -> Iterator[bytes]:
    for line in file:
        yield line[:-1]
