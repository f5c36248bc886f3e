"""Run `gatecam train`, which trains the classifier and writes weights and their spec."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.options import (
    CacheOption,
    DataOption,
    SplitOption,
    SplitSeedOption,
    check_there,
    exit_if_stopped,
)

AUGMENTATIONS = "border,rotation,backlight,colour,resolution,blur,noise,jpeg,jitter,flip,erasing"

# `torchrun` takes options that begin like its own, such as --run and --start, so none here may do that.
Out = Annotated[
    Path, typer.Option(metavar="FILE", help="Weights to write. The spec is written beside them as .json.")
]
Init = Annotated[
    Path | None,
    typer.Option(
        "--init",
        metavar="FILE",
        help="Start from these weights of the same backbone (.safetensors, faceres.json, or dlib's .dat).",
        callback=check_there,
    ),
]
Teacher = Annotated[
    list[Path] | None,
    typer.Option(
        "--teacher",
        metavar="FILE",
        help="Learn what this network sees in the bare faces (faceres.json). May be given several times.",
        show_default=False,
        callback=check_there,
    ),
]
RunDir = Annotated[
    Path,
    typer.Option(
        "--run-dir", metavar="DIR", help="Folder of checkpoints and log. A stopped run continues from here."
    ),
]
Backbone = Annotated[
    str, typer.Option(help="mobilenet_v1, mobilefacenet, resnet29, or a network of torchvision: resnet18, …")
]
Heads = Annotated[str, typer.Option(help="three (mask, gender, age), or joint18.")]
Size = Annotated[int, typer.Option(min=32, max=512, help="Side of the crop in px.")]
Margin = Annotated[float, typer.Option(min=0.0, max=2.0, help="Margin, relative to the side of the face.")]
Epochs = Annotated[int, typer.Option(min=1, help="Number of epochs.")]
Samples = Annotated[int, typer.Option(min=0, help="Faces per epoch. 0: as many as there are.")]
Batch = Annotated[int, typer.Option(min=4, help="Faces per batch, over all processes.")]
Sampler = Annotated[
    str,
    typer.Option(help="mixed (fixed shares of mask states, people as they are), weighted, or plain."),
]
Loss = Annotated[str, typer.Option(help="cross-entropy, or focal.")]
Smoothing = Annotated[float, typer.Option(min=0.0, max=0.5, help="Label smoothing.")]
ClassWeights = Annotated[
    bool, typer.Option("--class-weights", help="Weight each label by the inverse of its frequency.")
]
Augment = Annotated[str, typer.Option(metavar="NAMES", help="Augmentations, separated by commas, or none.")]
Draw = Annotated[bool, typer.Option("--draw/--no-draw", help="Draw masks and other things on bare faces.")]
FreezeStem = Annotated[
    bool, typer.Option("--freeze-stem", help="Keep the first layers as in --init. Takes half the time.")
]
LearningRate = Annotated[float, typer.Option(min=1e-7, max=1.0, help="Maximum learning rate.")]
Dropout = Annotated[float, typer.Option(min=0.0, max=0.9, help="Dropout before the heads.")]
Ema = Annotated[
    float, typer.Option(min=0.0, max=0.9999, help="Decay of the averaged weights. 0: no average.")
]
Compile = Annotated[
    bool, typer.Option("--compile", help="Let torch compile the network first. Needs a C++ compiler.")
]
Precision = Annotated[
    str,
    typer.Option(
        help="auto (bf16 where the device computes it, else fp32), bf16, fp16 (only with CUDA), or fp32."
    ),
]
Patience = Annotated[
    int, typer.Option(min=0, help="End after this many epochs without a better score. 0: never early.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything that is random.")]

Detector = Annotated[
    str, typer.Option(metavar="NAME", help="Detector weights that find the faces to train on.")
]


def train(
    data: DataOption,
    split: SplitOption = None,
    out: Out = Path("faces.safetensors"),
    start: Init = None,
    teachers: Teacher = None,
    run_dir: RunDir = Path("runs/faces"),
    backbone: Backbone = "mobilenet_v1",
    heads: Heads = "three",
    size: Size = 192,
    margin: Margin = 0.35,
    epochs: Epochs = 10,
    samples: Samples = 12000,
    batch: Batch = 96,
    sampler: Sampler = "mixed",
    loss: Loss = "cross-entropy",
    smoothing: Smoothing = 0.05,
    class_weights: ClassWeights = False,
    augment: Augment = AUGMENTATIONS,
    draw: Draw = True,
    freeze_stem: FreezeStem = False,
    learning_rate: LearningRate = 5e-4,
    dropout: Dropout = 0.2,
    ema: Ema = 0.99,
    precision: Precision = "auto",
    compiled: Compile = False,
    patience: Patience = 0,
    seed: Seed = 1,
    split_seed: SplitSeedOption = 0,
    cache: CacheOption = Path("runs/cache"),
    detector: Detector = "gatecam-mtcnn",
) -> None:
    """Train the mask, gender and age heads, score each epoch, and write the best weights."""
    from gatecam.training.classifier import recipe, run

    chosen = recipe.Recipe(
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
        compiled=compiled,
        patience=patience,
        seed=seed,
    )
    request = run.TrainRequest(data, split, split_seed, start, run_dir, out, cache, detector, teachers or ())
    exit_if_stopped(run.train_and_save(request, chosen))
