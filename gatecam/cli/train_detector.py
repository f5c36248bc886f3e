"""Run `gatecam train-detector`, which trains P-, R- and O-Net and writes weights and spec."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.options import SplitOption, SplitSeedOption, check_there, exit_if_stopped
from gatecam.cli.train import Ema, LearningRate, Out, RunDir, Seed

Data = Annotated[
    list[Path],
    typer.Option(
        "--data",
        metavar="PATH",
        help="Pictures with a box for each face, or of one bare face each. May be given several times.",
        show_default=False,
        callback=check_there,
    ),
]
NoFaces = Annotated[
    list[Path] | None,
    typer.Option(
        "--no-faces",
        metavar="DIR",
        help="Folder of pictures without faces, including subfolders. May be given several times.",
        show_default=False,
        callback=check_there,
    ),
]
Init = Annotated[
    Path | None,
    typer.Option(
        "--init",
        metavar="FILE",
        help="Start from weights of this command (.safetensors).",
        callback=check_there,
    ),
]
StartShare = Annotated[
    float,
    typer.Option(
        "--start-share", min=0.0, max=0.9, help="Share of O-Net's weights of --init in the final ones."
    ),
]
PSteps = Annotated[int, typer.Option("--p-steps", min=1, help="Training batches of P-Net.")]
RSteps = Annotated[int, typer.Option("--r-steps", min=1, help="Training batches of R-Net per round.")]
OSteps = Annotated[int, typer.Option("--o-steps", min=1, help="Training batches of O-Net per round.")]
Rounds = Annotated[
    int, typer.Option(min=1, max=9, help="Rounds. From the second, R- and O-Net learn from own mistakes.")
]
Windows = Annotated[int, typer.Option(min=1, help="Windows per batch of P-Net.")]
Scenes = Annotated[int, typer.Option(min=1, help="Scenes per batch of R- or O-Net, of some 20 crops each.")]
Portraits = Annotated[int, typer.Option(min=0, help="Maximum number of pictures of one face to use.")]
MinedFacePx = Annotated[
    int,
    typer.Option("--mined-face-px", min=12, max=200, help="Smallest face when mining mistakes, in px."),
]
Precision = Annotated[
    str, typer.Option(help="auto (bf16 where the device computes it, else fp32), bf16, or fp32.")
]


def train_detector(
    data: Data,
    no_faces: NoFaces = None,
    split: SplitOption = None,
    out: Out = Path("detector.safetensors"),
    start: Init = None,
    start_share: StartShare = 0.0,
    run: RunDir = Path("runs/detector"),
    p_steps: PSteps = 800,
    r_steps: RSteps = 1500,
    o_steps: OSteps = 5000,
    rounds: Rounds = 1,
    windows: Windows = 32,
    scenes: Scenes = 30,
    learning_rate: LearningRate = 2e-3,
    ema: Ema = 0.998,
    portraits: Portraits = 30000,
    mined_face_px: MinedFacePx = 20,
    precision: Precision = "auto",
    seed: Seed = 1,
    split_seed: SplitSeedOption = 0,
) -> None:
    """Train P-, R- and O-Net in turn, each on mistakes of those before, and set the thresholds.

    Each network is validated. Only the train part of the pictures is learnt from. Masks are drawn on copies
    of its bare faces.
    """
    from gatecam.training.detector.loading import Pictures
    from gatecam.training.detector.recipe import DetectorRecipe
    from gatecam.training.detector.run import DetectorTrainRequest, train_and_save

    recipe = DetectorRecipe(
        p_steps=p_steps,
        r_steps=r_steps,
        o_steps=o_steps,
        rounds=rounds,
        windows=windows,
        scenes=scenes,
        learning_rate=learning_rate,
        ema_decay=ema,
        portraits=portraits,
        mined_face_px=mined_face_px,
        precision=precision,
        seed=seed,
    )
    pictures = Pictures(data, no_faces or [], split, split_seed)
    request = DetectorTrainRequest(pictures, start, run, out, start_share=start_share)
    exit_if_stopped(train_and_save(request, recipe))
