"""Share a training run among the processes that `torchrun` started, or run it in a single process.

Each process takes its part of every batch. Batch norm statistics cover the whole batch, dropout masks are
drawn for the whole batch, and gradients are averaged. The result equals that of one process on that batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.parallel import DistributedDataParallel
from torchvision.ops import StochasticDepth

from gatecam.errors import DataError
from gatecam.training.classifier.losses import Batch
from gatecam.vision.network import FaceNetwork

T = TypeVar("T")

PATIENCE = timedelta(days=1)  # the others wait this long while the first process crops faces or validates


@dataclass(slots=True)
class Rows:
    """Locates this process's rows in the whole batch."""

    start: int = 0  # index of the process's first row
    total: int = 0  # rows of all processes together


class Workers:
    """Represents this process among the `world` processes of a run. Only the first one writes and prints."""

    def __init__(self, rank: int = 0, world: int = 1, device: torch.device | None = None) -> None:
        self.rank, self.world, self.device = rank, world, device
        self._rows = Rows()

    @classmethod
    def joined(cls) -> Workers:
        """Join the process group that the environment variables of `torchrun` describe.

        Without these variables the process works alone.

        Raises:
            DataError: the other processes cannot be reached.
        """
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return cls()
        cuda = torch.cuda.is_available()
        here = int(os.environ.get("LOCAL_RANK", "0"))
        device = torch.device("cuda", here) if cuda else torch.device("cpu")
        try:
            if cuda:
                torch.cuda.set_device(device)
            dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
        except (RuntimeError, ValueError) as error:
            why = str(error).splitlines()[0]
            raise DataError(
                f"the torchrun processes cannot reach each other, or lack a GPU each ({why}). "
                "Check the options of torchrun."
            ) from error
        return cls(dist.get_rank(), world, device)

    @property
    def first(self) -> bool:
        """Return whether this process is the one that writes and prints."""
        return self.rank == 0

    def share(self, net: FaceNetwork) -> nn.Module:
        """Prepare a network for shared training and return the module to call.

        With several processes, the returned module averages gradients over all of them. Dropout and batch
        norm of `net` are replaced in place.
        """
        for name, module in list(net.named_modules()):
            if isinstance(module, nn.Dropout | StochasticDepth):
                whole = isinstance(module, StochasticDepth)
                net.set_submodule(name, WholeBatchDropout(float(module.p), self._rows, whole))
        if self.world == 1:
            return net
        on_gpu = self.device is not None and self.device.type == "cuda"
        if on_gpu:
            nn.SyncBatchNorm.convert_sync_batchnorm(net)  # type: ignore[no-untyped-call]
        else:
            _share_batch_norms(net)
        return DistributedDataParallel(net, device_ids=[self.device] if on_gpu else None)

    def begin(self, batch: Batch) -> None:
        """Tell the shared network which rows of the whole batch belong to this process."""
        total = round(batch.share * self.world)
        sizes = [total // self.world + (rank < total % self.world) for rank in range(self.world)]
        self._rows.start, self._rows.total = sum(sizes[: self.rank]), total

    def means(self, *values: Tensor | float) -> list[float]:
        """Return the mean of each scalar over the processes."""
        joined = torch.stack([torch.as_tensor(value, dtype=torch.float32).cpu() for value in values])
        if self.world > 1:
            joined = joined.to(self.device)
            dist.all_reduce(joined)
        return [float(total) / self.world for total in joined]

    def from_first(self, work: Callable[[], T]) -> T:
        """Run `work` in the first process and return its result in all processes."""
        if self.world == 1:
            return work()
        shared: list[T | None] = [work() if self.first else None]
        dist.broadcast_object_list(shared, src=0)
        assert shared[0] is not None
        return shared[0]

    def wait(self) -> None:
        """Wait until all processes have called this method."""
        if self.world > 1:
            dist.barrier()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Report the loss of another process as one error, and leave the group when the block ends.

        Raises:
            DataError: another process ended, or its connection was lost.
        """
        try:
            yield
        except RuntimeError as error:
            if self.world == 1:
                raise
            why = str(error).splitlines()[0]
            raise DataError(
                f"process {self.rank} of {self.world} cannot go on ({why}). Find out which process ended "
                "first, fix its problem, and restart all of them."
            ) from error
        finally:
            if self.world > 1:
                dist.destroy_process_group()


class WholeBatchDropout(nn.Module):
    """Draws the dropout mask for the rows of all processes and applies this process's part of it.

    Args:
        p: probability of dropping.
        rows: the rows of this process.
        whole: drop whole rows (stochastic depth, Huang et al. 2016) instead of single features.
    """

    def __init__(self, p: float, rows: Rows, whole: bool = False) -> None:
        super().__init__()
        self.p, self._rows, self._whole = p, rows, whole

    def forward(self, x: Tensor) -> Tensor:
        """Drop features or rows of `x`, (B, …), and keep its shape."""
        if not self.training or self.p == 0:
            return x
        shape = [1] * (x.dim() - 1) if self._whole else x.shape[1:]
        # Drawing on the CPU gives every device the same mask.
        kept = torch.rand(self._rows.total, *shape) >= self.p
        mine = kept[self._rows.start : self._rows.start + len(x)]
        return x * mine.to(x.device, x.dtype) / (1 - self.p)


class WholeBatchNorm(nn.BatchNorm2d):
    """Normalizes over the rows of all processes. The synchronized batch norm of torch needs GPUs."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize `x`, (B, C, H, W), and keep its shape."""
        if not self.training:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            pixels = x.float()
            sums = torch.cat([pixels.sum((0, 2, 3)), (pixels**2).sum((0, 2, 3))])
            count = torch.tensor([float(pixels.numel() // pixels.shape[1])], device=x.device)
            dist.all_reduce(count)
            mean, square = (_summed(sums) / count).chunk(2)
            variance = (square - mean**2).clamp(min=0)
            self._remember(mean.detach(), variance.detach(), float(count))
            scale = self.weight * (variance + self.eps).rsqrt()
            shift = self.bias - mean * scale
            return (pixels * scale[:, None, None] + shift[:, None, None]).to(x.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: float) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1


def _summed(values: Tensor) -> Tensor:
    """Sum over the processes in a way that lets gradients flow back to all of them."""
    total: Tensor = all_reduce(values)  # type: ignore[no-untyped-call]
    return total


def _share_batch_norms(net: nn.Module) -> None:
    for module in net.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = WholeBatchNorm
