"""`gatecam data`: look at labelled pictures, check them, draw masks on them, split them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.inputs import require_there
from gatecam.cli.options import CacheOption, DataArgument

app = typer.Typer(no_args_is_help=True, help="Count, check, synthesize or split labelled pictures.")


class Part(StrEnum):
    """The parts of a split."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class By(StrEnum):
    """What a split keeps together."""

    PERSON = "person"
    IMAGE = "image"


@app.command()
def stats(
    data: DataArgument,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write an HTML page with plots and every problem as well."),
    ] = None,
) -> None:
    """Count people and pictures by gender, age, race, mask and class, and list what is wrong with them."""
    from gatecam.training.data.run_stats import survey

    survey(data, page)


@app.command()
def check(
    data: DataArgument,
    split: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Look for leaks between the parts of this split.")
    ] = None,
    page: Annotated[
        Path, typer.Option(metavar="FILE", help="Write what was found here, as a page with pictures.")
    ] = Path("check.html"),
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write everything found as CSV as well.")
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels/--no-labels", help="Compare labels with out-of-fold predictions (long).")
    ] = True,
    weights: Annotated[
        str, typer.Option(metavar="NAME", help="Weights whose features judge the labels.")
    ] = "gatecam-faces",
    folds: Annotated[int, typer.Option(min=2, help="Parts of which each is predicted by the others.")] = 5,
    cache: CacheOption = Path("runs/cache"),
) -> None:
    """Find damaged files, near-duplicates, people in two parts and doubtful labels.

    Exit code 1 where damage or a leak between the parts spoils scores.
    """
    require_there([split])
    from gatecam.training.data.run_check import check_and_print

    check_and_print(data, split, page, csv_file, labels, weights, folds, cache)


@app.command()
def synthesize(
    data: DataArgument,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Write the people's folders and train.csv here.")],
    people: Annotated[int | None, typer.Option(min=1, help="At most this many people.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn at random.")] = 0,
    split: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take the people of one part of this split.")
    ] = None,
    part: Annotated[Part, typer.Option(help="The part of the split.")] = Part.TRAIN,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the first people as one picture.")
    ] = None,
) -> None:
    """Draw masks on bare faces: seven pictures a person, in the contest's layout.

    Run again after a stop, it goes on from what is there. All seven show the pose of the one picture they
    come from.
    """
    require_there([split])
    from gatecam.training.data.run_synthesize import synthesize_and_print

    synthesize_and_print(data, out, people, seed, split, part, sheet)


@app.command()
def split(
    data: DataArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Write collection, image and part here.")],
    by: Annotated[By, typer.Option(help="What stays together; by image leaks people.")] = By.PERSON,
    validation: Annotated[float, typer.Option(min=0, max=1, help="Share of the pictures.")] = 0.1,
    test: Annotated[float, typer.Option(min=0, max=1, help="Share of the pictures.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another split.")] = 0,
) -> None:
    """Split pictures into train, validation and test, each with its share of every class."""
    from gatecam.training.data.run_split import split_and_write

    split_and_write(data, out, by == By.PERSON, {"validation": validation, "test": test}, seed)
