"""Run the command line, and turn every user error into one sentence and an exit code.

Exit codes: 0 done, 1 done with problems, 2 wrong options or input, 130 ended by Ctrl-C.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from typing import Annotated, NoReturn

import typer

from gatecam import __version__
from gatecam.cli import (
    bench,
    config,
    data,
    doctor,
    evaluate,
    evaluate_detector,
    evaluate_events,
    events,
    fleet,
    kiosk,
    predict,
    privacy,
    replay,
    report,
    run,
    setup,
    status,
    token,
    train,
    train_detector,
    user,
    weights,
)
from gatecam.errors import GatecamError
from gatecam.runtime.logs import say, set_up

app = typer.Typer(
    name="gatecam",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    setup.setup,
    run.run,
    token.token,
    status.status,
    events.events,
    fleet.fleet,
    report.report,
    privacy.privacy,
    replay.replay,
    predict.predict,
    train.train,
    train_detector.train_detector,
    weights.weights,
    evaluate.evaluate,
    evaluate_detector.evaluate_detector,
    evaluate_events.evaluate_events,
    doctor.doctor,
):
    app.command()(command)
for name, group in {"user": user, "kiosk": kiosk, "data": data, "config": config, "bench": bench}.items():
    app.add_typer(group.app, name=name)


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
    _print_what_the_terminal_cannot()
    set_up()
    try:
        try:
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


def _print_what_the_terminal_cannot() -> None:
    """Write characters that the terminal's encoding lacks as escapes, instead of failing."""
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
