"""Which device the networks run on, and why CUDA is there or not."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gatecam.errors import DeviceError
from gatecam.vision.openvino import describe_openvino

# What torch says when CUDA fails, in lower case, and what a user can do about it.
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
    """The device that a setting stands for; `auto` is CUDA where a small operation works, else the CPU.

    Raises:
        DeviceError: `cuda` is asked for and does not work.
    """
    if setting == "cpu":
        return torch.device("cpu")
    works, reason = describe_cuda()
    if setting == "cuda" and not works:
        raise no_cuda(reason)
    return torch.device("cuda" if works else "cpu")


@dataclass(frozen=True, slots=True)
class Backend:
    """What runs the networks, "cpu" and "cuda" by torch, or "openvino"; and why.

    `threads` bounds OpenVINO's; None is as many as there are cores.
    """

    name: Literal["cpu", "cuda", "openvino"]
    reason: str = ""
    threads: int | None = None

    @property
    def device(self) -> torch.device:
        """Where torch's tensors lie."""
        return torch.device("cuda" if self.name == "cuda" else "cpu")


def pick_backend(setting: Literal["auto", "cpu", "cuda", "openvino"]) -> Backend:
    """The backend that a setting stands for; `auto` is the fastest that works: CUDA, OpenVINO, torch.

    Raises:
        DeviceError: `cuda` or `openvino` is asked for and does not work.
    """
    if setting in ("cpu", "cuda"):
        return Backend("cuda" if pick_device(setting).type == "cuda" else "cpu", "as `device` says")
    has_cuda, cuda = describe_cuda() if setting == "auto" else (False, "")
    if has_cuda:
        return Backend("cuda", cuda)
    if setting == "openvino" and not describe_openvino()[0]:
        found = describe_openvino()[1]
        raise DeviceError(f"OpenVINO cannot be used: {found}, or set `device: auto` in the settings.")
    return cpu_backend(f"no CUDA ({cuda})")


def cpu_backend(why: str) -> Backend:
    """The fastest one without a GPU; `why` there is none stands in the reason of torch's."""
    works, found = describe_openvino()
    return Backend("openvino", found) if works else Backend("cpu", f"{why}, no OpenVINO ({found})")


def next_backend(failed: Backend, reason: str) -> Backend:
    """What goes on where a backend failed for a reason: OpenVINO after CUDA if it works, in the end torch."""
    if failed.name == "cuda":
        return cpu_backend(f"the GPU failed: {reason}")
    return Backend("cpu", f"OpenVINO failed: {reason}")


def placed(network: nn.Module, backend: Backend) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """Return a network as torch runs it on a backend: on a GPU in half precision, everywhere channels last.

    The callable takes and returns float32. The network returns a tuple of tensors.
    """
    network = network.eval().to(backend.device).to(memory_format=torch.channels_last)
    if backend.name != "cuda":
        return network
    network = network.half()
    return lambda pixels: tuple(output.float() for output in network(pixels.half()))


@contextmanager
def torch_threads(backend: Backend) -> Iterator[None]:
    """Within the block torch computes on one thread where OpenVINO runs the networks.

    What is left to torch is too little to be shared, and its threads and OpenVINO's would wait for each other
    on the same cores.
    """
    if backend.name != "openvino":
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def describe_cuda() -> tuple[bool, str]:
    """Whether CUDA works, tried on a small operation; with the GPU's name, or why not and what to do."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch also warns of what it then raises
            total = (torch.ones(2, device="cuda") + 1).sum().item()  # waits for the GPU
            gpu = torch.cuda.get_device_properties(torch.cuda.current_device())
    except (RuntimeError, AssertionError) as error:
        return False, why_cuda_failed(str(error))
    if total != 4:
        return False, f"the GPU computes wrongly (2 + 2 = {total:g}), check its driver"
    return True, f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"


def no_cuda(reason: str) -> DeviceError:
    """What is told where CUDA is asked for and does not work, for a reason that says what to do."""
    return DeviceError(f"CUDA cannot be used: {reason}, or set `device: auto` in the settings.")


def why_cuda_failed(message: str) -> str:
    """What a user can do about what torch says when CUDA fails."""
    lowered = message.lower()
    for sign, reason in _CUDA_FAILURES:
        if sign in lowered:
            return reason
    return f"torch says '{first_line(message)}', check the driver with `nvidia-smi`"


def first_line(said: object) -> str:
    """What an error says first, as it fits into a sentence."""
    return next(iter(str(said).strip().splitlines()), "no reason given")[:200]


def check_cpu_ops() -> None:
    """Run one small operation of torch and one of torchvision on the CPU.

    Raises:
        DeviceError: They do not run, most often since the two are builds that do not fit together.
    """
    advice = "install both anew in one command: `pip install --force-reinstall torch torchvision`"
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
        raise DeviceError(f"torchvision computes wrongly, {advice}")


def cpu_threads() -> int:
    """How many threads torch uses on the CPU."""
    return torch.get_num_threads()


def library_versions() -> dict[str, str]:
    """The versions of the libraries that compute, by name."""
    import torchvision

    return {"torch": torch.__version__, "torchvision": torchvision.__version__}
