"""Run networks with OpenVINO on a CPU, faster than torch and without importing it (extra `[openvino]`).

A weights file stores the graph of each of its networks beside its tensors (`vision/graphs.py` makes them).
Here the graph gets the tensors and is compiled for any batch size. It computes in float32, as torch does, in
bf16, or in int8. For int8 there is a second graph, which holds its own weights
(`training/weights/quantize.py` makes it).
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatecam.errors import DeviceError, ModelError, OutputError
from gatecam.runtime.cores import allowed_cores, openmp_threads
from gatecam.runtime.folders import own_folder, read_own, replace_own, state_folder
from gatecam.types import Floats
from gatecam.vision.weights import INT8, Stored

Precision = Literal["float32", "bf16", "int8"]
PIXELS = "pixels"  # the name of a graph's input. Its other inputs have the names of tensors.
# Files that are kept, about four for each combination of weights, number of threads and precision
COMPILED_KEPT = 40
MOST_COMPILED_BYTES = 2**30
CONVERTER = "openvino.tools.ovc"  # the module that turns torch's networks into OpenVINO's
DIGEST_BYTES = 32  # a file's first bytes are the hash of the others
SHAPES_KEPT = 128  # layers whose code for one input size is kept. Without a limit they fill the memory.


class OpenVinoNetwork:
    """Runs a network on pixels (n, H, W, 3) with OpenVINO. Only one thread may call it at a time."""

    def __init__(
        self,
        weights: Stored,
        name: str,
        size: int | None = None,
        normalize: tuple[float, float] | None = None,
        threads: int | None = None,
        is_small: bool = False,
        precision: Precision = "float32",
    ) -> None:
        """Compile a network, or load it from the cache of compiled networks.

        Args:
            weights: the content of a weights file, with graphs.
            name: the network's graph.
            size: the height and width of all inputs. None allows any.
            normalize: the mean and standard deviation that normalize uint8 pixels. None takes normalized
                floats.
            threads: number of threads. None takes as many as torch would.
            is_small: whether one picture is too little work for several threads. Then each thread gets
                pictures of its own.
            precision: what the layers compute in. With int8, layers and networks that would lose too much
                compute in bf16 where the processor can, and otherwise in float32.

        Raises:
            DeviceError: OpenVINO is not installed, or cannot run the network.
            ModelError: the tensors do not fit the graph.
        """
        threads = threads or openmp_threads()
        parts = threads if is_small else 1

        has_int8 = precision == "int8" and name + INT8 in weights.graphs
        graph = weights.graphs[name + INT8 if has_int8 else name]

        def build() -> Any:
            model = filled_model(graph, weights.tensors)
            model.reshape([-1, 3, size or -1, size or -1])
            return _prepared(model, normalize)

        made_of = f"{weights.sha256} {graph} {size} {normalize}"
        try:
            compiled = _compiled_or_cached(build, made_of, _settings(threads, parts, precision))
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


def pack_graph(model: Any) -> str:
    """Pack the two files of OpenVINO's format for a model into one text."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("graph.xml", "graph.bin")]
        import_openvino().serialize(model, *files)
        content = b"\0".join(file.read_bytes() for file in files)
    return base64.b64encode(zlib.compress(content, 9)).decode("ascii")


def filled_model(graph: str, tensors: Mapping[str, NDArray[Any]]) -> Any:
    """Read a graph and replace each input except the pixels by the tensor of its name.

    Raises:
        ModelError: a tensor is missing or has another shape.
    """
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


def _prepared(model: Any, normalize: tuple[float, float] | None) -> Any:
    """Let a model take pixels (n, H, W, 3): uint8 that it normalizes with `normalize`, or floats."""
    openvino = import_openvino()
    from openvino.preprocess import PrePostProcessor

    prepared = PrePostProcessor(model)
    prepared.input().tensor().set_layout(openvino.Layout("NHWC"))
    prepared.input().model().set_layout(openvino.Layout("NCHW"))
    if normalize is not None:
        mean, std = normalize
        prepared.input().tensor().set_element_type(openvino.Type.u8)
        prepared.input().preprocess().convert_element_type(openvino.Type.f32).mean(mean).scale(std)
    return prepared.build()


def _settings(threads: int, parts: int, precision: Precision = "float32") -> dict[str, str | int]:
    """Return the settings to process `parts` requests at once, with `threads` in total.

    OpenVINO would bind each thread to a core, and every process begins with the same cores. So two processes
    with one thread each would take turns on the first core. Threads are only bound if they take all cores.
    """
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": _hint(precision),
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": parts,
        "ENABLE_CPU_PINNING": threads >= allowed_cores(),
        "CPU_RUNTIME_CACHE_CAPACITY": SHAPES_KEPT,
    }


