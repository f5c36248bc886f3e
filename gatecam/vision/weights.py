"""Read and write weights and their spec: `<name>.safetensors`, and `<name>.json` with its hash."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from gatecam.errors import ModelError
from gatecam.labels import AGE_LABELS, GENDER_LABELS, MASK_LABELS
from gatecam.runtime.files import replacing, write_output
from gatecam.vision.crops import INTERPOLATION, CropSpec

if TYPE_CHECKING:
    from torch import Tensor

GRAPHS = "graphs"  # the entry of a weights file's metadata that holds its graphs, as JSON
INT8 = ".int8"  # ends the name of a graph that computes in int8

log = logging.getLogger(__name__)

LABELS = {"mask": list(MASK_LABELS), "gender": list(GENDER_LABELS), "age": list(AGE_LABELS)}


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Says how to use a classifier's weights, and what to know before trusting them.

    `data` describes the training collections. `scores` also holds the recipe of the training.
    """

    name: str
    architecture: str
    crop: CropSpec
    temperature: dict[str, float]  # per head, divides its logits to calibrate them (Guo et al. 2017)
    sha256: str = ""
    labels: dict[str, list[str]] = field(default_factory=lambda: dict(LABELS))
    data: list[str] = field(default_factory=list)
    scores: dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    made: dict[str, Any] = field(default_factory=dict)  # command, commit, data hashes, seconds


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """Says what to know before trusting a detector's weights. The fields are those of `ModelSpec`."""

    name: str
    architecture: str
    sha256: str = ""
    data: list[str] = field(default_factory=list)
    scores: dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    made: dict[str, Any] = field(default_factory=dict)  # command, commit, data hashes, seconds


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Holds what is in a weights file, in numpy arrays.

    `graphs` has a graph for each network, as `vision/graphs.py` made it, or is empty. It may also have graphs
    for int8. `sha256` is the hash of the file.
    """

    tensors: Mapping[str, NDArray[Any]]
    graphs: Mapping[str, str]
    sha256: str

    @property
    def is_detector(self) -> bool:
        """Return whether the weights are a detector's. Others are a classifier's."""
        return any(name.startswith("pnet.") for name in self.tensors)

    @property
    def has_int8(self) -> bool:
        """Return whether there are graphs for int8."""
        return any(name.endswith(INT8) for name in self.graphs)


@dataclass(frozen=True, slots=True)
class WeightsStatus:
    """Says whether shipped weights are complete and unchanged."""

    name: str
    path: Path
    ok: bool
    detail: str


Spec = TypeVar("Spec", ModelSpec, DetectorSpec)
Made = TypeVar("Made")
Loaded = TypeVar("Loaded")


def models_folder() -> Path:
    """Return the folder of the shipped weights, in the installed package or in the checkout beside it."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "models"
    return installed if installed.is_dir() else package.parent / "models"


def find_weights(name: str, setting: str = "classifier.weights") -> Path:
    """Return the weights file of a setting: a path that ends in .safetensors, or a shipped name.

    Raises:
        ModelError: there is no such file.
    """
    path = Path(name) if name.endswith(".safetensors") else models_folder() / f"{name}.safetensors"
    if os.path.isfile(path):  # Path.is_file raises where the name is too long for a file
        return path
    shipped = ", ".join(sorted(p.stem for p in models_folder().glob("*.safetensors"))) or "none"
    raise ModelError(
        f"{path}: no such weights; set {setting} to a .safetensors file or a shipped name ({shipped})."
    )


def load_weights(path: Path) -> tuple[dict[str, Tensor], ModelSpec]:
    """Load the tensors of a classifier's weights file for torch, and its spec.

    Raises:
        ModelError: the spec is missing or broken, the hash differs, or the file is not in safetensors format.
    """
    spec = read_spec(path)
    return _tensors(path, spec.sha256), spec


def load_detector_weights(path: Path) -> tuple[dict[str, Tensor], DetectorSpec]:
    """Load the tensors of a detector's weights file for torch, and its spec.

    Raises:
        ModelError: the spec is missing or broken, the hash differs, or the file is not in safetensors format.
    """
    spec = read_detector_spec(path)
    return _tensors(path, spec.sha256), spec


def load_stored(path: Path) -> Stored:
    """Load what is in a weights file as numpy arrays, without importing torch.

    Raises:
        ModelError: the spec is missing or broken, the hash differs, or the file is not in safetensors format.
    """
    sha256 = _read_json(path, lambda raw: str(raw["sha256"]))

    def load(path: Path) -> Stored:
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            graphs = (file.metadata() or {}).get(GRAPHS, "{}")
            return Stored(tensors, json.loads(graphs), sha256)

    return _checked(path, sha256, load)


