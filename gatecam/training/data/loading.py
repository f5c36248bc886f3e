"""Load labelled pictures for a command, print their problems, and crop faces or read them from the cache."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from gatecam.errors import DataError
from gatecam.runtime.progress import progress
from gatecam.training.data.layouts import open_collections
from gatecam.training.data.patches import SHIPPED, Faces, load_faces
from gatecam.training.data.rows import UNKNOWN, Collection, Problem
from gatecam.training.data.stats import by_kind

SHOWN = 3  # problems printed of each kind


def open_all(paths: Sequence[Path]) -> list[Collection]:
    """Open every collection and print its problems to standard error.

    Raises:
        DataError: a collection cannot be opened.
    """
    collections = open_collections(paths)
    for collection in collections:
        tell_problems(collection.name, collection.problems)
    return collections


def load_all(
    paths: Sequence[Path], cache_folder: Path, detector: str = SHIPPED
) -> list[tuple[Collection, Faces]]:
    """Load every collection with its faces.

    The faces come from `NAME.npz` in the cache folder, or are cropped again if that file is outdated.

    Raises:
        DataError: a collection cannot be opened, has no labels, or none of its pictures can be read.
    """
    collections = open_all(paths)
    for path, collection in zip(paths, collections, strict=True):
        if all((row.mask, row.gender, row.age) == (UNKNOWN,) * 3 for row in collection.rows):
            raise DataError(
                f"{path}: its pictures have no labels to train or score with. Choose labelled pictures."
            )
    loaded = []
    for collection in collections:
        with progress(f"crop {collection.name}", None, "pictures") as tick:
            faces, problems = load_faces(collection, tick, cache_folder / f"{collection.name}.npz", detector)
        tell_problems(collection.name, problems)
        loaded.append((collection, faces))
    return loaded


def tell_problems(name: str, problems: Sequence[Problem]) -> None:
    """Print the first problems of each kind to standard error, and how many more there are."""
    for kind, alike in by_kind(problems).items():
        for problem in alike[:SHOWN]:
            print(f"gatecam: {name}: {problem.where}: {problem.what}; {problem.done}", file=sys.stderr)
        if len(alike) > SHOWN:
            more = f"{len(alike) - SHOWN} more: {kind} (`gatecam data stats --page` lists all)"
            print(f"gatecam: {name}: {more}", file=sys.stderr)
