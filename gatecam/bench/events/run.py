"""Run `gatecam evaluate-events`: replay clips, and compare their events with what is true."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from gatecam.app import Replay, build_analyzer, open_replay
from gatecam.bench.events.page import page_of
from gatecam.bench.events.report import Summary, summarize
from gatecam.bench.events.score import ClipScore, Told, score_clip
from gatecam.bench.events.truth import Truth, read_truth
from gatecam.errors import DataError
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.files import write_output
from gatecam.runtime.outputs import require_apart, require_writable
from gatecam.runtime.progress import Tick, progress
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.loading import load
from gatecam.settings.schema import Config
from gatecam.training.console import table


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsRequest:
    """Holds the arguments of `gatecam evaluate-events`."""

    clips: Sequence[Path]
    truth: Path
    page: Path | None = None
    json_file: Path | None = None
    config: Path | None = None

    @property
    def outputs(self) -> list[Path]:
        """Return the files to write."""
        return [path for path in (self.json_file, self.page) if path is not None]


def evaluate_and_print(request: EventsRequest) -> None:
    """Replay clips, compare their events with the truth, and print and write the result.

    Raises:
        ConfigError: the settings cannot be used.
        DataError: the truth cannot be used, or lacks a clip.
        DeviceError: the device does not work here.
        ModelError: the weights cannot be used.
        OutputError: a file cannot be written.
        SourceError: a clip cannot be read.
    """
    config, truth = load(request.config).config, read_truth(request.truth)
    _require_truths(request, truth)
    require_apart(request.outputs, [*request.clips, request.truth])
    for path in request.outputs:
        require_writable(path)
    analyzer = build_analyzer(config, Telemetry())
    with progress("replay", len(request.clips), "clips") as tick:
        scores = evaluate_clips(config, request.clips, truth, analyzer, tick)
    summary = summarize(scores)
    print_scores(summary, scores)
    if request.json_file is not None:
        write_output(request.json_file, json.dumps(as_json(summary, scores), indent=1) + "\n")
    if request.page is not None:
        page_of(summary, scores).write(request.page)


def _require_truths(request: EventsRequest, truth: Truth) -> None:
    """Check before the networks load that each clip has a truth of its own."""
    names = [clip_name(path) for path in request.clips]
    for path, name in zip(request.clips, names, strict=True):
        if name not in truth.clips:
            raise DataError(
                f"{request.truth}: has no line with the clip {name}. Add one, or leave out {path}."
            )
        if names.count(name) > 1:
            raise DataError(f"{path}: another clip has the same name. Rename one, also in {request.truth}.")


def clip_name(path: Path) -> str:
    """Return the name of a clip in a truth: that of its file or folder."""
    return path.resolve().name if path.is_dir() else path.name


def evaluate_clips(
    config: Config,
    clips: Sequence[Path],
    truth: Truth,
    analyzer: FaceAnalyzer,
    tick: Tick | Callable[[int], None] = lambda done: None,
) -> list[ClipScore]:
    """Replay clips as `gatecam replay` does, and compare the events of each with its people.

    Raises:
        SourceError: a clip cannot be read.
    """
    scores = []
    for path in clips:
        name = clip_name(path)
        with open_replay(config, path, analyzer, Telemetry()) as replay:
            told = _told(replay)
        scores.append(score_clip(name, truth.clips[name], told, config.policy.cooldown_s))
        tick(len(scores))
    return scores


def _told(replay: Replay) -> list[Told]:
    told = []
    for step in replay.steps:
        boxes = {track.id: track.box for track in step.tracks}
        told += [Told(event, boxes.get(event.track_id)) for event in step.events]
    return told


def print_scores(summary: Summary, scores: Sequence[ClipScore]) -> None:
    """Print the figures, and a line for each fault."""
    Console().print(table("Events compared with what is true", ("figure", "value"), summary.rows()))
    for clip in scores:
        for fault in clip.faults():
            print(fault)


def as_json(summary: Summary, scores: Sequence[ClipScore]) -> dict[str, object]:
    """Return plain values: the figures, and each clip's events and faults."""
    return {
        "summary": summary.as_json(),
        "clips": [
            {
                "clip": clip.clip,
                "people": [person.name for person in clip.people],
                "events": [
                    {
                        "time_s": round(one.event.time_s, 3),
                        "kind": one.event.kind,
                        "person": one.person,
                        "mark": one.mark,
                    }
                    for one in clip.judged
                ],
                "faults": clip.faults(),
            }
            for clip in scores
        ],
    }
