"""Which device is picked, and what is said where CUDA does not work."""

from __future__ import annotations

import sys

import pytest
import torch

from gatecam.errors import DeviceError
from gatecam.vision import device
from gatecam.vision.device import check_cpu_ops, describe_cuda, pick_device


@pytest.fixture
def failing_cuda(monkeypatch):
    """Makes the operation that tries CUDA raise an error."""

    monkeypatch.setattr(device, "_has_gpu_driver", lambda: True)

    def fail_with(error: Exception) -> None:
        def ones(*_, **__):
            raise error

        monkeypatch.setattr(torch, "ones", ones)

    return fail_with


def test_the_cpu_is_picked_without_trying_cuda(failing_cuda):
    failing_cuda(ZeroDivisionError())
    assert pick_device("cpu") == torch.device("cpu")


def test_auto_falls_back_to_the_cpu(failing_cuda):
    failing_cuda(RuntimeError("Found no NVIDIA driver on your system."))
    assert pick_device("auto") == torch.device("cpu")


def test_cuda_that_was_asked_for_and_fails_is_one_sentence(failing_cuda):
    failing_cuda(RuntimeError("Found no NVIDIA driver on your system.\nPlease check"))
    with pytest.raises(DeviceError, match=r"^CUDA cannot be used: no NVIDIA driver is found, .*\.$"):
        pick_device("cuda")


def test_a_cuda_that_works_is_picked(monkeypatch):
    monkeypatch.setattr(device, "describe_cuda", lambda: (True, "a GPU"))
    assert pick_device("auto") == pick_device("cuda") == torch.device("cuda")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AssertionError("Torch not compiled with CUDA enabled"), "built without CUDA"),
        (
            RuntimeError("The NVIDIA driver on your system is too old (found version 11040)."),
            "update the driver",
        ),
        (RuntimeError("No CUDA GPUs are available"), "CUDA_VISIBLE_DEVICES"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "memory is full"),
        (RuntimeError("CUDA error: no kernel image is available for execution on the device"), "no kernels"),
        (RuntimeError("something new\nwith a tail"), "torch says 'something new'"),
        (RuntimeError(), "no reason given"),
    ],
)
def test_a_cuda_failure_says_what_to_do(failing_cuda, error, said):
    failing_cuda(error)
    works, reason = describe_cuda()
    assert not works
    assert said in reason
    assert "\n" not in reason


def test_without_a_driver_torch_is_not_asked(failing_cuda, monkeypatch):
    failing_cuda(ZeroDivisionError())
    monkeypatch.setattr(device, "_has_gpu_driver", lambda: False)
    works, reason = describe_cuda()
    assert (works, reason.split(",")[0]) == (False, "no NVIDIA driver is found")


@pytest.mark.gpu
def test_a_gpu_is_described():
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    works, found = describe_cuda()
    assert works
    assert "GiB" in found


def test_torch_and_torchvision_work_here():
    check_cpu_ops()


def test_a_torchvision_of_another_torch_is_told(monkeypatch):
    def nms(*_):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("torchvision.ops.nms", nms)
    with pytest.raises(DeviceError, match="do not fit together, reinstall both in one command"):
        check_cpu_ops()


def test_a_missing_torchvision_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DeviceError, match="torchvision does not work"):
        check_cpu_ops()
