"""Define what the two commands that score weights share: their arguments, checks and results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatecam.errors import DataError
from gatecam.pictures.html import Page
from gatecam.runtime.files import write_output
from gatecam.runtime.outputs import require_apart, require_folder
from gatecam.settings.schema import Device
from gatecam.training.data.rows import Collection
from gatecam.training.data.split import parts_of
from gatecam.training.extras import require

EVERYTHING = "all"  # the part that holds all pictures
OUTPUTS = ("page", "json_file", "errors", "cache")  # arguments that do not change the scores


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """Holds the arguments that `gatecam evaluate` and `gatecam evaluate-detector` share."""

    data: list[Path]
    weights: str
    split: Path | None
    part: str
    split_seed: int
    device: Device
    page: Path | None
    json_file: Path | None

    def check(self, read: Iterable[Path | None] = (), written: Iterable[Path | None] = ()) -> None:
        """Check before the long work that its results can be written.

        Args:
            read: inputs besides the data and the split.
            written: outputs besides the page and the JSON file.

        Raises:
            DataError: there is no test part.
            OutputError: a file cannot be written, or is read as well.
            MissingExtraError: a page is requested, and matplotlib is not installed.
        """
        if self.part == "test" and self.split is None:
            raise DataError("without a split file there is no test part: give --split, or another --part.")
        outputs = [path for path in (self.page, self.json_file, *written) if path is not None]
        for path in outputs:
            require_folder(path)
        require_apart(outputs, [path for path in (*self.data, self.split, *read) if path is not None])
        if self.page is not None:
            require("matplotlib", "A page of scores")

    def parameters(self) -> dict[str, object]:
        """Return the arguments that decide the scores, as plain values."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in OUTPUTS}
        return {name: _plain(value) for name, value in values.items()}

    def write(self, scores: dict[str, object], page: Callable[[], Page]) -> None:
        """Write the JSON file and the page, if they are requested, and print where they are.

        Raises:
            OutputError: a file cannot be written.
        """
        if self.json_file is not None:
            write_output(self.json_file, json.dumps(scores, indent=2, ensure_ascii=False) + "\n")
            print(f"scores: {self.json_file}")
        if self.page is not None:
            page().write(self.page)
            print(f"page: {self.page}")


def chosen_rows(
    collections: Sequence[Collection], split: Path | None, part: str, seed: int
) -> list[NDArray[np.bool_]]:
    """Return for each collection which of its rows are in a part, or all rows if the part is "all".

    Raises:
        DataError: the split cannot be used.
    """
    if part == EVERYTHING:
        return [np.ones(len(collection.rows), bool) for collection in collections]
    return [np.array(parts) == part for parts in parts_of(collections, split, seed)]


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
