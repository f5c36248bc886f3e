"""`gatecam train-detector`: pictures of faces in, weights of P-, R- and O-Net and their spec out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.inputs import require_there
from gatecam.cli.options import CacheOption, SplitOption, SplitSeedOption
from gatecam.cli.train import Ema, LearningRate, Out, RunDir, Seed

Data = Annotated[
    list[Path],
    typer.Option(
        "--data",
        metavar="PATH",
        help="Pictures with a box for each face, or of one bare face each; may be given several times.",
        show_default=False,
    ),
]
NoFaces = Annotated[
    list[Path] | None,
    typer.Option(
        "--no-faces",
        metavar="DIR",
        help="Pictures that show no face, with those of the folders below; may be given several times.",
        show_default=False,
    ),
]
Unboxed = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Faces that have no box: CSV with image,x1,y1,x2,y2. They teach nothing, as faces or as none.",
        show_default=False,
    ),
]
Init = Annotated[
    Path | None,
    typer.Option("--init", metavar="FILE", help="Start from weights of this command (.safetensors)."),
]
PSteps = Annotated[int, typer.Option("--p-steps", min=1, help="Batches that P-Net learns from.")]
RSteps = Annotated[int, typer.Option("--r-steps", min=1, help="Batches that R-Net learns from, each round.")]
OSteps = Annotated[int, typer.Option("--o-steps", min=1, help="Batches that O-Net learns from, each round.")]
Rounds = Annotated[
    int, typer.Option(min=1, max=9, help="From the second on R- and O-Net learn from their own mistakes.")
]
Windows = Annotated[int, typer.Option(min=1, help="Windows a batch of P-Net.")]
Scenes = Annotated[int, typer.Option(min=1, help="Scenes a batch of R- or O-Net; some 20 crops of each.")]
Portraits = Annotated[int, typer.Option(min=0, help="Pictures of one face that are used, at most.")]
MinedFacePx = Annotated[
    int,
    typer.Option("--mined-face-px", min=12, max=200, help="Smallest face where mistakes are mined, in px."),
]
Precision = Annotated[str, typer.Option(help="bf16 or fp32.")]


def train_detector(
    data: Data,
    no_faces: NoFaces = None,
    unboxed: Unboxed = None,
    split: SplitOption = None,
    out: Out = Path("detector.safetensors"),
    start: Init = None,
    run: RunDir = Path("runs/detector"),
    p_steps: PSteps = 2500,
    r_steps: RSteps = 2500,
    o_steps: OSteps = 4000,
    rounds: Rounds = 2,
    windows: Windows = 32,
    scenes: Scenes = 30,
    learning_rate: LearningRate = 2e-3,
    ema: Ema = 0.998,
    portraits: Portraits = 5000,
    mined_face_px: MinedFacePx = 20,
    precision: Precision = "bf16",
    seed: Seed = 1,
    split_seed: SplitSeedOption = 0,
    cache: CacheOption = Path("runs/cache"),
) -> None:
    """Train P-, R- and O-Net in turn, each from mistakes of those before; validate each; set the thresholds.

    Only the part train of the pictures is learnt from. Masks are drawn on copies of its bare faces.
    """
    require_there([*data, *(no_faces or []), unboxed, start])
    from gatecam.training.detector.loading import Pictures
    from gatecam.training.detector.recipe import DetectorRecipe
    from gatecam.training.detector.run import Wanted, train_and_save

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
    pictures = Pictures(data, no_faces or [], unboxed, split, split_seed, cache)
    if not train_and_save(Wanted(pictures, start, run, out), recipe):
        raise typer.Exit(130)
