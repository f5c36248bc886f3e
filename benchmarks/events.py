"""Measure whether the right person is told the right thing: `make bench-events WORDS="--scenes 200"`.

Drawn scenes, the clip of `make demo`, and the clips in ../shared/data/videos if they are there, are compared
with their truth as `gatecam evaluate-events` does. `--faces` takes faces.csv from `gatecam data label`, of
pictures of one face each. Without it everybody has the face of the tests' portrait. `--keep` keeps videos and
truth in a folder, and does not draw again what is there. The same seed draws the same scenes. `--standing`
also shows a calm second of each clip for a minute, and portraits, to see who stays a person.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections import defaultdict
from itertools import count
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.drawn_people import read_faces
from benchmarks.scenes import COLUMNS, KINDS, Stage
from benchmarks.standing import Stood, all_stood
from gatecam.app import build_analyzer
from gatecam.bench.events.page import page_of
from gatecam.bench.events.report import summarize
from gatecam.bench.events.run import as_json, evaluate_clips, print_scores
from gatecam.bench.events.score import ClipScore
from gatecam.bench.events.truth import Truth, read_truth
from gatecam.capture.found import list_pictures
from gatecam.errors import GatecamError
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.console import open_console
from gatecam.runtime.progress import progress
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.loading import load
from gatecam.settings.schema import Config
from gatecam.training.console import table
from tests.clips import write_demo

VIDEOS = ROOT.parent / "shared" / "data" / "videos"
TRUTH = Path(__file__).with_name("events-truth.csv")


def main() -> None:
    asked = parser().parse_args()
    config = load(asked.config).config
    with tempfile.TemporaryDirectory() as made:
        folder = asked.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        drawn, truth = draw(folder, asked)
        clips = [*drawn, *given(folder, asked.videos)]
        known = read_truth(TRUTH)
        analyzer = build_analyzer(config, Telemetry())
        scores = evaluate(config, clips, Truth({**truth.clips, **known.clips}), analyzer)
    of_kind = defaultdict(list)
    for path, score in zip(clips, scores, strict=True):
        of_kind[path.stem.split("-")[0] if path in drawn else "clips"].append(score)
    print_scores(summarize(scores), scores)
    print_kinds(of_kind)
    if asked.standing:
        print_stood(all_stood(config, analyzer, asked.videos))
    if asked.json is not None:
        asked.json.write_text(json.dumps(as_json(summarize(scores), scores), indent=1) + "\n")
    if asked.page is not None:
        page_of(summarize(scores), scores).write(asked.page)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--scenes", type=int, default=28)
    made.add_argument("--first", type=int, default=0, help="number of the first scene of the seed")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--kinds", nargs="*", choices=list(KINDS), default=list(KINDS))
    made.add_argument("--faces", type=Path, help="faces.csv from `gatecam data label`")
    made.add_argument("--backgrounds", type=Path, nargs="*", default=[], help="pictures of empty rooms")
    made.add_argument("--keep", type=Path, help="folder for videos and truth")
    made.add_argument("--videos", type=Path, default=VIDEOS, help="folder of the shared clips")
    made.add_argument("--standing", action="store_true", help="also measure who stands still for a minute")
    made.add_argument("--config", type=Path)
    made.add_argument("--page", type=Path)
    made.add_argument("--json", type=Path)
    return made


def draw(folder: Path, asked: argparse.Namespace) -> tuple[list[Path], Truth]:
    """Draw the scenes that the folder lacks."""
    backgrounds = list_pictures(asked.backgrounds)
    stage = Stage(read_faces(asked.faces), asked.seed, backgrounds)
    paths, truths = [], []
    numbers = (n for n in count(asked.first) if list(KINDS)[n % len(KINDS)] in asked.kinds)
    with progress("draw", asked.scenes, "scenes") as tick:
        for done, number in zip(range(1, asked.scenes + 1), numbers, strict=False):
            name = stage.name(number)
            path, truth = folder / f"{name}.mp4", folder / f"{name}.csv"
            if not truth.exists():
                with truth.with_suffix(".part").open("w", newline="", encoding="utf-8") as file:
                    csv.writer(file).writerows([COLUMNS, *stage.scene(number).write(folder)])
                truth.with_suffix(".part").rename(truth)
            paths.append(path)
            truths.append(truth.read_text(encoding="utf-8"))
            tick(done)
    whole = folder / "truth.csv"
    bodies = [text.split("\n", 1)[1] for text in truths]
    whole.write_text(",".join(COLUMNS) + "\n" + "".join(bodies), encoding="utf-8")
    return paths, read_truth(whole)


def given(folder: Path, videos: Path) -> list[Path]:
    """The demo's clip, and the shared clips if they are there."""
    demo = folder / "demo.mp4"
    if not demo.exists():
        write_demo(demo)
    shared = [videos / name for name in read_truth(TRUTH).clips if (videos / name).exists()]
    return [demo, *shared]


def evaluate(config: Config, clips: list[Path], truth: Truth, analyzer: FaceAnalyzer) -> list[ClipScore]:
    with progress("replay", len(clips), "clips") as tick:
        return evaluate_clips(config, clips, truth, analyzer, tick)


def print_kinds(of_kind: dict[str, list[ClipScore]]) -> None:
    """Print a row for each kind of scene."""
    columns = (
        "people",
        "alerts",
        "wrong",
        "repeated",
        "thanks",
        "wrong",
        "posters told",
        "alert after change, s",
        "thanks, s",
    )
    rows = []
    for kind, scores in of_kind.items():
        s = summarize(scores)
        pairs = (
            s.alerts_right,
            s.alerts_wrong,
            s.alerts_repeated,
            s.thanks_right,
            s.thanks_wrong,
            s.posters_told,
        )
        right, wrong, repeated, thanks, bad, posters = pairs
        rows.append(
            (
                kind,
                s.people,
                f"{right.count}/{right.of}",
                wrong.count,
                repeated.count,
                f"{thanks.count}/{thanks.of}",
                bad.count,
                f"{posters.count}/{posters.of}",
                *(
                    "" if one.median_s is None else f"{one.median_s:.2f} … {one.worst_s:.2f}"
                    for one in (s.change, s.put_on)
                ),
            )
        )
    open_console().print(table("By kind of scene", ("kind", *columns), rows))


def print_stood(stood: list[Stood]) -> None:
    """Print a row for each clip and portrait that was shown for a minute."""
    rows = [
        (
            one.name,
            "never" if one.from_s is None else f"from {one.from_s:.1f} s",
            f"{one.person_share:.1%}",
            one.lapses,
            ", ".join(one.events),
        )
        for one in stood
    ]
    columns = ("shown for a minute", "person", "of the frames since", "lapses", "events")
    open_console().print(table("Who stands still", columns, rows))


if __name__ == "__main__":
    try:
        main()
    except GatecamError as error:
        sys.exit(str(error))
