"""Run networks with OpenVINO on a CPU, faster than eager torch and without importing it (extra `[openvino]`).

A weights file stores the graph of each of its networks beside its tensors (`vision/graphs.py` makes it).
Here the graph gets the tensors and is compiled for a changing batch size. It computes in float32, as torch
does.
"""

from __future__ import annotations

import base64
import sys
import zlib
from collections.abc import Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatecam.errors import DeviceError, ModelError
from gatecam.runtime.cores import openmp_threads
from gatecam.types import Floats

PIXELS = "pixels"  # the name of a graph's input. Its other inputs have the names of tensors.
SHAPES_KEPT = 512  # layers whose code for one input size is kept, which bounds memory (issue 26)


class OpenVinoNetwork:
    """Runs a network on pixels (n, H, W, 3) with OpenVINO. Only one thread may call it at a time."""

    def __init__(
        self,
        graph: str,
        tensors: Mapping[str, NDArray[Any]],
        size: int | None = None,
        normalise: tuple[float, float] | None = None,
        threads: int | None = None,
        is_small: bool = False,
    ) -> None:
        """Compile a network.

        Args:
            graph: the network's graph, as `pack_graph` returns it.
            tensors: the tensors of the weights file by name.
            size: the height and width of all inputs. None allows any.
            normalise: the mean and standard deviation that normalise uint8 pixels. None takes normalised
                floats.
            threads: threads to compute with. None takes as many as torch would.
            is_small: one picture is too little work for several threads, so each thread gets its own
                pictures.

        Raises:
            DeviceError: OpenVINO is not installed, or cannot run the network.
            ModelError: the tensors do not fit the graph.
        """
        threads = threads or openmp_threads()
        parts = threads if is_small else 1
        try:
            model = _filled(graph, tensors)
            model.reshape([-1, 3, size or -1, size or -1])
            compiled = _compiled(model, normalise, threads, parts)
            self._requests = [compiled.create_infer_request() for _ in range(parts)]
        except ModelError:
            raise
        except Exception as error:  # a broken or outdated build raises any kind of error
            raise cannot_run(error) from error

    def __call__(self, pixels: NDArray[Any]) -> tuple[Floats, ...]:
        """Return the outputs in the network's order.

        Raises:
            RuntimeError: OpenVINO fails.
        """
        given = np.ascontiguousarray(pixels)
        requests = self._requests[: max(1, len(given))]
        if len(requests) == 1:
            found = requests[0].infer([given], share_inputs=True)
            return tuple(found[i] for i in range(len(found)))
        try:
            for request, part in zip(requests, np.array_split(given, len(requests)), strict=True):
                request.start_async([part], share_inputs=True)
        finally:  # no request may still read `given` after the call
            for request in requests:
                request.wait()
        of_parts = zip(*([out.data for out in request.output_tensors] for request in requests), strict=True)
        return tuple(np.concatenate(parts) for parts in of_parts)


def pack_graph(description: bytes, constants: bytes) -> str:
    """Pack the two files of OpenVINO's format for graphs into one text."""
    return base64.b64encode(zlib.compress(description + b"\0" + constants, 9)).decode("ascii")


def _filled(graph: str, tensors: Mapping[str, NDArray[Any]]) -> Any:
    """Read a graph and replace each input that has the name of a tensor by that tensor."""
    openvino = import_openvino()
    from openvino import opset8 as operations

    description, _, constants = zlib.decompress(base64.b64decode(graph)).partition(b"\0")
    model = _core().read_model(description, openvino.Tensor(np.frombuffer(constants, np.uint8)))
    for parameter in model.get_parameters():
        name = parameter.get_friendly_name()
        if name == PIXELS:
            continue
        if name not in tensors or parameter.get_partial_shape() != openvino.PartialShape(tensors[name].shape):
            raise ModelError(f"the tensor {name} is missing or has another shape")
        constant = operations.constant(tensors[name].astype(np.float32, copy=False))
        for reader in parameter.output(0).get_target_inputs():
            reader.replace_source_output(constant.output(0))
        model.remove_parameter(parameter)
    return model


def _compiled(model: Any, normalise: tuple[float, float] | None, threads: int, parts: int) -> Any:
    """Compile a model to process `parts` requests at once, with `threads` in total."""
    openvino = import_openvino()
    from openvino.preprocess import PrePostProcessor

    prepared = PrePostProcessor(model)
    prepared.input().tensor().set_layout(openvino.Layout("NHWC"))
    prepared.input().model().set_layout(openvino.Layout("NCHW"))
    if normalise is not None:
        mean, std = normalise
        prepared.input().tensor().set_element_type(openvino.Type.u8)
        prepared.input().preprocess().convert_element_type(openvino.Type.f32).mean(mean).scale(std)
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": parts,
        "CPU_RUNTIME_CACHE_CAPACITY": SHAPES_KEPT,
    }
    return _core().compile_model(prepared.build(), "CPU", settings)


@lru_cache(maxsize=1)
def _core() -> Any:
    """Return OpenVINO's core, which is created once per process.

    Each core's CPU plugin gives its thread a signal stack, and frees it from whatever thread deletes the
    core. After that, the next Ctrl-C ends in a segmentation fault.
    """
    return import_openvino().Core()


def import_openvino() -> ModuleType:
    """Import OpenVINO with its usage reporting switched off.

    OpenVINO does without its reporting package where that cannot be imported.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # marks it as missing
    import openvino

    return openvino  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def describe_openvino() -> tuple[bool, str]:
    """Check on a small network whether OpenVINO works. Return that, and its version or what to do."""
    try:
        openvino = import_openvino()
        found = _compiled(_sum(), (127.5, 0.5), 1, 1)(np.full((2, 8, 16, 3), 128, np.uint8))[0]
    except Exception as error:  # a broken or outdated build raises any kind of error
        return False, _why_not(error)
    if found.tolist() != [384.0, 384.0]:
        return False, "it gives wrong results on this machine"
    return True, f"OpenVINO {str(openvino.__version__).split('-')[0]}, float32"


def _why_not(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == "openvino":
        return "it is not installed, `pip install 'gatecam[openvino]'`"
    return f"it does not run here ({_said(error)}), `pip install --upgrade --force-reinstall openvino`"


def cannot_run(error: BaseException) -> DeviceError:
    """Return the error for networks that OpenVINO cannot compute."""
    return DeviceError(f"OpenVINO cannot run the networks ({_said(error)}): set `device: cpu`.")


def _said(error: BaseException) -> str:
    """Format an error on one short line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200] or 'no reason given'}"


def _sum() -> Any:
    """Return a model that sums each picture."""
    openvino = import_openvino()
    from openvino import opset8 as operations

    pixels = operations.parameter([-1, 3, -1, -1], np.float32, PIXELS)
    return openvino.Model([operations.reduce_sum(pixels, np.array([1, 2, 3]))], [pixels])
