"""Run networks with OpenVINO on a CPU, faster than eager torch (extra `[openvino]`).

A network is traced once, when it is loaded, and compiled for a changing batch size. It takes and returns
torch tensors like the module it replaces. It computes in float32, as torch does.
"""

from __future__ import annotations

import sys
import warnings
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gatecam.errors import DeviceError

Outputs = tuple[Tensor, ...]


class OpenVinoNetwork:
    """Runs a network on (n, 3, h, w) float32 with OpenVINO. Only one thread may call it at a time."""

    def __init__(
        self,
        network: nn.Module,
        example: Tensor,
        any_size: bool = False,
        threads: int | None = None,
        is_small: bool = False,
    ) -> None:
        """Trace and compile a network.

        Args:
            network: a module that returns a tuple of tensors.
            example: an input. Later inputs may have another batch size.
            any_size: later inputs may have another height and width, too.
            threads: threads to compute with. None takes as many as torch has.
            is_small: one picture is too little work for several threads, so each thread gets its own
                pictures.

        Raises:
            DeviceError: OpenVINO is not installed, or cannot run the network.
        """
        threads = threads or torch.get_num_threads()
        parts = threads if is_small else 1
        try:
            model = _compiled(network, example, any_size, threads, parts)
            self._requests = [model.create_infer_request() for _ in range(parts)]
        except Exception as error:  # a broken or outdated build raises any kind of error
            raise DeviceError(
                f"OpenVINO cannot run the networks ({_said(error)}): set `device: cpu`."
            ) from error

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Outputs:
        """Return the outputs in the network's order. Pixels in channels-last memory are not copied.

        Raises:
            RuntimeError: OpenVINO fails.
        """
        given = pixels.permute(0, 2, 3, 1).contiguous().numpy()
        requests = self._requests[: max(1, len(given))]
        if len(requests) == 1:
            found = requests[0].infer([given], share_inputs=True)
            return tuple(torch.from_numpy(found[i]) for i in range(len(found)))
        try:
            for request, part in zip(requests, np.array_split(given, len(requests)), strict=True):
                request.start_async([part], share_inputs=True)
        finally:  # no request may still read `given` after the call
            for request in requests:
                request.wait()
        of_parts = zip(*([out.data for out in request.output_tensors] for request in requests), strict=True)
        return tuple(torch.from_numpy(np.concatenate(parts)) for parts in of_parts)


def _compiled(network: nn.Module, example: Tensor, any_size: bool, threads: int, parts: int) -> Any:
    """Compile a network to process `parts` requests at once, with `threads` in total."""
    openvino = import_openvino()
    from openvino.preprocess import PrePostProcessor

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # torch warns that tracing is deprecated
        # The check traces a second time, which takes as long as everything else.
        traced = torch.jit.trace(network.eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
        model = openvino.convert_model(traced)
    model.reshape([-1, 3, -1, -1] if any_size else [-1, *example.shape[1:]])
    layout = PrePostProcessor(model)
    layout.input().tensor().set_layout(openvino.Layout("NHWC"))
    layout.input().model().set_layout(openvino.Layout("NCHW"))
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": parts,
    }
    return _core().compile_model(layout.build(), "CPU", settings)


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
        version = str(import_openvino().__version__)
        found = OpenVinoNetwork(_Sum(), torch.zeros(1, 3, 8, 8), any_size=True)(torch.ones(2, 3, 8, 16))
    except Exception as error:  # a broken or outdated build raises any kind of error
        return False, _why_not(error.__cause__ or error)
    if found[0].tolist() != [384.0, 384.0]:
        return False, "it gives wrong results on this machine"
    return True, f"OpenVINO {version.split('-')[0]}, float32"


def _why_not(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == "openvino":
        return "it is not installed, `pip install 'gatecam[openvino]'`"
    return f"it does not run here ({_said(error)}), `pip install --upgrade --force-reinstall openvino`"


def _said(error: BaseException) -> str:
    """Format an error on one short line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200] or 'no reason given'}"


class _Sum(nn.Module):
    """Sums each picture. Serves to check that OpenVINO computes correctly."""

    def forward(self, x: Tensor) -> Outputs:
        return (x.sum((1, 2, 3)),)
