"""Implement `gatecam replay`: send steps to outputs, and print a summary at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from gatecam.app import Replay, build_analyzer, build_finder, open_replay
from gatecam.capture.prefetch import prefetch
from gatecam.capture.recording import open_recording
from gatecam.cli.inputs import say_loading
from gatecam.cli.summary import print_latencies, print_people, print_searches, seconds
from gatecam.errors import SourceError
from gatecam.live.window import Window, open_window
from gatecam.notify.jsonl import JsonLinesSink
from gatecam.people.pipeline import People
from gatecam.pictures.blur import Cover
from gatecam.pictures.draw import MAX_MOMENTS, Banner, annotate, contact_sheet, save_image, thumbnail
from gatecam.pictures.messages import BannerText
from gatecam.pictures.video import VideoWriter, require_video_name
from gatecam.ports import FaceFinder
from gatecam.runtime.console import open_console
from gatecam.runtime.outputs import numbered, require_apart, require_folder
from gatecam.runtime.progress import progress
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config
from gatecam.types import Box, Event, Image, Step

STEPS_AHEAD = 8
Known = tuple[Step, BannerText | None, tuple[Box, ...]]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Lists the files to write."""

    events: Path | None
    video: Path | None
    sheet: Path | None


@dataclass(frozen=True, slots=True)
class _Job:
    """Holds a video, its camera name, and the annotated video to write."""

    path: Path
    camera: str
    drawn: Path | None


def replay_all(
    config: Config, videos: Sequence[Path], outputs: Outputs, show: bool, blur: bool | None
) -> None:
    """Replay all readable videos, print the summary, and then report the unreadable ones.

    Raises:
        SourceError: some of `videos` cannot be read. The error has a sentence for each.
        OutputError: an output cannot be written, or would overwrite an input.
    """
    jobs = _jobs(videos, outputs.video)
    written = [outputs.events, outputs.sheet, *(job.drawn for job in jobs)]
    for job in jobs:
        if job.drawn is not None:
            require_folder(job.drawn)
    require_apart([path for path in written if path], videos)
    _require_one(config, jobs)
    work = _Work(config, outputs, config.privacy.blur_faces if blur is None else blur)
    failed = work.run(jobs, show)
    if len(failed) < len(jobs):
        console = open_console()
        print_people(console, work.people, seconds)
        print_latencies(console, work.telemetry.latencies())
        print_searches(console, work.telemetry)
        for line in work.notes:
            console.print(line, soft_wrap=True)
    if failed:
        raise SourceError("\n".join(failed))


def _jobs(videos: Sequence[Path], drawn: Path | None) -> list[_Job]:
    """Return a job per video. Camera names differ, and are added to the output's name for several videos."""
    cameras = numbered(path.resolve().name if path.is_dir() else path.stem for path in videos)
    if drawn is None:
        return [_Job(path, camera, None) for path, camera in zip(videos, cameras, strict=True)]
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

    def __init__(self, config: Config, outputs: Outputs, blur: bool) -> None:
        self._config, self._outputs = config, outputs
        self._blur = blur and bool(outputs.video or outputs.sheet)
        self._finder: FaceFinder | None = None
        self._moments: list[tuple[str, Image]] = []
        self._quit = self._several = False
        self.telemetry, self.people = Telemetry(), People()
        self.notes: list[str] = []

    def run(self, jobs: Sequence[_Job], show: bool) -> list[str]:
        """Replay every video, and return a sentence for each that cannot be read."""
        failed = []
        self._several = len(jobs) > 1
        with ExitStack() as stack:
            log = self._open_events(stack)
            self._open_sheet(stack)
            window = open_window(stack) if show else None
            say_loading()
            analyzer = build_analyzer(self._config, self.telemetry)
            if self._blur:
                self._finder = build_finder(self._config)
            self.notes.append(f"networks: on {analyzer.device}: {analyzer.reason}")
            for job in jobs:
                try:
                    with open_replay(self._config, job.path, analyzer, self.telemetry, job.camera) as replay:
                        self._run_one(replay, job.drawn, log, window)
                except SourceError as error:
                    failed.append(str(error))
                if self._quit:
                    break
        return failed

    def _run_one(
        self, replay: Replay, drawn: Path | None, log: JsonLinesSink | None, window: Window | None
    ) -> None:
        recording, banner = replay.recording, Banner()
        cover = Cover[BannerText | None](self._finder)
        with ExitStack() as stack:
            writer = stack.enter_context(VideoWriter(drawn, recording.fps)) if drawn else None
            stack.callback(lambda: self._write_all(cover.rest(), writer))  # also after Ctrl-C
            tick = stack.enter_context(progress(recording.path.name, recording.expected_frames, "frames"))
            for done, step in enumerate(self._ahead(replay, stack), start=1):
                self.people.add(step)
                for event in step.events:
                    if log:
                        log.send(event)
                text = banner.update(step.events, step.frame.time_s)
                self._show(step, text, window)
                self._write_all(cover.add(step, text), writer)
                tick(done)
                if self._quit:
                    break
        if drawn:
            self.notes.append(f"video: {drawn}")
        if recording.loss:
            self.notes.append(f"{recording.path}: {recording.loss}")

    def _ahead(self, replay: Replay, stack: ExitStack) -> Iterator[Step]:
        """Yield the steps. If they are drawn, the next ones are analyzed in the meantime."""
        if not (self._outputs.video or self._outputs.sheet):
            return replay.steps
        return stack.enter_context(closing(prefetch(replay.steps, STEPS_AHEAD, attrgetter("frame.pixels"))))

    def _open_events(self, stack: ExitStack) -> JsonLinesSink | None:
        if self._outputs.events is None:
            return None
        log = JsonLinesSink(self._outputs.events)
        stack.callback(log.close)
        self.notes.append(f"events: {self._outputs.events}")
        return log

    def _open_sheet(self, stack: ExitStack) -> None:
        """Write an empty contact sheet first, so that a wrong name is reported before the work starts."""
        if self._outputs.sheet:
            self._save_sheet(self._outputs.sheet)
            stack.callback(self._save_sheet, self._outputs.sheet)
            self.notes.append(f"contact sheet: {self._outputs.sheet}")

    def _save_sheet(self, path: Path) -> None:
        save_image(path, contact_sheet(self._moments))

    def _write_all(self, known: Iterable[Known], writer: VideoWriter | None) -> None:
        for step, text, boxes in known:
            self._write(step, text, boxes, writer)

    def _write(
        self, step: Step, banner: BannerText | None, blur: Sequence[Box], writer: VideoWriter | None
    ) -> None:
        """Draw a step for the video and the contact sheet."""
        wanted = bool(self._outputs.sheet and step.events and len(self._moments) < MAX_MOMENTS)
        if writer or wanted:
            picture = annotate(step, banner=banner, blur=blur, region=self._config.detector.region)
            if writer:
                writer.write(picture, step.frame.time_s)
            if wanted:
                self._moments.extend((self._caption(event), thumbnail(picture)) for event in step.events)

    def _show(self, step: Step, banner: BannerText | None, window: Window | None) -> None:
        """Draw a step for the window. Faces are not blurred, because the window stays on this machine."""
        if window and not window.show(annotate(step, banner=banner, region=self._config.detector.region)):
            self._quit = True

    def _caption(self, event: Event) -> str:
        """Return what happened, to whom and when, and for several videos also where, in a short line."""
        where = f"{event.camera}  " if self._several else ""
        return f"{where}{event.kind}  person {event.track_id}  {event.time_s:.2f} s"
