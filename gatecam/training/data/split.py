"""Split pictures into training, validation and test parts, keeping each person in one part by default."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatecam.errors import DataError
from gatecam.runtime.files import write_table
from gatecam.training.data.rows import Collection, Row
from gatecam.training.data.tables import read_lines, relative

PARTS = ("train", "validation", "test")
FEW_ROWS = 5000  # below this number, a tenth of the rows is too few for scoring
COLUMNS = ("collection", "image", "part")


def parts_of(collections: Sequence[Collection], split: Path | None, seed: int) -> list[list[str]]:
    """Return the part of every row of every collection, from a split file or else by the hash of its key.

    Raises:
        DataError: the split file cannot be used.
    """
    if split is not None:
        return read_split(split, collections)
    return [hashed_parts(collection, seed) for collection in collections]


def hashed_parts(collection: Collection, seed: int) -> list[str]:
    """Return the part of every row by the hash of its key.

    A tenth of the keys validates, or a fifth if the collection has fewer than `FEW_ROWS` rows. Otherwise the
    part depends only on the key and the seed.
    """
    share = 0.2 if len(collection.rows) < FEW_ROWS else 0.1
    return ["validation" if _held_out(row.key, share, seed) else "train" for row in collection.rows]


def _held_out(key: str, share: float, seed: int) -> bool:
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < share


def stratified_parts(
    collection: Collection, by_person: bool, shares: Mapping[str, float], seed: int
) -> list[str]:
    """Return the part of every row. Each part gets its share of every mask state, gender and age band.

    Units are whole people or scenes, or single pictures. They are assigned one by one, starting with those
    that have the most rows. Each goes to the part that stays closest to its share of every combination of
    labels. This is greedy iterative stratification (Sechidis et al. 2011, "On the Stratification of
    Multi-Label Data"), applied to groups.

    Args:
        by_person: keep rows of one key together. Otherwise only rows of one picture stay together.
        shares: shares of "validation" and "test", from 0 to 1. The rest trains.
        seed: decides the order of units with equally many rows.

    Raises:
        DataError: nothing would be left to train on.
    """
    share = np.array([1 - sum(shares.values()), *(shares[part] for part in PARTS[1:])])
    if share[0] <= 0 or (share < 0).any():
        raise DataError(
            "nothing is left to train on: the shares of validation and test must sum to less than 1."
        )
    unit_of: dict[str, int] = {}
    units = np.array(
        [
            unit_of.setdefault(row.key if by_person else str(row.image), len(unit_of))
            for row in collection.rows
        ]
    )
    counts = _counts(collection.rows, units, len(unit_of))
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order, 0], kind="stable")]
    dealt = _deal(counts, order, share)
    return [PARTS[part] for part in dealt[units]]


def _counts(rows: Sequence[Row], units: NDArray[np.int64], many: int) -> NDArray[np.float64]:
    """Count each unit's rows, in total, by label and by combination of labels: (units, columns)."""
    columns: dict[object, int] = {"all": 0}
    of_row = [
        [columns.setdefault(label, len(columns)) for label in ("all", *_labels(row))] for row in rows
    ]  # (rows, 5)
    counts = np.zeros((many, len(columns)))
    np.add.at(counts, (units[:, None], np.array(of_row)), 1)
    return counts


def _labels(row: Row) -> tuple[object, ...]:
    combined = (row.mask, row.gender, row.age)
    return ("mask", row.mask), ("gender", row.gender), ("age", row.age), combined


def _deal(
    counts: NDArray[np.float64], order: NDArray[np.int64], share: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Assign each unit to the part with the lowest cost.

    The cost is the change of the part's squared distance from its quotas. The size of a part weighs as much
    as all labels together. Otherwise the few people with rare labels would all end up in the training part.
    """
    quota = share[:, None] * counts.sum(0)  # (parts, columns)
    weight = np.where(quota > 0, 1 / np.maximum(quota, 1e-9), 0)
    weight[:, 0] *= counts.shape[1] - 1
    missing = quota.copy()
    dealt = np.zeros(len(counts), np.int64)
    for unit in order:
        cost = (weight * counts[unit] * (counts[unit] - 2 * missing)).sum(1)
        cost[share == 0] = np.inf
        dealt[unit] = int(cost.argmin())
        missing[dealt[unit]] -= counts[unit]
    return dealt


def image_name(collection: Collection, row: Row) -> str:
    """Return a picture's name in a split file, its path from the collection's folder with forward slashes."""
    return relative(row.image, collection.folder)


def write_split(path: Path, collections: Sequence[Collection], parts: Sequence[Sequence[str]]) -> None:
    """Write a split file atomically, with the columns `collection,image,part` and one line per picture.

    Raises:
        OutputError: the file cannot be written.
    """
    lines = {
        (collection.name, image_name(collection, row)): part
        for collection, of_rows in zip(collections, parts, strict=True)
        for row, part in zip(collection.rows, of_rows, strict=True)
    }
    write_table(path, [COLUMNS, *((*name, part) for name, part in lines.items())])


def read_split(path: Path, collections: Sequence[Collection]) -> list[list[str]]:
    """Return the part of every row of every collection, from a file that `write_split` wrote.

    Raises:
        DataError: the file cannot be read, a line has no part, or a picture is not in it.
    """
    listed = _read_lines(path)
    parts = []
    for collection in collections:
        names = [image_name(collection, row) for row in collection.rows]
        missing = dict.fromkeys(name for name in names if (collection.name, name) not in listed)
        if missing:
            known = ", ".join(sorted({name for name, _ in listed})) or "none"
            raise DataError(
                f"{path}: {len(missing)} pictures of {collection.name} are not in it, such as "
                f"{next(iter(missing))} (it lists the collections: {known}); "
                "create it again with `gatecam data split`."
            )
        parts.append([listed[collection.name, name] for name in names])
    return parts


def _read_lines(path: Path) -> dict[tuple[str, str], str]:
    listed: dict[tuple[str, str], str] = {}
    for where, line in read_lines(path, COLUMNS, "a split file"):
        name = line["collection"], line["image"]
        if line["part"] not in PARTS:
            raise DataError(f"{where}: expected {' or '.join(PARTS)}, got {line['part']!r}; fix it.")
        if listed.setdefault(name, line["part"]) != line["part"]:
            raise DataError(f"{where}: {name[1]} is in two parts; keep one of its lines.")
    return listed
