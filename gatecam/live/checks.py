"""Check what gatecam needs on this machine, with advice (`gatecam doctor`).

Each check yields rows of a table. If it raises an error, that becomes a row that is not ok, so the table is
complete even on a broken machine. Versions are read without importing, unless only an import shows a fault.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gatecam import __version__
from gatecam.errors import ConfigError, GatecamError
from gatecam.runtime.cores import (
    allowed_cores,
    granted_cores,
    openmp_threads,
    set_openmp,
    set_threads,
    usable_cores,
)
from gatecam.runtime.display import display_available

if TYPE_CHECKING:
    from gatecam.ports import FaceAnalyzer
    from gatecam.settings.schema import Config


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one line of the table. gatecam cannot run without parts that are `essential`."""

    name: str
    ok: bool
    found: str
    advice: str = ""
    essential: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """Holds a part of the table. `essential` applies to the row for a check that raises an error."""

    name: str
    rows: Callable[[], Iterator[Row]]
    essential: bool = False


def checks(config_path: Path | None, build: Callable[[Config], FaceAnalyzer]) -> tuple[Check, ...]:
    """Return all checks in the order of the table.

    Args:
        config_path: the value of `--config`.
        build: builds the analyzer from the settings.
    """
    set_openmp()  # the other commands do this too before they load torch
    return (
        Check("Python", _python, essential=True),
        Check("libraries", _libraries, essential=True),
        Check("torch with torchvision", _torch_works, essential=True),
        Check("settings", lambda: _settings(config_path), essential=True),
        Check("device", lambda: _device(config_path, build), essential=True),
        Check("CPU", _cpu),
        Check("weights", lambda: _weights(config_path), essential=True),
        Check("MTCNN weights", _mtcnn_weights, essential=True),
        Check("font", _font, essential=True),
        Check("cameras", _cameras),
        Check("display", _display),
        Check("sound", _sound),
        Check("video codecs", _codecs),
        Check("ffmpeg", _ffmpeg),
        Check("extras", _extras),
    )


def examine(to_do: tuple[Check, ...]) -> list[Row]:
    """Return the rows of all checks. An error in a check becomes a row."""
    rows: list[Row] = []
    for check in to_do:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for row in check.rows():
                    rows.append(row)  # one by one, so that the rows before an error stay in the table
        except GatecamError as error:  # its message says what to do
            rows.append(Row(check.name, False, str(error), essential=check.essential))
        except Exception as error:  # the table must be complete whatever is broken
            said = f"{type(error).__name__}: {' '.join(str(error).split()) or 'no reason given'}"
            advice = "fix what it names, or install gatecam again"
            rows.append(Row(check.name, False, said, advice, check.essential))
    return rows


# Libraries -------------------------------------------------------------------------------------


