"""The options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.inputs import require_there


def check_there(value: Path | list[Path] | None) -> Path | list[Path] | None:
    """Return an option's paths, once they are known to be there; for `callback`."""
    require_there(value if isinstance(value, list) else [value])
    return value


class Form(StrEnum):
    """Says how events are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings file. Without it: ./config.yaml if there is one, else the defaults.",
        show_default=False,
    ),
]

StateConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings file. Without it: the service's for root, else ./config.yaml, else the defaults.",
        show_default=False,
    ),
]

BlurOption = Annotated[
    bool | None,
    typer.Option(
        "--blur/--no-blur",
        help="Make faces in what is written unreadable; the default is privacy.blur_faces.",
        show_default=False,
    ),
]

SplitSeedOption = Annotated[
    int,
    typer.Option("--split-seed", min=0, help="Which faces are held out; the same for train and evaluate."),
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
        help="A folder or CSV file of labelled pictures, in any layout; may be given several times.",
        show_default=False,
        callback=check_there,
    ),
]

CacheOption = Annotated[
    Path, typer.Option("--cache", metavar="DIR", help="Where cut faces are kept from one run to the next.")
]

SplitOption = Annotated[
    Path | None,
    typer.Option(
        "--split",
        metavar="FILE",
        help="What `gatecam data split` wrote; without it a fifth or a tenth is held out, by hash.",
        show_default=False,
        callback=check_there,
    ),
]
