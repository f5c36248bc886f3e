"""Floor 6: the work of `gatecam bench`: parts to tables, a page and a file of figures."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gatecam import __version__
from gatecam.app import set_threads
from gatecam.bench import page as pages
from gatecam.bench.result import Measure, Result, compare, read_result
from gatecam.cli.console import open_console
from gatecam.cli.progress import Tick, progress
from gatecam.config import Config
from gatecam.cores import usable_cores
from gatecam.errors import ConfigError, SourceError

PARTS = tuple(pages.TITLES)
TABLE = ("speed", "times the plain loop", "found", "frame", "slowest", "time", "times the bound", "memory")
WATCH_S = 4.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asked for."""

    video: Path | None
    device: str
    parts: str
    rounds: int
    json: Path | None
    page: Path
    chart: Path | None


def measure_all(asked: Asked) -> None:
    """Measure, print the tables, write the page.

    Raises:
        ConfigError: a part or device is none.
        DeviceError: the device does not work here.
        SourceError: the video cannot be read.
        OutputError: a file cannot be written.
    """
    wanted = [part.strip() for part in asked.parts.split(",") if part.strip()]
    for part in wanted:
        if part not in PARTS:
            raise ConfigError(f"--parts: expected some of {', '.join(PARTS)}, got {part!r}")
    if asked.video is not None and not asked.video.is_file():
        raise SourceError(f"{asked.video}: there is no such file; check the path.")
    set_threads()
    backends = _backends(asked.device)
    if backends[0] != "cuda":
        wanted = [part for part in wanted if part != "archive"]
    measures: list[Measure] = []
    work = _Work(asked, backends)
    for part in wanted:
        with progress(part, work.rounds_of(part), "rounds") as tick:
            measures += work.measure(part, tick)
    result = Result(__version__, machine(), tuple(measures))
    _print(open_console(), result)
    pages.page_of(result).write(asked.page)
    print(f"page: {asked.page}")
    if asked.json:
        result.write(asked.json)
        print(f"figures: {asked.json}")
    if asked.chart:
        pages.write_chart(result, asked.chart)
        print(f"chart: {asked.chart}")


def _backends(device: str) -> tuple[str, ...]:
    """The backends to measure, the fastest first.

    Raises:
        ConfigError: there is no such device.
        DeviceError: it does not work here.
    """
    from gatecam.vision.device import describe_cuda, pick_backend
    from gatecam.vision.openvino import describe_openvino

    if device == "all":
        works = {"cuda": describe_cuda()[0], "openvino": describe_openvino()[0], "cpu": True}
        return tuple(name for name, there in works.items() if there)
    if device not in ("auto", "cpu", "openvino", "cuda"):
        raise ConfigError(f"--device: expected all, auto, cpu, openvino or cuda, got {device!r}")
    return (pick_backend(device).name,)  # type: ignore[arg-type]


class _Work:
    """The parts of one run."""

    def __init__(self, asked: Asked, backends: tuple[str, ...]) -> None:
        from gatecam.bench.parts import Plan

        self._asked = asked
        self._plan = Plan(backends, asked.rounds, WATCH_S)

    def rounds_of(self, part: str) -> int:
        """How often a part ticks."""
        from gatecam.bench.parts import RESOLUTIONS

        backends, rounds = len(self._plan.backends), self._asked.rounds
        clips = 1 if self._asked.video else len(RESOLUTIONS)
        return {
            "resolutions": clips * rounds,
            "cameras": rounds,
            "networks": backends,
            "archive": 2 * rounds,
        }.get(part, backends * rounds)

    def measure(self, part: str, tick: Tick) -> list[Measure]:
        """Measure one part."""
        from gatecam.bench import parts

        done = _Counted(tick)
        if part == "resolutions":
            return self._resolutions(done)
        if part == "networks":
            return parts.networks(self._plan, Config(), done)
        work = {"faces": parts.by_faces, "cameras": parts.cameras, "start": parts.starts}
        return work.get(part, parts.archive)(self._plan, done)

    def _resolutions(self, tick: Callable[[], None]) -> list[Measure]:
        from gatecam.bench.parts import CLIP_FRAMES, RESOLUTIONS, resolutions
        from gatecam.bench.scene import write_clip

        if self._asked.video is not None:
            return resolutions(self._plan, {self._asked.video.name: self._asked.video}, None, tick)
        with tempfile.TemporaryDirectory() as folder:
            videos = {}
            for case, (width, height) in RESOLUTIONS.items():
                videos[case] = Path(folder) / f"{case}.mp4"
                write_clip(videos[case], width, height, 1, CLIP_FRAMES)
            return resolutions(self._plan, videos, 1, tick)


class _Counted:
    """Tells a progress bar of one more round."""

    def __init__(self, tick: Tick) -> None:
        self._tick, self._done = tick, 0

    def __call__(self) -> None:
        """One more is done."""
        self._done += 1
        self._tick(self._done)


def machine() -> dict[str, str]:
    """The machine and the libraries that speed hangs on, by name."""
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


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _print(console: Console, result: Result) -> None:
    for part, title in pages.TITLES.items():
        measures = [one for one in result.of(part) if _is_short(one)]
        if not measures:
            continue
        header, rows = pages.rows_of(measures)
        table = Table(*header, title=title, title_justify="left")
        for row in rows:
            table.add_row(*row)
        console.print(table)


def _is_short(one: Measure) -> bool:
    """Whether a figure stands in the terminal's table; the page has all."""
    named = one.figure in TABLE or one.case == "this machine"
    return named or one.figure in ("p50", "p95", "p99") or (one.figure == "bound" and one.part == "networks")


def print_comparison(before: Path, after: Path) -> None:
    """Print the figures of two runs side by side.

    Raises:
        ConfigError: a file is none of `gatecam bench --json`.
    """
    changes, doubts = compare(read_result(before), read_result(after))
    console = open_console()
    for part, title in pages.TITLES.items():
        of_part = [one for one in changes if one.after.part == part]
        if not of_part:
            continue
        table = Table("", "backend", "figure", "A", "B", "B / A", "", title=title, title_justify="left")
        for one in of_part:
            _, case, backend, figure = one.after.key
            values = (pages.number(one.before.median), pages.number(one.after.median))
            table.add_row(
                case, backend, f"{figure}, {one.after.unit}", *values, f"{one.ratio:.2f}", one.verdict
            )
        console.print(table)
    for text in doubts:
        console.print(f"not the same: {text}")
