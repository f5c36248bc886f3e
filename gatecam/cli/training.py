"""Floor 6: the work of `gatecam train` and `gatecam evaluate`: the same faces, split the same way."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gatecam.cli.progress import progress
from gatecam.errors import OutputError
from gatecam.training.data import Faces, Row, load_faces, read_ilc, read_utkface
from gatecam.training.learn import CROP, Recipe, Report, Sampler, Trainer, fit_temperature
from gatecam.training.score import MIN_FACE_PX, HeadScore, logits_of, score_head, scored
from gatecam.vision.backbone import MobileFaceNet
from gatecam.vision.classifier import load_classifier
from gatecam.vision.crops import CropSpec
from gatecam.vision.weights import ModelSpec, save_weights

ILC_HELD_OUT, UTKFACE_HELD_OUT = 0.2, 0.1  # parts of the groups, and of the pictures
LICENCE = (
    "Research and evaluation only: UTKFace is for non-commercial research, "
    "and ILC and the starting weights come without stated terms."
)


@dataclass(frozen=True, slots=True)
class Splits:
    """Training and held-out faces of both collections; the held-out ones are those a score is stated for."""

    ilc: Faces
    utkface: Faces
    ilc_held_out: Faces
    utkface_held_out: Faces


def train_and_save(
    ilc: Path, utkface: Path, out: Path, start: Path | None, run: Path, recipe: Recipe, split_seed: int
) -> None:
    """Train, calibrate and score on held-out faces, write weights and spec, print the scores."""
    _require_folder(out)
    splits = _load(ilc, utkface, run, split_seed)
    trainer = Trainer(Sampler(splits.ilc, splits.utkface, recipe), recipe, start, run)
    with progress("train", None, "batches") as tick:

        def report(at: Report) -> None:
            tick(
                at.epoch * at.steps + at.step,
                at.epochs * at.steps,
                f"epoch {at.epoch + 1}, loss {at.loss:.3f}",
            )

        trainer.train(report)
    scores, temperature = _score(trainer.model, splits, CROP, None)
    spec = ModelSpec(
        name=out.stem,
        architecture="mobilefacenet-gap-3heads",
        crop=CROP,
        temperature=temperature,
        data=[
            f"ILC, {len(splits.ilc)} faces",
            f"UTKFace, {len(splits.utkface)} faces",
            "masks drawn on UTKFace",
        ],
        scores={**asdict_of(scores), "recipe": asdict(recipe), "split_seed": split_seed},
        licence=LICENCE,
    )
    saved = save_weights(out, trainer.model.state_dict(), spec)
    print_scores(scores)
    print(f"weights: {out} (sha256 {saved.sha256[:12]}…), spec: {out.with_suffix('.json')}")


def evaluate_and_print(
    ilc: Path, utkface: Path, weights: str, json_file: Path | None, run: Path, split_seed: int
) -> None:
    """Score weights with the temperature of their spec, on the faces that `train` held out."""
    if json_file is not None:
        _require_folder(json_file)
    model, spec = load_classifier(weights)
    splits = _load(ilc, utkface, run, split_seed)
    scores, _ = _score(model, splits, spec.crop, spec.temperature)
    print_scores(scores)
    if json_file is not None:
        json_file.write_text(json.dumps(asdict_of(scores), indent=2) + "\n", encoding="utf-8")
        print(f"scores: {json_file}")


def _require_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise OutputError(f"{path}: its folder does not exist; make it, or choose another name.")


def _load(ilc: Path, utkface: Path, run: Path, split_seed: int) -> Splits:
    cut = {}
    for name, rows in (("ilc", read_ilc(ilc)), ("utkface", read_utkface(utkface))):
        cut[name] = _cut(name, rows, run)
    ilc_train, ilc_held_out = cut["ilc"].split(ILC_HELD_OUT, split_seed)
    utkface_train, utkface_held_out = cut["utkface"].split(UTKFACE_HELD_OUT, split_seed)
    return Splits(ilc_train, utkface_train, scored(ilc_held_out), utkface_held_out)


def _cut(name: str, rows: list[Row], run: Path) -> Faces:
    with progress(f"cut {name}", None, "pictures") as tick:
        faces, skipped = load_faces(rows, tick, run / f"{name}.npz")
    for picture in skipped:
        print(f"gatecam: skipped {picture.reason}", file=sys.stderr)
    return faces


def _score(
    model: MobileFaceNet, splits: Splits, crop: CropSpec, temperature: Mapping[str, float] | None
) -> tuple[list[HeadScore], dict[str, float]]:
    """Each head's score on its held-out faces; without temperatures, those that fit these faces best."""
    sets = (("ILC", splits.ilc_held_out, ("mask",)), ("UTKFace", splits.utkface_held_out, ("gender", "age")))
    scores, fitted = [], {}
    for name, faces, heads in sets:
        with progress(f"score {name}", len(faces), "faces") as tick:
            logits = logits_of(model, faces, crop, tick)
        for head in heads:
            labels = getattr(faces, head)
            fitted[head] = temperature[head] if temperature else fit_temperature(logits[head], labels)
            scores.append(score_head(head, logits[head], labels, fitted[head]))
    return scores, fitted


def asdict_of(scores: list[HeadScore]) -> dict[str, object]:
    """The scores by head, for JSON."""
    return {score.head: asdict(score) for score in scores}


def print_scores(scores: list[HeadScore]) -> None:
    """A table of the heads, and one of each head's labels."""
    console = Console()
    heads = Table(title=f"Held-out faces (mask: ILC, {MIN_FACE_PX} px and more, not suspect; else UTKFace)")
    labels = Table(title="By label")
    for name in ("head", "faces", "macro-F1", "accuracy", "ECE"):
        heads.add_column(name)
    for name in ("head", "label", "recall", "precision"):
        labels.add_column(name)
    for s in scores:
        heads.add_row(s.head, str(s.faces), f"{s.macro_f1:.3f}", f"{s.accuracy:.3f}", f"{s.ece:.3f}")
        for label in s.recall:
            labels.add_row(s.head, label, f"{s.recall[label]:.3f}", f"{s.precision[label]:.3f}")
    console.print(heads)
    console.print(labels)
