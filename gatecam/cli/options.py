"""Floor 6: the options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings file. Without it: ./config.yaml if there is one, else the defaults.",
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

IlcOption = Annotated[
    Path, typer.Option("--ilc", metavar="DIR", help="Unpacked ILC folder: faces.csv and images/.")
]

UtkfaceOption = Annotated[
    Path, typer.Option("--utkface", metavar="DIR", help="Unpacked UTKFace folder: people.csv and images/.")
]

SplitSeedOption = Annotated[
    int,
    typer.Option("--split-seed", min=0, help="Which faces are held out; the same for train and evaluate."),
]
