"""Run `gatecam bench`: measure the parts, and write tables, a page and a file of figures."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.table import Table

import gatecam
from gatecam.app import build_analyzer
from gatecam.bench import page as pages
from gatecam.bench.result import CAPTURE, CLIP_PARTS, Clip, Measure, Origin, Result, compare, read_result
from gatecam.capture.recording import open_recording
from gatecam.errors import ConfigError, DeviceError, SourceError
from gatecam.runtime.console import open_console
from gatecam.runtime.cores import set_threads, usable_cores
from gatecam.runtime.logs import say
from gatecam.runtime.outputs import require_apart, require_writable
from gatecam.runtime.progress import Tick, progress
from gatecam.runtime.stopping import stop_on_signals
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config, Device

PARTS = tuple(pages.TITLES)
TABLE = (
    "speed",
    "frame",
    "slowest",
    "time",
    "memory",
    "GPU memory",
    "batch p50",
    "batch p95",
)
WATCH_S = 3.0
NOTHING_DONE = "bench: stopped before a part was done. Nothing was written."
HASH_SHOWN = 12  # digits of the clip's hash that are stored


@dataclass(frozen=True, slots=True)
class Asked:
    """Holds the user's choices. Without `parts`, the bench measures everything that suits the clip."""

    video: Path | None
    device: str
    parts: str | None
    rounds: int
    json: Path | None
    page: Path
    chart: Path | None

    @property
    def outputs(self) -> list[Path]:
        """Return the files to write. The figures come first, because the others can be made from them."""
        return [path for path in (self.json, self.page, self.chart) if path is not None]


def measure_all(asked: Asked) -> None:
    """Measure, print the tables, and write figures, page and chart. An early stop writes the parts that are
    done.

    Raises:
        ConfigError: a part or device does not exist.
        DeviceError: the device does not work here.
        SourceError: the video cannot be read.
        OutputError: a file cannot be written. Most causes are found before the measurement.
    """
    wanted, clip = _parts(asked), _clip(asked.video)
    require_apart(asked.outputs, [asked.video] if asked.video else [])
    for path in asked.outputs:
        require_writable(path)
    set_threads()
    with stop_on_signals():
        try:
            backends = _backends(asked.device)
        except KeyboardInterrupt:
            say(NOTHING_DONE)
            raise
        work = _Work(asked, backends, clip)
        try:
            work.run(_possible(wanted, asked, backends))
        except BaseException:
            work.tell_of_early_end()
            raise
    work.write()


def _parts(asked: Asked) -> list[str]:
    """Return the parts to measure.

    Raises:
        ConfigError: a part does not exist, or none is given.
    """
    if asked.parts is None:
        if asked.video is None:
            return list(PARTS)
        others = ", ".join(part for part in PARTS if part not in CLIP_PARTS)
        print(
            f"{asked.video.name}: used for {' and '.join(CLIP_PARTS)}. Choose parts without a clip "
            f"with --parts: {others}"
        )
        return list(CLIP_PARTS)
    wanted = list(dict.fromkeys(part.strip() for part in asked.parts.split(",") if part.strip()))
    if strange := [part for part in wanted if part not in PARTS]:
        raise ConfigError(f"--parts: expected some of {', '.join(PARTS)}, got {strange[0]!r}")
    if not wanted:
        raise ConfigError(f"--parts: expected some of {', '.join(PARTS)}, got none")
    if asked.video is not None and (others := ", ".join(part for part in wanted if part not in CLIP_PARTS)):
        print(f"{others}: measured without {asked.video.name}, which only {' and '.join(CLIP_PARTS)} use")
    return wanted


def _possible(wanted: list[str], asked: Asked, backends: tuple[str, ...]) -> list[str]:
    """Return the parts that this machine can measure.

    Raises:
        ConfigError: there are none.
    """
    if "archive" not in wanted or "cuda" in backends:
        return wanted
    if asked.parts is not None:
        print("archive: skipped, because it needs a GPU")
    if wanted == ["archive"]:
        raise ConfigError(f"--parts: archive needs a GPU; choose some of {', '.join(PARTS[:-1])}")
    return [part for part in wanted if part != "archive"]


def _clip(video: Path | None) -> Clip | None:
    """Describe the clip so that it can be recognized.

    Raises:
        SourceError: it cannot be read.
    """
    if video is None:
        return None
    if video.is_dir():
        raise SourceError(f"{video}: is a folder; give --video a file.")
    recording = open_recording(video, Config().replay.image_fps)
    with recording as frames:
        height, width, _ = next(frames).image.shape
        count = recording.expected_frames
    with video.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:HASH_SHOWN]
    return Clip(video.name, count, f"{width} × {height}", digest)


def _backends(device: str) -> tuple[str, ...]:
    """Return the backends to measure, the fastest first.

    Raises:
        ConfigError: there is no such device.
        DeviceError: it does not work here.
    """
    from gatecam.vision.device import describe_cuda
    from gatecam.vision.openvino import describe_openvino

    if device == "all":
        works = {"cuda": describe_cuda()[0], "openvino": describe_openvino()[0], "cpu": True}
        return tuple(name for name, there in works.items() if there and _runs(name))
    if device not in get_args(Device):
        raise ConfigError(f"--device: expected all, {', '.join(get_args(Device))}, got {device!r}")
    analyzer = build_analyzer(Config(device=device), Telemetry())  # type: ignore[arg-type]
    print(f"device: {device} picks {analyzer.device}: {analyzer.reason}")
    return (analyzer.device,)


def _runs(name: str) -> bool:
    """Check whether the networks load on a backend, and print why not."""
    try:
        build_analyzer(Config(device=name), Telemetry())  # type: ignore[arg-type]
    except DeviceError as error:
        print(f"{name}: skipped: {error}")
        return False
    return True


