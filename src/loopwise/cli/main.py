"""``loopwise``: the command line. A command's module is imported when it is called, so that --help is quick."""

from __future__ import annotations

import importlib
import keyword
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from loopwise.errors import LoopwiseError, missing_extra

COMMANDS: dict[str, tuple[str, str]] = {  # name: (module in loopwise.cli, what it does)
    "init": ("init", "makes a project: settings, store, first release, suites"),
    "up": ("up", "serves: gateway with page, engine, and turns as feedback comes in"),
    "demo": ("demo", "the whole loop on the embedded model, in minutes"),
    "turn": ("turn", "one turn of the loop, or the rest of one that was cut short"),
    "status": ("turn", "what serves, what is being made, what waits"),
    "simulate": ("people", "simulated people with known truth use a running gateway"),
    "feedback": ("people", "gives feedback on an answer"),
    "import": ("transfer", "brings in what another tool recorded"),
    "export": ("transfer", "takes out every exchange and feedback"),
    "practice": ("evidence", "attempts and verdicts, without training"),
    "evaluate": ("evidence", "scores a release on a suite; exit 1 when it is worse than the champion"),
    "releases": ("releases", "every release and its history"),
    "promote": ("releases", "makes a release the champion"),
    "rollback": ("releases", "takes the champion back"),
    "report": ("evidence", "the referee's report on a turn"),
    "datasets": ("data", "what was made to train on; 'datasets show NAME' for the manifest"),
    "suites": ("data", "what is evaluated on"),
    "trace": ("data", "from an answer to its weights, their data and people, or back"),
    "forget": ("forget", "removes a person's rows, and lists what learned from them"),
    "quarantine": ("quarantine", "who is kept out of training and why; keeps somebody out, lets somebody in"),
    "keys": ("keys", "makes, lists and revokes API keys"),
    "doctor": ("doctor", "checks what usually goes wrong, and says what to do"),
}


class _Commands(TyperGroup):
    """The group whose commands are in ``COMMANDS``."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        function = getattr(importlib.import_module(f"loopwise.cli.{COMMANDS[cmd_name][0]}"), name)
        if isinstance(function, typer.Typer):
            return typer.main.get_command(function)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        alone.command(cmd_name, cls=TyperCommand)(function)
        return typer.main.get_command(alone)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


app = typer.Typer(
    name="loopwise",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _loopwise() -> None:  # pyright: ignore[reportUnusedFunction]
    """Closes the loop around a language model: serve, record feedback, practise, retrain, and release only what is
    proved better. Begin with: loopwise demo. Any command takes --debug for a stack trace."""


def main(args: Sequence[str] | None = None) -> None:
    """Runs one command and exits: 0 done, 1 the answer is no, 2 wrong usage or settings, 3 something outside failed."""
    given = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in given
    try:
        app([arg for arg in given if arg != "--debug"], prog_name="loopwise")
    except LoopwiseError as error:
        if debug:
            traceback.print_exc()
        print(f"loopwise: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except (OSError, ModuleNotFoundError) as error:
        if debug:
            traceback.print_exc()
        print(f"loopwise: {_outside(error)}", file=sys.stderr)
        sys.exit(3)
    except KeyboardInterrupt:
        print("loopwise: stopped by the keyboard; what was recorded is kept.", file=sys.stderr)
        sys.exit(130)


def _outside(error: OSError | ModuleNotFoundError) -> str:
    """What failed outside, in a sentence: a package that an extra brings, or the file that could not be used."""
    if isinstance(error, ModuleNotFoundError):
        if (error.name or "").startswith("loopwise"):
            raise error
        return str(missing_extra(error.name or "?"))
    what = f"{error.filename}: " if error.filename else ""
    return f"{what}{error.strerror or error}. Free or repair what it names, then run the command again."


if __name__ == "__main__":
    main()
