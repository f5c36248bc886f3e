"""List the pictures that each pair of weights may learn from, and find them unpacked or in archives."""

from __future__ import annotations

import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from gatecam.errors import DataError
from gatecam.runtime.files import write_output
from gatecam.training.runs import make_folder

UNPACKED = ".unpacked"  # in a folder whose archive was unpacked to the end


@dataclass(frozen=True, slots=True)
class Source:
    """Holds one collection of pictures, and what it is used for."""

    name: str
    detector: bool
    classifier: bool
    terms: str


RESEARCH = "research and evaluation only"
SOURCES = (
    Source("ilc", True, True, f"no terms stated: {RESEARCH}"),
    Source("medical", True, True, "CC0"),
    Source("worn_wrong", True, True, f"no terms stated: {RESEARCH}"),
    Source("crops", True, True, f"no terms stated, MAFA for non-commercial research: {RESEARCH}"),
    Source("fairface", True, True, "CC BY 4.0, FairFace (Kärkkäinen and Joo 2021)"),
    Source("masked_gender", True, True, f"no terms stated: {RESEARCH}"),
    Source("utkface", False, True, f"UTKFace, non-commercial research: {RESEARCH}"),
)


@dataclass(frozen=True, slots=True)
class Start:
    """Says which file in `weights/` a classifier starts from."""

    suffix: str
    terms: str


STARTS = {
    "gatecam": Start(".safetensors", f"MobileFaceNet, no terms stated: {RESEARCH}"),
    "gatecam-open": Start(".dat", "dlib's face recognition network, CC0"),
}
OPEN = ("medical", "fairface")  # their terms allow use in products


def sources_of(name: str) -> list[Source]:
    """Return the sources of the weights `NAME-mtcnn` and `NAME-faces`.

    Raises:
        DataError: no list has this name.
    """
    lists = {"gatecam": list(SOURCES), "gatecam-open": [s for s in SOURCES if s.name in OPEN]}
    if name not in lists:
        raise DataError(f"{name}: there are no such weights. Choose {' or '.join(lists)}.")
    return lists[name]


def find_source(name: str, data: Path, work: Path) -> Path:
    """Return the folder of a source: in `data`, or unpacked from an archive there into `work`.

    Raises:
        DataError: it is missing, or its archive is damaged.
        OutputError: it cannot be unpacked.
    """
    if (data / name).is_dir():
        return data / name
    archive = next(
        (data / f"{name}{suffix}" for suffix in (".tar", ".zip") if (data / f"{name}{suffix}").is_file()),
        None,
    )
    if archive is None:
        raise DataError(
            f"{data}: has no folder {name}, {name}.tar or {name}.zip. Choose the folder of pictures."
        )
    folder = work / name
    if not (folder / UNPACKED).exists():
        make_folder(work)
        try:
            _unpack(archive, work)
        except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
            raise DataError(f"{archive}: cannot be unpacked ({error}). Fetch it again.") from error
        if not folder.is_dir():
            raise DataError(f"{archive}: does not hold a folder {name}. Choose the right archive.")
        write_output(folder / UNPACKED, archive.name)
    return folder


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive. Its members cannot leave the folder."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(folder)
    else:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")


def find_teachers(data: Path) -> list[Path]:
    """Return the ONNX files of the teachers in `data`. CenterFace, whose boxes are used, comes first."""
    return sorted((data / "teachers").glob("*.onnx"))


def find_start(data: Path, name: str) -> Path | None:
    """Return the file in `data` that the classifier `NAME-faces` starts from, or None."""
    return next(iter(sorted((data / "weights").glob(f"*{STARTS[name].suffix}"))), None)


def find_videos(data: Path) -> list[Path]:
    """Return the videos in `data`."""
    return sorted(path for path in (data / "videos").glob("*.*") if path.is_file())