class _Work:
    """Runs the parts, and holds what they have measured so far."""

    def __init__(self, asked: Asked, backends: tuple[str, ...], clip: Clip | None) -> None:
        from gatecam.bench.parts import Plan

        self._asked, self._clip = asked, clip
        self._plan = Plan(backends, asked.rounds, WATCH_S)
        self._date = datetime.now().astimezone().isoformat(" ", timespec="minutes")
        self._measures: list[Measure] = []
        self._done: list[str] = []

    def run(self, wanted: list[str]) -> None:
        """Measure parts one after the other."""
        for part in wanted:
            with progress(part, self._ticks_of(part), "rounds") as tick:
                self._measures += self._measure(part, _Counted(tick))
            self._done.append(part)

    def write(self) -> None:
        """Print the tables, and write the files that were asked for, the figures first."""
        asked = self._asked
        origin = Origin(gatecam.__version__, _commit(), self._date, asked.rounds, self._clip)
        result = Result(origin, machine(), tuple(self._measures))
        if asked.json:
            result.write(asked.json)
        _print(open_console(), result)
        if asked.json:
            print(f"figures: {asked.json}")
        pages.page_of(result).write(asked.page)
        print(f"page: {asked.page}")
        if asked.chart:
            pages.write_chart(result, asked.chart)
            print(f"chart: {asked.chart}")

    def tell_of_early_end(self) -> None:
        """Write the parts that are done, if any, and say which."""
        if not self._done:
            say(NOTHING_DONE)
            return
        self.write()
        say(f"bench: stopped early. The results contain only {', '.join(self._done)}.")

    def _ticks_of(self, part: str) -> int:
        """Return how often a part ticks."""
        from gatecam.bench.parts import RESOLUTIONS

        rounds = self._asked.rounds
        clips = 1 if self._asked.video else len(RESOLUTIONS)
        times = {"resolutions": clips, "archive": 2}
        return rounds * times.get(part, len(self._plan.backends))

    def _measure(self, part: str, tick: Callable[[], None]) -> list[Measure]:
        from gatecam.bench import parts
        from gatecam.bench.start import starts

        if part == "resolutions":
            return self._replays(tick)
        if part == "cameras":
            video = self._asked.video
            pictures = parts.drawn_camera() if video is None else parts.camera_of(video)
            return parts.cameras(self._plan, pictures, tick)
        work = {"faces": parts.by_faces, "start": starts, "archive": parts.archive}
        return work[part](self._plan, tick)

    def _replays(self, tick: Callable[[], None]) -> list[Measure]:
        from gatecam.bench.parts import CLIP_FRAMES, RESOLUTIONS
        from gatecam.bench.replays import resolutions
        from gatecam.bench.scene import write_clip

        if self._asked.video is not None:
            return resolutions(self._plan, {self._asked.video.name: self._asked.video}, tick)
        with tempfile.TemporaryDirectory() as folder:
            videos = {}
            for case, (width, height) in RESOLUTIONS.items():
                videos[case] = Path(folder) / f"{case}.mp4"
                write_clip(videos[case], width, height, 1, CLIP_FRAMES)
            return resolutions(self._plan, videos, tick)


class _Counted:
    """Counts rounds for a progress bar."""

    def __init__(self, tick: Tick) -> None:
        self._tick, self._done = tick, 0

    def __call__(self) -> None:
        """Count one more round."""
        self._done += 1
        self._tick(self._done)


def machine() -> dict[str, str]:
    """Return the machine and the libraries that affect speed, by name."""
    from gatecam.vision.device import describe_cuda, library_versions
    from gatecam.vision.openvino import describe_openvino

    works, gpu = describe_cuda()
    return {
        "processor": _processor(),
        "cores": str(usable_cores()),
        "GPU": gpu if works else "none",
        "Python": platform.python_version(),
        **library_versions(),
        "OpenVINO": describe_openvino()[1],
    }


def _commit() -> str:
    """Return git's name for the running sources, or "" if they are not in a clone."""
    folder = Path(gatecam.__file__).parents[1]
    if not (folder / ".git").exists():
        return ""
    words = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _print(console: Console, result: Result) -> None:
    for part in PARTS:
        measures = [one for one in result.of(part) if _is_short(one)]
        if not measures:
            continue
        console.print(pages.terminal_table(pages.title_of(part, result.origin.clip), measures))


def _is_short(one: Measure) -> bool:
    """Return whether a figure belongs in the terminal's table. The page shows all figures."""
    return one.figure in TABLE or one.figure.startswith(f"{CAPTURE} p")


def print_comparison(before: Path, after: Path) -> bool:
    """Print the figures of two runs side by side. Return whether they had any in common.

    Raises:
        ConfigError: a file was not written by `gatecam bench --json`.
    """
    runs = {"A": read_result(before), "B": read_result(after)}
    changes, doubts = compare(runs["A"], runs["B"])
    console = open_console()
    for name, run in runs.items():
        console.print(f"{name}: " + ", ".join(f"{what} {text}" for what, text in run.origin.named().items()))
    for part in PARTS:
        of_part = [one for one in changes if one.after.part == part]
        if not of_part:
            continue
        title = pages.title_of(part, runs["B"].origin.clip)
        table = Table("", "backend", "figure", "A", "B", "B / A", "", title=title, title_justify="left")
        for one in of_part:
            _, case, backend, figure = one.after.key
            values = (pages.number(one.before.median), pages.number(one.after.median))
            table.add_row(
                case, backend, f"{figure}, {one.after.unit}", *values, f"{one.ratio:.2f}", one.verdict
            )
        console.print(table)
    for text in doubts:
        console.print(text)
    if not changes:
        console.print("nothing to compare: the two have no figure in common")
    return bool(changes)
