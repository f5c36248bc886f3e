"""Run the command line, and turn every user error into one sentence and an exit code.

Exit codes: 0 done, 1 done with problems, 2 wrong options or input, 130 ended by Ctrl-C, 143 ended by SIGTERM.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from gatecam import __version__
from gatecam.errors import GatecamError
from gatecam.runtime.logs import say, set_up
from gatecam.runtime.stopping import exit_on_signals

# In the order of `--help`. Each is a module of this package, with a function of the same name or an `app`.
NAMES = (
    *("setup", "run", "token", "status", "events", "fleet", "report", "privacy"),
    *("replay", "archive", "predict"),
    *("train", "train-detector", "weights", "evaluate", "evaluate-detector", "evaluate-events", "doctor"),
    *("user", "kiosk", "data", "config", "bench"),
)


class _Commands(MutableMapping[str, Any]):
    """Holds the commands by name, and imports each when it is looked up.

    Importing and building all of them takes a quarter of a second, which every start would wait for.
    """

    def __init__(self, more: Mapping[str, Any]) -> None:
        self._made: dict[str, Any] = {**dict.fromkeys(NAMES), **more}

    def __getitem__(self, name: str) -> Any:
        if self._made[name] is None:
            self._made[name] = _command(name)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


class _Group(TyperGroup):
    """Has all commands of gatecam."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _Commands(self.commands)

    def invoke(self, ctx: Any) -> Any:
        """Run a command. Ctrl-C at a question ends it with 130 as anywhere else, and not with 1 as Ctrl-D."""
        try:
            return super().invoke(ctx)
        except typer.Abort as error:
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise


def _command(name: str) -> Any:
    """Import a command and build its options."""
    inner = name.replace("-", "_")
    module = import_module(f"gatecam.cli.{inner}")
    if hasattr(module, "app"):
        command: Any = typer.main.get_group(module.app)
    else:
        alone = typer.Typer(add_completion=False)
        alone.command()(getattr(module, inner))
        command = typer.main.get_command(alone)
    command.name = name
    return command


app = typer.Typer(
    name="gatecam",
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gatecam {__version__}")
        raise typer.Exit


@app.callback()
def _gatecam(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Watch an entrance: find each face, check its mask, and alert each person once."""


def main() -> None:
    """Run the command line and exit. A `GatecamError` or a failing disk is reported in one sentence."""
    _open_closed_streams()
    _take_any_characters()
    set_up()
    try:
        try:
            with exit_on_signals():
                app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except GatecamError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader, such as `head`, has read enough
        _discard_output()
        sys.exit(1)
    except ImportError as error:
        _fail(f"a part cannot be loaded ({error}); {_how_to_load(str(error))}")
    except OSError as error:
        _discard_output()
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}, check the disk, the path and its permissions")


def _how_to_load(message: str) -> str:
    if ".so" in message:  # OpenCV's wheel needs these two from the system, and a bare server lacks them
        return "install it, on Debian and Ubuntu with `apt-get install libgl1 libglib2.0-0`"
    return "install gatecam again with `pip install --force-reinstall gatecam`"


def _open_closed_streams() -> None:
    """Replace closed standard streams (`>&-`) by the null device.

    Otherwise the next file that is opened, such as the store, would get the stream's number, and libraries
    that print would write into it.
    """
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(fd)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != fd:
                os.dup2(nowhere, fd)
                os.close(nowhere)
            os.set_inheritable(fd, True)
            mode = "r" if fd == 0 else "w"
            setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _take_any_characters() -> None:
    """Write characters that the terminal's encoding lacks as escapes, and read any bytes, without failing."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _fail(text: str) -> NoReturn:
    for line in text.splitlines():
        say(line, level=logging.ERROR)
    sys.exit(2)


def _discard_output() -> None:
    """Discard the rest of standard output, so that the flush at the interpreter's end succeeds."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
