"""Define the options that several commands share, and check inputs before libraries load.

Loading takes seconds, so this module imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gatecam.errors import SourceError
from gatecam.runtime.logs import say


def missing_of(paths: Iterable[Path | None]) -> list[str]:
    """Return a sentence for each path that does not exist. Paths that may not be checked are left out."""
    missing = []
    for path in paths:
        with suppress(OSError):
            if path is not None and not path.exists():
                missing.append(f"{path}: there is no such file or folder; check the path.")
    return missing


def say_loading() -> None:
    """Report on standard error that the networks are loading."""
    say("loading the networks…")


def check_there(value: Path | list[Path] | None) -> Path | list[Path] | None:
    """Return an option's paths after checking that they exist, for `callback`.

    Raises:
        SourceError: some do not. The error has a sentence for each.
    """
    if missing := missing_of(value if isinstance(value, list) else [value]):
        raise SourceError("\n".join(missing))
    return value


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings file. Default: ./config.yaml if it exists, else the default settings.",
        show_default=False,
    ),
]

StateConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings file. Default: the service's for root, else ./config.yaml, else default settings.",
        show_default=False,
    ),
]

DoorOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Door whose events are read, if doors share a database, or all. Default: fleet.door.",
        show_default=False,
    ),
]

BlurOption = Annotated[
    bool | None,
    typer.Option(
        "--blur/--no-blur",
        help="Blur faces in written pictures and videos. Default: privacy.blur_faces.",
        show_default=False,
    ),
]

SplitSeedOption = Annotated[
    int,
    typer.Option("--split-seed", min=0, help="Seed of the split. Use the same for train and evaluate."),
]


class Device(StrEnum):
    """Lists the values of the setting `device`."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    OPENVINO = "openvino"
    OPENVINO_BF16 = "openvino-bf16"
    OPENVINO_INT8 = "openvino-int8"


DeviceOption = Annotated[
    Device, typer.Option("--device", help="What computes the networks. auto computes in float32.")
]

DataArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATA...",
        help="Folders or CSV files of labelled pictures, in any layout.",
        show_default=False,
        callback=check_there,
    ),
]

DataOption = Annotated[
    list[Path],
    typer.Option(
        "--data",
        metavar="PATH",
        help="Folder or CSV file of labelled pictures, in any layout. May be given several times.",
        show_default=False,
        callback=check_there,
    ),
]

CacheOption = Annotated[
    Path, typer.Option("--cache", metavar="DIR", help="Folder where cut faces are kept between runs.")
]

SplitOption = Annotated[
    Path | None,
    typer.Option(
        "--split",
        metavar="FILE",
        help="File from `gatecam data split`. Without it a fifth or a tenth is held out, by hash.",
        show_default=False,
        callback=check_there,
    ),
]


def exit_if_stopped(ended: bool) -> None:
    """Exit with 130 if long work was stopped before its end, as a shell does after Ctrl-C."""
    if not ended:
        raise typer.Exit(130)
