"""Run `gatecam replay`, which turns recorded video into events, an annotated video and a summary."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatecam.cli.options import BlurOption, ConfigOption, missing_of, say_loading
from gatecam.errors import SourceError
from gatecam.runtime.outputs import numbered, require_apart, require_folder

if TYPE_CHECKING:
    from gatecam.app import Replay
    from gatecam.live.window import Window
    from gatecam.notify.jsonl import JsonLinesSink
    from gatecam.pictures.drawn import DrawnSteps
    from gatecam.settings.schema import Config

STEPS_AHEAD = 8


@dataclass(frozen=True, slots=True)
class _Job:
    """Holds a video, its camera name, and the annotated video to write."""

    path: Path
    camera: str
    drawn: Path | None


def replay(
    videos: Annotated[
        list[Path], typer.Argument(metavar="VIDEO...", help="Video files, GIFs or folders of pictures.")
    ],
    events: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the events, one JSON object per line.")
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option(metavar="OUT.mp4", help="Write an annotated video. For several videos: OUT-NAME.mp4."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="OUT.jpg", help="Write one picture with the frames of all events.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show a window. Press q or Esc to end.")] = False,
    blur: BlurOption = None,
    config: ConfigOption = None,
) -> None:
    """Process every frame of recorded video, and give the events that a live camera would have given."""
    missing = missing_of(videos)
    if len(missing) == len(videos):  # if only some are missing, the others are replayed
        raise SourceError("\n".join(missing))
    from gatecam.settings.loading import load

    settings = load(config).config
    jobs = _jobs(videos, video)
    outputs = [path for path in (events, sheet, *(job.drawn for job in jobs)) if path]
    for job in jobs:
        if job.drawn is not None:
            require_folder(job.drawn)
    require_apart(outputs, videos)
    _require_one(settings, jobs)
    work = _Work(settings)
    failed = work.run(jobs, events, sheet, show, settings.privacy.blur_faces if blur is None else blur)
    if len(failed) < len(jobs):
        work.print_summary()
    if failed:
        raise SourceError("\n".join(failed))


def _jobs(videos: Sequence[Path], drawn: Path | None) -> list[_Job]:
    """Return a job per video. Camera names differ, and are added to the output's name for several videos."""
    cameras = numbered(path.resolve().name if path.is_dir() else path.stem for path in videos)
    if drawn is None:
        return [_Job(path, camera, None) for path, camera in zip(videos, cameras, strict=True)]
    from gatecam.pictures.video import require_video_name

    require_video_name(drawn)
    if len(videos) == 1:
        return [_Job(videos[0], cameras[0], drawn)]
    return [
        _Job(path, camera, drawn.with_name(f"{drawn.stem}-{camera}{drawn.suffix}"))
        for path, camera in zip(videos, cameras, strict=True)
    ]


def _require_one(config: Config, jobs: Sequence[_Job]) -> None:
    """Check before the networks load that at least one recording can be opened.

    Raises:
        SourceError: none can. The error has a sentence for each.
    """
    from gatecam.capture.recording import open_recording

    failed = []
    for job in jobs:
        if job.path.exists() and not (job.path.is_file() or job.path.is_dir()):
            return  # the bytes of a pipe can be read only once
        try:
            with open_recording(job.path, config.replay.image_fps, job.camera):
                return
        except SourceError as error:
            failed.append(str(error))
    raise SourceError("\n".join(failed))


class _Work:
    """Holds what the videos of one call share."""

    def __init__(self, config: Config) -> None:
        from gatecam.people.pipeline import People
        from gatecam.runtime.telemetry import Telemetry

        self._config = config
        self._people, self._telemetry = People(), Telemetry()
        self._notes: list[str] = []
        self._is_quit = False  # the user has closed the window

    def run(
        self, jobs: Sequence[_Job], events: Path | None, sheet: Path | None, show: bool, blur: bool
    ) -> list[str]:
        """Replay every video, and return a sentence for each that cannot be read."""
        from gatecam.app import build_analyzer, build_finder, open_replay
        from gatecam.live.window import open_window
        from gatecam.notify.jsonl import JsonLinesSink
        from gatecam.pictures.drawn import ContactSheet, DrawnSteps

        failed = []
        with ExitStack() as stack:
            log = stack.enter_context(closing(JsonLinesSink(events))) if events else None
            moments = stack.enter_context(ContactSheet(sheet, several=len(jobs) > 1)) if sheet else None
            written = {"events": events, "contact sheet": sheet}
            self._notes += [f"{what}: {path}" for what, path in written.items() if path]
            window = open_window(stack) if show else None
            say_loading()
            analyzer = build_analyzer(self._config, self._telemetry)
            is_drawn = any((sheet, *(job.drawn for job in jobs)))
            finder = build_finder(self._config) if blur and is_drawn else None
            self._notes.append(f"networks: on {analyzer.device}: {analyzer.reason}")
            for job in jobs:
                try:
                    with open_replay(self._config, job.path, analyzer, self._telemetry, job.camera) as replay:
                        fps, geometry = replay.recording.fps, self._config.detector
                        drawn = DrawnSteps(job.drawn, fps, moments, finder, geometry) if is_drawn else None
                        self._run_one(replay, drawn, log, window)
                        self._note(job, replay.recording.loss)
                except SourceError as error:
                    failed.append(str(error))
                if self._is_quit:
                    break
        return failed

    def _run_one(
        self, replay: Replay, drawn: DrawnSteps | None, log: JsonLinesSink | None, window: Window | None
    ) -> None:
        from gatecam.capture.prefetch import prefetch
        from gatecam.pictures.draw import Banner, annotate
        from gatecam.runtime.progress import progress

        recording, banner, steps = replay.recording, Banner(), replay.steps
        with ExitStack() as stack:
            if drawn is not None:
                stack.enter_context(drawn)
            tick = stack.enter_context(progress(recording.path.name, recording.expected_frames, "frames"))
            if drawn is not None:  # the next steps are analyzed while one is drawn
                steps = stack.enter_context(closing(prefetch(steps, STEPS_AHEAD, attrgetter("frame.pixels"))))
            for done, step in enumerate(steps, start=1):
                self._people.add(step)
                if log is not None:
                    for event in step.events:
                        log.send(event)
                text = banner.update(step)
                if window:  # shows faces as they are, because it stays on this machine
                    picture = annotate(step, banner=text, geometry=self._config.detector)
                    self._is_quit = not window.show(picture)
                if drawn is not None:
                    drawn.add(step, text)
                tick(done)
                if self._is_quit:
                    break

    def _note(self, job: _Job, loss: str | None) -> None:
        if job.drawn:
            self._notes.append(f"video: {job.drawn}")
        if loss:
            self._notes.append(f"{job.path}: {loss}")

    def print_summary(self) -> None:
        """Print who came, how long frames took, and what was written."""
        from gatecam.cli.summary import print_latencies, print_people, print_searches, seconds
        from gatecam.runtime.console import open_console

        console = open_console()
        print_people(console, self._people, seconds)
        print_latencies(console, self._telemetry.latencies())
        print_searches(console, self._telemetry)
        for line in self._notes:
            console.print(line, soft_wrap=True)
