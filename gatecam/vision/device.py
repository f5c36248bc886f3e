"""Choose the backend that runs the networks, and explain why CUDA or OpenVINO cannot be used."""

from __future__ import annotations

import ctypes
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gatecam.errors import DeviceError
from gatecam.settings.schema import Device
from gatecam.vision.openvino import Precision, describe_openvino

if TYPE_CHECKING:
    import torch

# The settings that ask OpenVINO for another precision than float32
PRECISIONS: dict[Device, Precision] = {"openvino-bf16": "bf16", "openvino-int8": "int8"}
# A part of torch's message when CUDA fails, in lower case, with the cause and what a user can do about it
_CUDA_FAILURES = (
    ("not compiled with cuda", "this torch is built without CUDA, install a CUDA build of torch"),
    ("no nvidia driver", "no NVIDIA driver is found, install one if this machine has an NVIDIA GPU"),
    ("too old", "the NVIDIA driver is too old for this torch, update the driver or install an older torch"),
    ("no cuda gpus", "no GPU is visible, check CUDA_VISIBLE_DEVICES and `nvidia-smi`"),
    ("no cuda-capable device", "no GPU is visible, check CUDA_VISIBLE_DEVICES and `nvidia-smi`"),
    ("no kernel image", "this torch has no kernels for the GPU, install a build of torch that supports it"),
    ("out of memory", "the GPU's memory is full, end other programs that use it"),
)


def pick_device(setting: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """Return the device of a setting. `auto` is CUDA where a small operation works on it, else the CPU.

    Raises:
        DeviceError: the setting is `cuda`, and CUDA does not work.
    """
    import torch

    if setting == "cpu":
        return torch.device("cpu")
    works, reason = describe_cuda()
    if setting == "cuda" and not works:
        raise no_cuda(reason)
    return torch.device("cuda" if works else "cpu")


@dataclass(frozen=True, slots=True)
class Backend:
    """Says what runs the networks and why: torch on "cpu" or "cuda", or "openvino".

    `precision` is what OpenVINO computes in. `threads` bounds its threads, and None means one per core.
    """

    name: Literal["cpu", "cuda", "openvino"]
    reason: str = ""
    threads: int | None = None
    precision: Precision = "float32"

    @property
    def setting(self) -> Device:
        """Return the setting `device` that asks for this backend."""
        return next((name for name, one in PRECISIONS.items() if one == self.precision), self.name)

    @property
    def device(self) -> torch.device:
        """Return the device of torch's tensors."""
        import torch

        return torch.device("cuda" if self.name == "cuda" else "cpu")


def pick_backend(setting: Device) -> Backend:
    """Return the backend of a setting. `auto` is the first that works: CUDA, OpenVINO, torch on the CPU.

    `auto` computes in float32, so that the results are the same on every machine. Where speed counts more,
    `vision/precision.py` chooses.

    Raises:
        DeviceError: the setting asks for CUDA or OpenVINO, and that does not work.
    """
    if setting in ("cpu", "cuda"):
        return Backend("cuda" if pick_device(setting).type == "cuda" else "cpu", "set by `device`")
    has_cuda, cuda = describe_cuda() if setting == "auto" else (False, "")
    if has_cuda:
        return Backend("cuda", cuda)
    works, found = describe_openvino()
    if setting != "auto" and not works:
        raise DeviceError(f"OpenVINO cannot be used: {found}, or set `device: auto` in the settings.")
    if setting in PRECISIONS:
        return Backend("openvino", f"{found}, set by `device`", precision=PRECISIONS[setting])
    return cpu_backend(f"no CUDA ({cuda})")


def cpu_backend(why: str) -> Backend:
    """Return the fastest backend that needs no GPU, in float32.

    `why` says why there is no GPU. It becomes part of the reason if torch is chosen.
    """
    works, found = describe_openvino()
    return (
        Backend("openvino", f"{found}, float32") if works else Backend("cpu", f"{why}, no OpenVINO ({found})")
    )


def next_backend(failed: Backend, reason: str) -> Backend:
    """Return the backend that replaces one that failed.

    OpenVINO in another precision is replaced by OpenVINO in float32, and CUDA by OpenVINO if that works.
    Everything else is replaced by torch on the CPU.
    """
    if failed.precision != "float32":
        return Backend("openvino", f"float32, because {failed.precision} failed: {reason}")
    if failed.name == "cuda":
        return cpu_backend(f"the GPU failed: {reason}")
    return Backend("cpu", f"OpenVINO failed: {reason}")


def describe_cuda() -> tuple[bool, str]:
    """Check with a small operation whether CUDA works. Return that, and the GPU's name or what to do.

    Torch is imported only if a GPU's driver is found.
    """
    if not _has_gpu_driver():
        return False, why_cuda_failed("no nvidia driver")
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch also warns about the error that it then raises
            total = (torch.ones(2, device="cuda") + 1).sum().item()  # waits for the GPU
            gpu = torch.cuda.get_device_properties(torch.cuda.current_device())
    except (RuntimeError, AssertionError) as error:
        return False, why_cuda_failed(str(error))
    if total != 4:
        return False, f"the GPU gives wrong results (2 + 2 = {total:g}), check its driver"
    return True, f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"


def _has_gpu_driver() -> bool:
    """Check for NVIDIA's driver, or AMD's, which torch's builds for ROCm address as CUDA."""
    if os.path.exists("/dev/kfd"):
        return True
    try:
        return int(ctypes.CDLL("libcuda.so.1").cuInit(0)) == 0
    except (OSError, AttributeError):
        return False


def no_cuda(reason: str) -> DeviceError:
    """Return the error for a CUDA that was asked for and does not work. `reason` says why and what to do."""
    return DeviceError(f"CUDA cannot be used: {reason}, or set `device: auto` in the settings.")


def why_cuda_failed(message: str) -> str:
    """Explain torch's CUDA error, and what a user can do about it."""
    lowered = message.lower()
    for sign, reason in _CUDA_FAILURES:
        if sign in lowered:
            return reason
    return f"torch says '{first_line(message)}', check the driver with `nvidia-smi`"


def first_line(said: object) -> str:
    """Return the first line of an error, shortened to fit into a sentence."""
    return next(iter(str(said).strip().splitlines()), "no reason given")[:200]


def check_cpu_ops() -> None:
    """Run one small operation of torch and one of torchvision on the CPU.

    Raises:
        DeviceError: the operation fails, most often because the two builds do not fit together.
    """
    import torch

    advice = "reinstall both in one command: `pip install --force-reinstall torch torchvision`"
    try:
        import torchvision

        kept = torchvision.ops.nms(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.ones(1), 0.5)
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        if "torchvision::nms" in str(error):
            raise DeviceError(
                f"torch {torch.__version__} and its torchvision do not fit together, {advice}"
            ) from error
        raise DeviceError(f"torchvision does not work ({error}), {advice}") from error
    if kept.tolist() != [0]:
        raise DeviceError(f"torchvision gives wrong results, {advice}")


def library_versions() -> dict[str, str]:
    """Return the versions of torch and torchvision by name."""
    import torch
    import torchvision

    return {"torch": torch.__version__, "torchvision": torchvision.__version__}