def _hint(precision: Precision) -> str:
    """Return OpenVINO's name of the precision of layers that a graph does not quantize.

    Without a hint, OpenVINO would compute in bf16 where the processor can.
    """
    return "f32" if precision == "float32" or not processor_computes("BF16") else "bf16"


def _compiled_or_cached(build: Callable[[], Any], made_of: str, settings: dict[str, str | int]) -> Any:
    """Load a compiled network from the state folder, or build, compile and keep it there.

    OpenVINO's own cache is not used, because it does not notice files damaged by a power cut or a bad disk.
    """
    path = kept_file(f"{made_of} {sorted(settings.items())}")
    if (content := _read(path)) is not None:
        with suppress(RuntimeError):  # it was compiled for another processor
            return _core().import_model(content, "CPU", settings)
    compiled = _core().compile_model(build(), "CPU", settings)
    if path is not None:
        with suppress(RuntimeError):  # the next start compiles again
            stream = io.BytesIO()
            compiled.export_model(stream)
            _keep(path, stream.getvalue())
    return compiled


def kept_or_made(key: str, make: Callable[[], bytes]) -> bytes:
    """Return the content that is kept in the state folder for a key, or make and keep it."""
    path = kept_file(key)
    if (content := _read(path)) is None:
        content = make()
        _keep(path, content)
    return content


def _read(path: Path | None) -> bytes | None:
    """Return the content of a kept file, or None if there is none or it has changed since."""
    if path is not None:
        with suppress(OSError):
            kept = read_own(path, MOST_COMPILED_BYTES)
            digest, content = kept[:DIGEST_BYTES], kept[DIGEST_BYTES:]
            if hashlib.sha256(content).digest() == digest:
                return content
    return None


def _keep(path: Path | None, content: bytes) -> None:
    """Keep content with its hash. Where that fails, the next start makes it again."""
    if path is not None:
        with suppress(OSError):
            replace_own(path, hashlib.sha256(content).digest() + content)


def kept_file(key: str) -> Path | None:
    """Return the path in the state folder under which the content for a key is kept.

    The path depends on OpenVINO's version too, because another version cannot load the content. The result is
    None if this user has no safe folder to write to. If there are too many files, for example after updates,
    all are deleted.
    """
    try:
        folder = state_folder() / "compiled"
        own_folder(folder)
        files = list(folder.iterdir())
        for file in files if len(files) > COMPILED_KEPT else ():
            file.unlink()
    except (OSError, OutputError):
        return None
    name = hashlib.sha256(f"{import_openvino().__version__} {key}".encode()).hexdigest()[:24]
    return folder / name if os.access(folder, os.W_OK) else None


def processor_computes(what: str) -> bool:
    """Return whether OpenVINO finds instructions for a type of number, such as "BF16", in the processor."""
    return what in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@lru_cache(maxsize=1)
def _core() -> Any:
    """Return OpenVINO's core, which is created once per process.

    Each core's CPU plugin gives its thread a signal stack, and frees it from whatever thread deletes the
    core. After that, the next Ctrl-C ends in a segmentation fault.
    """
    return import_openvino().Core()


def import_openvino() -> ModuleType:
    """Import OpenVINO without its usage reporting and without its converter.

    OpenVINO works without these two modules if they cannot be imported. The converter takes half of the
    import's time, and only `vision/graphs.py` needs it.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]  # None marks a missing one
    modules.setdefault("openvino_telemetry", None)
    is_first = "openvino" not in modules
    if is_first:
        modules.setdefault(CONVERTER, None)
    try:
        import openvino
    finally:
        if is_first and modules[CONVERTER] is None:
            del modules[CONVERTER]
    return openvino  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def describe_openvino() -> tuple[bool, str]:
    """Check with a small network whether OpenVINO works. Return that, and its version or what to do."""
    try:
        openvino = import_openvino()
        compiled = _compiled_or_cached(lambda: _prepared(_sum(), (127.5, 0.5)), "sum", _settings(1, 1))
        found = compiled(np.full((2, 8, 16, 3), 128, np.uint8))[0]
    except Exception as error:  # a broken or outdated build raises any kind of error
        return False, _why_not(error)
    if found.tolist() != [384.0, 384.0]:
        return False, "it gives wrong results on this machine"
    return True, f"OpenVINO {str(openvino.__version__).split('-')[0]}"


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
