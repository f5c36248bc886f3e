"""Run `gatecam data`, which counts, checks, synthesizes and splits labelled pictures."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.options import CacheOption, DataArgument, check_there

app = typer.Typer(no_args_is_help=True, help="Count, check, label, synthesize or split pictures.")


class Part(StrEnum):
    """Lists the parts of a split."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class By(StrEnum):
    """Lists what a split can keep together."""

    PERSON = "person"
    IMAGE = "image"


@app.command()
def stats(
    data: DataArgument,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write an HTML page with plots and every problem."),
    ] = None,
) -> None:
    """Count people and pictures by gender, age, race, mask and class, and list problems."""
    from gatecam.training.data.run_stats import survey

    survey(data, page)


@app.command()
def check(
    data: DataArgument,
    split: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Search for leaks between the parts of this split.", callback=check_there
        ),
    ] = None,
    page: Annotated[
        Path, typer.Option(metavar="FILE", help="Write the findings as a page with pictures.")
    ] = Path("check.html"),
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Also write all findings as CSV.")
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels/--no-labels", help="Compare labels with out-of-fold predictions (slow).")
    ] = True,
    weights: Annotated[
        str, typer.Option(metavar="NAME", help="Weights whose features are used to check labels.")
    ] = "gatecam-faces",
    folds: Annotated[int, typer.Option(min=2, help="Number of folds for out-of-fold predictions.")] = 5,
    cache: CacheOption = Path("runs/cache"),
) -> None:
    """Find damaged files, near-duplicates, people in two parts and doubtful labels.

    The exit code is 1 if damage or a leak between the parts makes scores unreliable.
    """
    from gatecam.training.data.run_check import check_and_print

    check_and_print(data, split, page, csv_file, labels, weights, folds, cache)


@app.command()
def label(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Folders or CSV files of pictures, and videos.",
            show_default=False,
            callback=check_there,
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for NAME/faces.csv of each source.")],
    teacher: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="ONNX file of CenterFace or YuNet. Several must agree. Default: MTCNN of facenet-pytorch.",
            show_default=False,
            callback=check_there,
        ),
    ] = None,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the faces as a page, doubtful ones first.")
    ] = None,
    corrections: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Labels that a person corrected (CSV).", callback=check_there),
    ] = None,
) -> None:
    """Let public detectors box every face alike, find faces without a box, and give landmarks.

    The files that it writes are collections, which all other commands read. They train the detector.
    """
    from gatecam.training.detector.run_label import label_and_write

    label_and_write(data, teacher or [], out, page, corrections)


@app.command()
def synthesize(
    data: DataArgument,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the people's folders and train.csv.")],
    people: Annotated[int | None, typer.Option(min=1, help="Maximum number of people.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is random.")] = 0,
    split: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Use only the people of one part of this split.", callback=check_there
        ),
    ] = None,
    part: Annotated[Part, typer.Option(help="Part of the split.")] = Part.TRAIN,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the first people as one picture.")
    ] = None,
) -> None:
    """Draw masks on bare faces: seven pictures per person, in the contest's layout.

    If it was stopped, run it again to continue. All seven pictures show the pose of the one picture that they
    are made from.
    """
    from gatecam.training.data.run_synthesize import synthesize_and_print

    synthesize_and_print(data, out, people, seed, split, part, sheet)


@app.command()
def split(
    data: DataArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="CSV file to write: collection, image, part.")],
    by: Annotated[By, typer.Option(help="What stays in one part. By image, people leak.")] = By.PERSON,
    validation: Annotated[float, typer.Option(min=0, max=1, help="Share of pictures for validation.")] = 0.1,
    test: Annotated[float, typer.Option(min=0, max=1, help="Share of pictures for the test.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split.")] = 0,
) -> None:
    """Split pictures into train, validation and test, with the same mix of classes in each."""
    from gatecam.training.data.run_split import split_and_write

    split_and_write(data, out, by == By.PERSON, {"validation": validation, "test": test}, seed)