def _python() -> Iterator[Row]:
    yield Row("gatecam", True, f"{__version__}, in {Path(__file__).parents[1]}")
    yield Row("Python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _version(*distributions: str) -> str | None:
    """Return the version of the first of these distributions that is installed."""
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _libraries() -> Iterator[Row]:
    for name in ("torch", "torchvision", "facenet-pytorch", "safetensors"):
        version = _version(name)
        advice = "" if version else "install gatecam again, which brings it"
        yield Row(name, version is not None, version or "not installed", advice, essential=True)
    yield _imported("OpenCV", "cv2", "opencv-python", "opencv-python-headless", "opencv-contrib-python")
    yield _imported("PyAV", "av", "av")
    yield _imported("numpy", "numpy", "numpy")
    yield _imported("Pillow", "PIL.Image", "pillow")
    yield _imported("pydantic", "pydantic", "pydantic")


def _imported(name: str, module: str, *distributions: str) -> Row:
    """Check a library by importing it, because a missing system library only shows then."""
    try:
        importlib.import_module(module)
    except Exception as error:  # a broken build may raise any error
        said = " ".join(str(error).split())
        return Row(name, False, said, f"pip install --force-reinstall {distributions[0]}", essential=True)
    return Row(name, True, _version(*distributions) or "version unknown", essential=True)


def _torch_works() -> Iterator[Row]:
    from gatecam.vision.device import check_cpu_ops

    check_cpu_ops()
    yield Row("torch with torchvision", True, "both compute", essential=True)


def _codecs() -> Iterator[Row]:
    from av.codec import codecs_available

    lacking = sorted({"h264", "hevc", "mpeg4", "mjpeg", "vp9", "gif", "libx264"} - codecs_available)
    found = f"{', '.join(lacking)} not in PyAV" if lacking else "H.264, HEVC, MPEG-4, MJPEG, VP9 and GIF"
    advice = "pip install --force-reinstall --only-binary av av" if lacking else ""
    yield Row("video codecs", not lacking, found, advice)


def _ffmpeg() -> Iterator[Row]:
    path = shutil.which("ffmpeg")
    advice = "" if path else "optional, only for work on videos by hand: install ffmpeg"
    yield Row("ffmpeg", path is not None, path or "not on PATH", advice)


def _extras() -> Iterator[Row]:
    """Yield a row for each extra that the package declares, except the one for developers."""
    wanted: dict[str, list[str]] = {}
    for line in importlib.metadata.requires("gatecam") or ():
        match = re.match(r"([\w.-]+).*\bextra\s*==\s*['\"]([\w-]+)['\"]", line)
        if match and match[2] != "dev":
            wanted.setdefault(match[2], []).append(match[1])
    for extra, names in wanted.items():
        lacking = [name for name in names if _version(name) is None]
        found = f"{', '.join(lacking)} not installed" if lacking else ", ".join(names)
        advice = f"optional: pip install 'gatecam[{extra}]'" if lacking else ""
        yield Row(f"extra [{extra}]", not lacking, found, advice)


# Settings and machine --------------------------------------------------------------------------


def _settings(path: Path | None) -> Iterator[Row]:
    from gatecam.settings.loading import load
    from gatecam.settings.named_files import unreadable_files

    try:
        loaded = load(path)
    except ConfigError as error:
        for problem in str(error).splitlines():
            yield Row("settings", False, problem, "correct it, then `gatecam config check`", essential=True)
        return
    yield Row("settings", True, str(loaded.path or "the defaults, no config.yaml here"), essential=True)
    for sentence in unreadable_files(loaded.config):
        found, _, advice = sentence.rstrip(".").rpartition(": ")
        yield Row("settings", False, found, advice, essential=True)
    for sentence in loaded.config.exposed():
        found, _, advice = sentence.rstrip(".").rpartition("; ")
        yield Row("secrecy", False, found, advice)


def _settings_or_defaults(path: Path | None) -> Config:
    """Return the settings. Return the defaults if they are wrong, which another row reports."""
    from gatecam.settings.loading import load
    from gatecam.settings.schema import Config

    try:
        return load(path).config
    except ConfigError:
        return Config()


def _device(config_path: Path | None, build: Callable[[Config], FaceAnalyzer]) -> Iterator[Row]:
    from gatecam.vision.device import describe_cuda
    from gatecam.vision.openvino import describe_openvino

    works, found = describe_cuda()
    advice = "" if works else "not required: the CPU does the work"
    yield Row("CUDA", works, found, advice)
    works, found = describe_openvino()
    yield Row("OpenVINO", works, found, "" if works else "not required: torch does the work, slower")
    settings = _settings_or_defaults(config_path)
    # A device that runs a small network may fail on the real ones
    analyzer = build(settings)
    said = f"{settings.device} picks {analyzer.device}: {analyzer.reason}"
    yield Row("device", True, said, essential=True)


def _cpu() -> Iterator[Row]:
    import cv2

    set_threads()
    granted = granted_cores()
    quota = (
        "" if granted is None else f" (of {allowed_cores()}; the container grants the time of {granted:g})"
    )
    threads = f"threads of torch and OpenVINO {openmp_threads()}, of OpenCV {cv2.getNumThreads()}"
    cores = usable_cores()
    yield Row("CPU", True, f"{cores} core{'s' * (cores != 1)} for this process{quota}: {threads}")


def _weights(config_path: Path | None) -> Iterator[Row]:
    """Yield rows for the shipped weights, and for the weights that the settings name instead."""
    from gatecam.vision.detector.build import STOCK
    from gatecam.vision.weights import find_weights, load_detector_weights, load_weights, verify_all

    statuses = verify_all()
    for status in statuses:
        advice = "" if status.ok else f"restore {status.path}, or install gatecam again"
        yield Row(f"weights {status.name}", status.ok, status.detail, advice, essential=True)
    shipped = [status.path for status in statuses]
    settings = _settings_or_defaults(config_path)
    faces = find_weights(settings.classifier.weights)
    if faces not in shipped:
        load_weights(faces)
        yield Row("weights", True, str(faces), essential=True)
    if settings.detector.weights == STOCK:
        return
    detector = find_weights(settings.detector.weights, "detector.weights")
    if detector not in shipped:
        load_detector_weights(detector)
        yield Row("detector weights", True, str(detector), essential=True)


def _mtcnn_weights() -> Iterator[Row]:
    spec = importlib.util.find_spec("facenet_pytorch")
    folder = Path(spec.origin).parent / "data" if spec and spec.origin else Path("facenet_pytorch/data")
    lacking = [name for name in ("pnet.pt", "rnet.pt", "onet.pt") if not (folder / name).is_file()]
    found = f"{', '.join(lacking)} not in {folder}" if lacking else "P-, R- and O-Net of facenet-pytorch"
    advice = "pip install --force-reinstall --no-deps facenet-pytorch==2.5.3" if lacking else ""
    yield Row("MTCNN weights", not lacking, found, advice, essential=True)


def _font() -> Iterator[Row]:
    from PIL import ImageFont

    from gatecam.pictures.draw import FONT_PATH

    family, _ = ImageFont.truetype(FONT_PATH, 16).getname()
    yield Row("font", True, f"{family}, Hangul and Latin", essential=True)


def _cameras() -> Iterator[Row]:
    from gatecam.capture.devices import cameras_seen

    seen = cameras_seen()
    advice = "" if seen else "plug one in (on Linux, join the group video), or use an rtsp:// or http:// URL"
    yield Row("cameras", bool(seen), ", ".join(seen) or "none seen", advice)


def _sound() -> Iterator[Row]:
    from gatecam.notify.players import sound_available

    ok, found = sound_available()
    yield Row("sound", ok, found, "" if ok else "not required: alerts stay on the screen and in the log")


def _display() -> Iterator[Row]:
    ok, found = display_available(os.environ)
    advice = "not required: use --headless, or start gatecam on the desktop"
    yield Row("display", ok, found, "" if ok else advice)
