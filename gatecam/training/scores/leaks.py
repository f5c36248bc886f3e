"""Find out whether weights are scored on pictures that they learnt from, which makes scores too good."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from itertools import compress
from pathlib import Path

from gatecam.training.data.rows import Collection, Row
from gatecam.training.runs import held_out_by
from gatecam.training.scores.request import EVERYTHING, ScoreRequest, chosen_rows
from gatecam.vision.weights import DetectorSpec, ModelSpec

FEWEST_LEAKED = 0.05  # of a collection; the same table gives a few more or fewer faces in another version


def leaks_of(
    request: ScoreRequest, collections: Sequence[Collection], specs: Sequence[ModelSpec | DetectorSpec]
) -> list[str]:
    """Return a sentence for each collection that some weights learnt from.

    Collections are recognized by the names in the spec. There is no sentence if the split is that of the
    training and the scored part was held out.

    Raises:
        DataError: the split cannot be used.
    """
    chosen = chosen_rows(collections, request.split, request.part, request.split_seed)
    split = held_out_by(request.split, request.split_seed)
    leaks = []
    for spec in specs:
        known = spec.scores.get("held_out", "unknown")
        other = request.part in ("train", EVERYTHING) or known != split
        for collection, rows in zip(collections, chosen, strict=True):
            scored = list(compress(collection.rows, rows))
            if scored and _overlap(spec.data, collection, len(scored), len(_images(scored)), other):
                leaks.append(
                    f"{spec.name} learnt from a collection called {collection.name}. Some of these pictures "
                    f"may be among those, which makes scores too good. Held out was: {known}."
                )
    return leaks


def print_leaks(leaks: Sequence[str]) -> None:
    """Print the sentences of `leaks_of` as warnings to standard error."""
    for leak in leaks:
        print(f"gatecam: warning: {leak}", file=sys.stderr)


def _overlap(data: Sequence[str], collection: Collection, faces: int, pictures: int, other: bool) -> bool:
    """Return whether a spec names the collection, and what was learnt overlaps with what is scored.

    Args:
        data: the collections of the training, such as "ilc (a CSV with boxes): 5414 faces".
        faces: number of faces that are scored.
        pictures: number of their pictures.
        other: whether another part or split is scored than the one that was held out.
    """
    pattern = rf"{re.escape(collection.name)}(?: \(.*\))?: ([\d,]+) (faces|pictures)"
    learnt = next(filter(None, (re.fullmatch(pattern, line) for line in data)), None)
    if learnt is None or learnt[1] == "0":
        return False
    count = int(learnt[1].replace(",", ""))
    of_faces = learnt[2] == "faces"
    total = len(collection.rows) if of_faces else len(_images(collection.rows))
    # A table of another length may have held out a fifth instead of a tenth. See `hashed_parts`.
    return other or count + (faces if of_faces else pictures) > (1 + FEWEST_LEAKED) * total


def _images(rows: Sequence[Row]) -> set[Path]:
    return {row.image for row in rows}
