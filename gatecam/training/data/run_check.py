"""Run `gatecam data check`, which finds damaged files, duplicates, leaks and doubtful labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer
from rich.console import Console

from gatecam.runtime.outputs import require_apart, require_folder
from gatecam.runtime.progress import progress
from gatecam.training.console import table
from gatecam.training.data.check import (
    SPOILING,
    Finding,
    Kind,
    duplicate_findings,
    file_findings,
    label_findings,
    listed_findings,
    person_findings,
    pictures_of,
    spoils,
    write_findings,
)
from gatecam.training.data.check_duplicates import find_duplicates
from gatecam.training.data.check_files import examine_pictures
from gatecam.training.data.check_labels import contradictions, features_of
from gatecam.training.data.check_page import write_check_page
from gatecam.training.data.layouts import open_collections
from gatecam.training.data.loading import load_all
from gatecam.training.data.rows import HEAD_LABELS, UNKNOWN, Collection
from gatecam.training.data.split import parts_of
from gatecam.training.extras import require
from gatecam.vision.classifier import load_classifier

FIRST = 5  # findings of each kind that the terminal shows
PICTURES = 3  # pictures named for each finding
SPLIT_SEED = 0  # the default seed of `train` and `evaluate`


def check_and_print(
    data: Sequence[Path],
    split: Path | None,
    page: Path,
    csv_file: Path | None,
    labels: bool,
    weights: str,
    folds: int,
    cache: Path,
) -> None:
    """Check the collections, write the page and print the counts.

    Raises:
        typer.Exit: some findings make scores untrustworthy. The exit code is 1.
        OutputError: a file cannot be written.
        MissingExtraError: labels are checked and scikit-learn is not installed.
    """
    outputs = [page, *([csv_file] if csv_file else [])]
    for path in outputs:
        require_folder(path)
    require_apart(outputs, [*data, *([split] if split else [])])
    if labels:
        require("sklearn", "Checking labels")
    collections = open_collections(data)
    parts = parts_of(collections, split, SPLIT_SEED)
    findings = _findings_of_pictures(collections, parts)
    if labels:
        findings += _findings_of_labels(data, collections, parts, weights, folds, cache)
    findings.sort(key=lambda finding: list(Kind).index(finding.kind))
    write_check_page(page, findings, _checked(collections, split), labels)
    if csv_file is not None:
        write_findings(csv_file, findings)
    _print(findings, outputs)
    if spoils(findings):
        raise typer.Exit(1)


def _findings_of_pictures(collections: Sequence[Collection], parts: Sequence[Sequence[str]]) -> list[Finding]:
    pictures = pictures_of(collections, parts)
    with progress("open", len(pictures), "pictures") as tick:
        examined = examine_pictures([picture.path for picture in pictures], tick)
    with progress("compare", None, "pairs") as tick:
        pairs = find_duplicates(np.stack([one.grey for one in examined]), tick)
    return [
        *listed_findings(collections),
        *file_findings(pictures, examined),
        *duplicate_findings(pictures, pairs),
        *person_findings(collections, parts),
    ]


def _findings_of_labels(
    data: Sequence[Path],
    collections: Sequence[Collection],
    parts: Sequence[Sequence[str]],
    weights: str,
    folds: int,
    cache: Path,
) -> list[Finding]:
    """Return a finding for each contradicted label in the collections that have labels."""
    labelled = [i for i, collection in enumerate(collections) if _has_labels(collection)]
    if not labelled:
        return []
    network, spec = load_classifier(weights)
    loaded = [faces for _, faces in load_all([data[i] for i in labelled], cache)]
    places, features = [], []
    for i, faces in zip(labelled, loaded, strict=True):
        rows = faces.rows.tolist()
        places += [(collections[i], collections[i].rows[row], parts[i][row]) for row in rows]
        with progress(f"judge {collections[i].name}", len(faces), "faces") as tick:
            features.append(features_of(network, faces, spec.crop, tick))
    keys = np.array([f"{collection.name}:{row.key}" for collection, row, _ in places])
    stacked = np.concatenate(features)
    contradicted = {}
    with progress("contradictions", len(HEAD_LABELS), "heads") as tick:
        for done, head in enumerate(HEAD_LABELS, 1):
            given = np.concatenate([getattr(faces, head) for faces in loaded])
            contradicted[head] = contradictions(stacked, given, keys, folds)
            tick(done)
    return label_findings(places, contradicted)


def _has_labels(collection: Collection) -> bool:
    return any((row.mask, row.gender, row.age) != (UNKNOWN,) * 3 for row in collection.rows)


def _checked(collections: Sequence[Collection], split: Path | None) -> str:
    what = ", ".join(f"{c.name} ({c.layout}, {len(c.rows)} faces)" for c in collections)
    parts = f"from the split {split.name}" if split else "by hash, as in train without a split file"
    return f"Checked: {what}. The parts are assigned {parts}."


def _print(findings: Sequence[Finding], outputs: Sequence[Path]) -> None:
    console = Console()
    by_kind = {kind: [f for f in findings if f.kind == kind] for kind in Kind}
    counts = [
        (kind, len(of_kind), "yes" if kind in SPOILING and of_kind else "")
        for kind, of_kind in by_kind.items()
    ]
    console.print(table("Found", ("what", "count", "spoils scores"), counts))
    for kind, of_kind in by_kind.items():
        for finding in of_kind[:FIRST]:
            named = [f"{place.collection}: {place.image}" for place in finding.places]
            where = ", ".join(
                [*named[:PICTURES], *([f"{len(named) - PICTURES} more"] * (len(named) > PICTURES))]
            )
            console.print(f"{kind}: {where}: {finding.detail}", markup=False, highlight=False, soft_wrap=True)
    for path in outputs:
        print(f"written: {path}")
