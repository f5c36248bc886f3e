"""The networks as OpenVINO runs them on a CPU, faster than eager torch (extra `[openvino]`).

A network is traced once, when it is loaded, and compiled for shapes that may change. It takes and gives torch
tensors as the module does that it stands for. Arithmetic stays in float32, as torch's.
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
    """A network of (n, 3, h, w) float32 on OpenVINO; called by one thread at a time."""

    def __init__(
        self,
        network: nn.Module,
        example: Tensor,
        any_size: bool = False,
        threads: int | None = None,
        is_small: bool = False,
    ) -> None:
        """Trace and compile.

        Args:
            network: gives a tuple of tensors.
            example: an input; the number of pictures may differ later,
            any_size: and so may their size.
            threads: to compute with; by default as many as torch has.
            is_small: a picture is too little work to be shared: each thread gets pictures of its own.

        Raises:
            DeviceError: OpenVINO is not installed, or cannot run it.
        """
        threads = threads or torch.get_num_threads()
        parts = threads if is_small else 1
        try:
            model = _compiled(network, example, any_size, threads, parts)
            self._requests = [model.create_infer_request() for _ in range(parts)]
        except Exception as error:  # a broken or an old build raises anything
            raise DeviceError(
                f"OpenVINO cannot run the networks ({_said(error)}): set `device: cpu`."
            ) from error

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Outputs:
        """The outputs in the network's order; pixels that lie channels last are not copied.

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
        finally:  # none may still read what is given
            for request in requests:
                request.wait()
        of_parts = zip(*([out.data for out in request.output_tensors] for request in requests), strict=True)
        return tuple(torch.from_numpy(np.concatenate(parts)) for parts in of_parts)


def _compiled(network: nn.Module, example: Tensor, any_size: bool, threads: int, parts: int) -> Any:
    """The network compiled to work on `parts` pictures or batches at once, with `threads` in all."""
    openvino = import_openvino()
    from openvino.preprocess import PrePostProcessor

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # torch calls its tracing deprecated
        # by itself OpenVINO traces twice, to compare; that takes as long as all the rest
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
    """One for the life of the process.

    The CPU plugin of each lays its thread's signals on a stack of its own, and frees it when it goes, in
    whatever thread; the next Ctrl-C then ends in a segmentation fault.
    """
    return import_openvino().Core()


def import_openvino() -> ModuleType:
    """OpenVINO, kept from telling its maker of each use: where its reporter is missing, it does without.

    Raises:
        ImportError: it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # so Python notes a missing one
    import openvino

    return openvino  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def describe_openvino() -> tuple[bool, str]:
    """Whether OpenVINO works, tried on a small network; with its version, or why not and what to do."""
    try:
        version = str(import_openvino().__version__)
        found = OpenVinoNetwork(_Sum(), torch.zeros(1, 3, 8, 8), any_size=True)(torch.ones(2, 3, 8, 16))
    except Exception as error:  # a broken or an old build raises anything
        return False, _why_not(error.__cause__ or error)
    if found[0].tolist() != [384.0, 384.0]:
        return False, "it computes wrongly here"
    return True, f"OpenVINO {version.split('-')[0]}, float32"


def _why_not(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == "openvino":
        return "it is not installed, `pip install 'gatecam[openvino]'`"
    return f"it does not run here ({_said(error)}), `pip install --upgrade --force-reinstall openvino`"


def _said(error: BaseException) -> str:
    """An error on one short line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200] or 'no reason given'}"


class _Sum(nn.Module):
    """The smallest network that proves something."""

    def forward(self, x: Tensor) -> Outputs:
        return (x.sum((1, 2, 3)),)
