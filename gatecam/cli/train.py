"""`gatecam train`: labelled pictures in, weights and their spec out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.options import CacheOption, DataOption, SplitOption, SplitSeedOption, check_there

AUGMENTATIONS = "border,rotation,backlight,colour,resolution,blur,noise,jpeg,jitter,flip,erasing"

# `torchrun` takes words that begin like its own, such as --run and --start, for those: none may here.
Out = Annotated[
    Path, typer.Option(metavar="FILE", help="Write the weights here, with their spec as .json beside them.")
]
Init = Annotated[
    Path | None,
    typer.Option(
        "--init",
        metavar="FILE",
        help="Start from these weights of the same backbone (.safetensors).",
        callback=check_there,
    ),
]
RunDir = Annotated[
    Path,
    typer.Option(
        "--run-dir", metavar="DIR", help="Checkpoints and log; a run that was stopped goes on from here."
    ),
]
Backbone = Annotated[
    str, typer.Option(help="mobilefacenet, or a network of torchvision: resnet18, mobilenet_v3_large, …")
]
Heads = Annotated[str, typer.Option(help="three (mask, gender, age), or joint18.")]
Size = Annotated[int, typer.Option(min=32, max=512, help="Side of the crop in px.")]
Margin = Annotated[float, typer.Option(min=0.0, max=2.0, help="Of the face's side, around it.")]
Epochs = Annotated[int, typer.Option(min=1, help="Passes.")]
Samples = Annotated[int, typer.Option(min=0, help="Faces a pass; 0: as many as there are.")]
Batch = Annotated[int, typer.Option(min=4, help="Faces a step, over all processes.")]
Sampler = Annotated[
    str,
    typer.Option(help="mixed (mask states in set shares, genders and ages evenly), weighted, plain."),
]
Loss = Annotated[str, typer.Option(help="cross-entropy, or focal.")]
Smoothing = Annotated[float, typer.Option(min=0.0, max=0.5, help="Of the labels.")]
ClassWeights = Annotated[
    bool, typer.Option("--class-weights", help="Weigh each label by the inverse of how often it occurs.")
]
Augment = Annotated[
    str, typer.Option(metavar="NAMES", help="What may happen to a picture, by commas; none: nothing.")
]
Draw = Annotated[bool, typer.Option("--draw/--no-draw", help="Draw masks and other things on bare faces.")]
FreezeStem = Annotated[
    bool, typer.Option("--freeze-stem", help="Leave the first layers as --init has them: half the time.")
]
LearningRate = Annotated[float, typer.Option(min=1e-7, max=1.0, help="At its highest.")]
Dropout = Annotated[float, typer.Option(min=0.0, max=0.9, help="Before the heads.")]
Ema = Annotated[
    float, typer.Option(min=0.0, max=0.9999, help="Decay of the averaged weights; 0: no average.")
]
Precision = Annotated[str, typer.Option(help="bf16, fp16 (CUDA alone), or fp32.")]
Patience = Annotated[
    int, typer.Option(min=0, help="End after so many epochs without a better score; 0: never early.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of everything that is drawn at random.")]


def train(
    data: DataOption,
    split: SplitOption = None,
    out: Out = Path("faces.safetensors"),
    start: Init = None,
    run: RunDir = Path("runs/faces"),
    backbone: Backbone = "mobilefacenet",
    heads: Heads = "three",
    size: Size = 128,
    margin: Margin = 0.5,
    epochs: Epochs = 12,
    samples: Samples = 7000,
    batch: Batch = 96,
    sampler: Sampler = "mixed",
    loss: Loss = "cross-entropy",
    smoothing: Smoothing = 0.05,
    class_weights: ClassWeights = False,
    augment: Augment = AUGMENTATIONS,
    draw: Draw = True,
    freeze_stem: FreezeStem = False,
    learning_rate: LearningRate = 1.2e-3,
    dropout: Dropout = 0.2,
    ema: Ema = 0.995,
    precision: Precision = "bf16",
    patience: Patience = 0,
    seed: Seed = 1,
    split_seed: SplitSeedOption = 0,
    cache: CacheOption = Path("runs/cache"),
) -> None:
    """Train the mask, gender and age heads, score each epoch on faces held out, write the best weights.

    Several processes, GPUs or machines: `torchrun --nproc-per-node 2 -m gatecam train …`.
    """
    from gatecam.training.classifier.recipe import Recipe
    from gatecam.training.classifier.run import Wanted, train_and_save

    recipe = Recipe(
        backbone=backbone,
        heads=heads,
        size=size,
        margin=margin,
        epochs=epochs,
        samples=samples,
        batch=batch,
        sampler=sampler,
        loss=loss,
        smoothing=smoothing,
        class_weights=class_weights,
        augmentations=tuple(augment.split(",")) if augment != "none" else (),
        draw=draw,
        freeze_stem=freeze_stem,
        learning_rate=learning_rate,
        dropout=dropout,
        ema_decay=ema,
        precision=precision,
        patience=patience,
        seed=seed,
    )
    if not train_and_save(Wanted(data, split, split_seed, start, run, out, cache), recipe):
        raise typer.Exit(130)