def with_graphs(path: Path, spec: ModelSpec | DetectorSpec, stored: Stored) -> Stored:
    """Add the graphs if the weights file at `path` lacks them. Making them imports torch.

    Raises:
        DeviceError: OpenVINO cannot compute the networks.
        ModelError: the spec names no network.
    """
    if stored.graphs:
        return stored
    log.info(
        "%s has no graphs for OpenVINO, so torch is loaded to make them; store them with "
        "`python -m gatecam.vision.graphs %s`.",
        path,
        path,
    )
    from gatecam.vision.graphs import graphs_of

    return replace(stored, graphs=graphs_of(spec))


def _tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return _checked(path, sha256, load_file)


def _checked(path: Path, sha256: str, load: Callable[[Path], Loaded]) -> Loaded:
    """Load a weights file whose hash is right."""
    try:
        found = hash_of(path)
        if found != sha256:
            raise ModelError(
                f"{path}: its sha256 is {found[:12]}…, but {path.stem}.json says {sha256[:12]}…; "
                "restore both files from one release."
            )
        return load(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path}: cannot be read as safetensors ({error}); restore it from a release."
        ) from error


def read_spec(path: Path) -> ModelSpec:
    """Read the spec beside a classifier's weights file.

    Raises:
        ModelError: it is missing, broken, or made for other labels.
    """

    def made(raw: dict[str, Any]) -> ModelSpec:
        spec = ModelSpec(**{**raw, "crop": CropSpec(**raw["crop"])})
        _require_usable(spec)
        return spec

    spec = _read_json(path, made)
    if spec.labels != LABELS:
        raise ModelError(
            f"{path.with_suffix('.json')}: expected labels {LABELS}, got {spec.labels}; use weights of this "
            "version."
        )
    return spec


def read_detector_spec(path: Path) -> DetectorSpec:
    """Read the spec beside a detector's weights file.

    Raises:
        ModelError: it is missing or broken.
    """

    def made(raw: dict[str, Any]) -> DetectorSpec:
        spec = DetectorSpec(**raw)
        if not (isinstance(spec.architecture, str) and isinstance(spec.sha256, str)):
            raise TypeError("the architecture or sha256 is of another kind")
        return spec

    return _read_json(path, made)


def _read_json(path: Path, made: Callable[[dict[str, Any]], Made]) -> Made:
    spec_path = path.with_suffix(".json")
    try:
        return made(json.loads(spec_path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ModelError(
            f"{spec_path}: the spec of these weights is missing; restore it from a release."
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{spec_path}: not a spec of gatecam weights of this kind. Use others, or restore it."
        ) from error


def _require_usable(spec: ModelSpec) -> None:
    """Raise ValueError where the classifier could not compute with a spec's values."""
    crop = spec.crop
    above_zero = [crop.size, crop.std, 1 + crop.margin, *(spec.temperature[head] for head in LABELS)]
    finite = all(math.isfinite(number) for number in (*above_zero, crop.mean))
    if not finite or min(above_zero) <= 0 or not isinstance(crop.size, int):
        raise ValueError("a size, margin, mean, std or temperature is out of range")
    texts = (spec.architecture, spec.sha256)
    if crop.interpolation != INTERPOLATION or not all(isinstance(text, str) for text in texts):
        raise ValueError("the interpolation, architecture or sha256 is of another kind")


def save_weights(
    path: Path, tensors: Mapping[str, Tensor], spec: Spec, graphs: Mapping[str, str] | None = None
) -> Spec:
    """Write the weights of a classifier or detector, and their spec. Return the spec with the hash.

    Each file is replaced at once, so that a reader never sees half of it.

    Args:
        path: the weights file. The spec is written beside it.
        tensors: the weights by name.
        spec: the spec. Its hash is replaced.
        graphs: the graphs from `vision/graphs.py`, with which OpenVINO loads these weights without torch.

    Raises:
        OutputError: a file cannot be written.
    """
    from safetensors.torch import save_file

    with replacing(path) as part:
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        # one entry, because safetensors writes several in random order
        metadata = {GRAPHS: json.dumps(dict(graphs), sort_keys=True)} if graphs else None
        save_file(contiguous, part, metadata=metadata)
        part.chmod(0o644)  # safetensors makes the file readable only for its owner
        saved = replace(spec, sha256=hash_of(part))
    write_output(path.with_suffix(".json"), json.dumps(asdict(saved), indent=2, ensure_ascii=False) + "\n")
    return saved


def hash_of(path: Path) -> str:
    """Return the sha256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_all() -> list[WeightsStatus]:
    """Check all shipped weights. Return an empty list where there are none."""
    found = []
    for path in sorted(models_folder().glob("*.safetensors")):
        try:
            load_stored(path)
        except ModelError as error:
            found.append(WeightsStatus(path.stem, path, False, str(error)))
        else:
            found.append(WeightsStatus(path.stem, path, True, f"sha256 {hash_of(path)[:12]}…"))
    return found
