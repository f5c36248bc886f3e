"""Analyze parts of recordings in a worker process, which loads the networks once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from gatecam import __version__
from gatecam.archive.parts import Outcome, Part, analyze
from gatecam.errors import GatecamError
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.cores import use_cores
from gatecam.settings.schema import Config

Load = Callable[[Config], FaceAnalyzer]
# Groups of settings that change results
USED = {"device", "detector", "classifier", "tracker", "policy", "replay"}


def load_networks(config: Config) -> FaceAnalyzer:
    """Load the networks. The errors are those of `app.build_analyzer`."""
    from gatecam.app import build_analyzer
    from gatecam.runtime.telemetry import Telemetry

    return build_analyzer(config, Telemetry())


def settings_hash(config: Config) -> str:
    """Return a short hash of all that results depend on: settings, weights and the version of gatecam.

    Raises:
        ModelError: the weights are missing.
    """
    from gatecam.vision.detector.build import STOCK
    from gatecam.vision.weights import find_weights

    hasher = hashlib.sha256(__version__.encode())
    hasher.update(config.model_dump_json(include=USED).encode())
    for one in config.watched:
        hasher.update(f"{one.camera.name} {one.detector.model_dump_json()}".encode())
    for name in (config.classifier.weights, config.detector.weights):
        hasher.update(
            name.encode() if name == STOCK else find_weights(name).with_suffix(".json").read_bytes()
        )
    return hasher.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Says on which device a worker runs the networks and why, or why it cannot. `settings` is their hash."""

    device: str = ""
    reason: str = ""
    settings: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """Says that a worker ended while it analyzed a part, and why."""

    reason: str


class Worker:
    """Analyzes one part at a time. `share` may be asked meanwhile, from another thread."""

    def __init__(self, config: Config, cores: int, load: Load) -> None:
        self._config, self._cores, self._load = config, cores, load
        self._analyzer: FaceAnalyzer | None = None
        self._share = 0.0

    def load(self) -> Loaded:
        """Load the networks, unless that was done already."""
        try:
            use_cores(self._cores)
            if self._analyzer is None:
                self._analyzer = self._load(self._config)
            return Loaded(self._analyzer.device, self._analyzer.reason, settings_hash(self._config))
        except GatecamError as error:
            return Loaded(error=str(error))

    def analyze(self, part: Part) -> tuple[Outcome, str]:
        """Analyze a part. Return the outcome and the device, which changes if a GPU fails."""
        assert self._analyzer is not None, "load comes before analyze"
        self._note(0.0)
        return analyze(part, self._analyzer, self._config, self._note), self._analyzer.device

    def share(self) -> float:
        """Return the share of the part that is done, 0 to 1."""
        return self._share

    def _note(self, share: float) -> None:
        self._share = share
