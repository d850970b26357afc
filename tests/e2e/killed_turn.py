"""A turn that kills itself with SIGKILL at a chosen point; run as a program by ``test_kill.py``.

    python killed_turn.py DIR STAGE after|during

``after``: when the stage's work is done, before the journal says so. ``during``: at its first report of
progress.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from loopwise import loop
from loopwise.cli.progress import silent
from loopwise.cli.project import opened
from loopwise.cli.turn import assembled
from loopwise.types import JsonObject


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    directory, stage, when = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    work = loop.STAGES[stage]

    def dies(parts: loop.Parts, number: int, done: loop.Records) -> JsonObject:
        if when == "during":
            parts = replace(parts, progress=lambda *_: kill())
        made = work(parts, number, done)
        kill()
        return made

    loop.STAGES[stage] = dies
    with opened(directory) as project, assembled(project, silent) as parts:
        loop.turn(parts)


if __name__ == "__main__":
    main()
