"""Choose the precision in which OpenVINO computes, where the settings leave it to gatecam.

Where the processor computes bf16, bf16 and float32 are measured once, with R-Net on random pixels. int8 is
hardly faster there and rounds more (ADR 28). On other processors int8 and float32 are measured, with the
classifier. The times are kept beside the compiled networks, so that later starts choose the same precision.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np

from gatecam.errors import DeviceError, ModelError
from gatecam.runtime.cores import processor_flags
from gatecam.runtime.folders import read_own, replace_own
from gatecam.settings.schema import Config
from gatecam.vision.classifier import FaceClassifier
from gatecam.vision.detector.build import STOCK, compiled_network
from gatecam.vision.detector.sizes import R_SIZE
from gatecam.vision.device import Backend, describe_cuda, pick_backend
from gatecam.vision.openvino import Precision, describe_openvino, kept_file, processor_computes
from gatecam.vision.weights import find_weights, load_stored, read_detector_spec, read_spec

ROUNDS = 15  # measurements of each precision
CROPS = 8  # crops that are computed together in one measurement
WORTHWHILE = 0.9  # another precision than float32 must take at most this share of its time
INT8_INSTRUCTIONS = {"avx512_vnni", "avx_vnni", "amx_int8"}  # as Linux names them
MOST_BYTES = 1000  # largest size of the file that keeps the measured times


def pick_precise_backend(config: Config, before_networks: Callable[[], None] = lambda: None) -> Backend:
    """Return the backend of the settings. Where `device: auto` picks OpenVINO, choose its precision too.

    `before_networks` is called once the libraries are imported.

    Raises:
        DeviceError: the settings ask for CUDA or OpenVINO, and that does not work.
        ModelError: the weights are missing.
    """
    backend = pick_backend(config.device)
    before_networks()
    if config.device != "auto" or backend.name != "openvino" or config.detector.weights == STOCK:
        return backend
    detector = find_weights(config.detector.weights, "detector.weights")
    classifier = find_weights(config.classifier.weights)
    try:
        return _fastest(backend, _kept_or_measured(backend, detector, classifier))
    except (DeviceError, ModelError, RuntimeError):  # reported when the networks are loaded, if they fail too
        return backend


def working_backends() -> list[Backend]:
    """Return every backend that works on this machine, OpenVINO in each precision, the fastest first."""
    found = [Backend("cuda")] if describe_cuda()[0] else []
    if describe_openvino()[0]:
        found += [Backend("openvino", precision=one) for one in reversed(_possible(has_int8=True))]
    return [*found, Backend("cpu")]


def _possible(has_int8: bool) -> list[Precision]:
    """Return float32, and bf16 or else int8 if the processor has instructions for it."""
    if processor_computes("BF16"):
        return ["float32", "bf16"]
    return ["float32", "int8"] if has_int8 and INT8_INSTRUCTIONS & processor_flags() else ["float32"]


def _fastest(backend: Backend, seconds: dict[Precision, float]) -> Backend:
    """Return the backend in its fastest precision, and say how fast it is."""
    if len(seconds) < 2:
        return backend
    best = min(seconds, key=lambda precision: seconds[precision])
    share, version = seconds[best] / seconds["float32"], describe_openvino()[1]
    if share > WORTHWHILE:
        return replace(backend, reason=f"{version}, float32, because nothing is faster on this machine")
    reason = f"{version}, {best}, which takes {share:.2f} of float32's time on this machine"
    return replace(backend, reason=reason, precision=best)


def _kept_or_measured(backend: Backend, detector: Path, classifier: Path) -> dict[Precision, float]:
    """Return the seconds that a network takes in each precision, from an earlier start or a measurement."""
    weights = f"{read_detector_spec(detector).sha256} {read_spec(classifier).sha256}"
    path = kept_file(f"speed {weights} {sorted(processor_flags())}")
    if path is not None:
        with suppress(OSError, ValueError, TypeError, AttributeError):  # damaged files are measured again
            kept = {name: float(s) for name, s in json.loads(read_own(path, MOST_BYTES)).items()}
            if "float32" in kept and min(kept.values()) > 0:
                return {precision: kept[precision] for precision in get_args(Precision) if precision in kept}
    seconds = _measured(backend, detector, classifier)
    if path is not None:
        with suppress(OSError):  # the next start measures again
            replace_own(path, json.dumps(seconds).encode())
    return seconds


def _measured(backend: Backend, detector: Path, classifier: Path) -> dict[Precision, float]:
    """Measure a network's shortest time in each precision, alternating between the precisions.

    The shortest time counts, because other programs only make times longer. Nothing is measured where only
    float32 is possible.
    """
    possible = _possible(load_stored(classifier).has_int8)
    if len(possible) == 1:
        return {"float32": float("inf")}
    build = partial(_classifier, classifier) if "int8" in possible else partial(_rnet, detector)
    networks = {one: build(replace(backend, precision=one)) for one in possible}
    seconds: dict[Precision, float] = dict.fromkeys(possible, float("inf"))
    for _ in range(ROUNDS):
        for precision, network in networks.items():
            begun_s = time.perf_counter()
            network()
            seconds[precision] = min(seconds[precision], time.perf_counter() - begun_s)
    return seconds


def _classifier(classifier: Path, backend: Backend) -> Callable[[], object]:
    """Return a function that computes random crops with the classifier."""
    network, size = FaceClassifier(str(classifier), backend), read_spec(classifier).crop.size
    crops = np.random.default_rng(0).normal(size=(CROPS, size, size, 3)).astype(np.float32)
    return lambda: network.probabilities(crops)


def _rnet(detector: Path, backend: Backend) -> Callable[[], object]:
    """Return a function that computes random pixels with R-Net."""
    network = compiled_network(load_stored(detector), "rnet", backend)
    pixels = np.random.default_rng(0).integers(0, 256, (CROPS, R_SIZE, R_SIZE, 3), np.uint8)
    return lambda: network(pixels)
