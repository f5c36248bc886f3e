"""The processes that share a training run: one alone, or those that `torchrun` started.

Each takes its part of every batch. Batch norms count over the whole batch, dropout is drawn for the whole
batch, and gradients are averaged, so that the result is that of one process on the same batch.
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

PATIENCE = timedelta(days=1)  # of processes that wait for the first one to cut faces or to validate


@dataclass(slots=True)
class Rows:
    """Where in the whole batch the rows of a process begin, and how many rows all have."""

    start: int = 0
    total: int = 0


class Workers:
    """One process among `world`, the first of which writes and prints."""

    def __init__(self, rank: int = 0, world: int = 1, device: torch.device | None = None) -> None:
        self.rank, self.world, self.device = rank, world, device
        self._rows = Rows()

    @classmethod
    def joined(cls) -> Workers:
        """The process as `torchrun` placed it, by its environment variables; alone without them.

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
                f"the processes of torchrun do not find each other, or a GPU each ({why}); check its words."
            ) from error
        return cls(dist.get_rank(), world, device)

    @property
    def first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def share(self, net: FaceNetwork) -> nn.Module:
        """The network to call in training: the same, or one that averages gradients over the processes."""
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
        """Tell the shared network which rows of the whole batch are this process's."""
        total = round(batch.share * self.world)
        sizes = [total // self.world + (rank < total % self.world) for rank in range(self.world)]
        self._rows.start, self._rows.total = sum(sizes[: self.rank]), total

    def means(self, *values: Tensor | float) -> list[float]:
        """The mean of each scalar over the processes."""
        joined = torch.stack([torch.as_tensor(value, dtype=torch.float32).cpu() for value in values])
        if self.world > 1:
            joined = joined.to(self.device)
            dist.all_reduce(joined)
        return [float(total) / self.world for total in joined]

    def from_first(self, work: Callable[[], T]) -> T:
        """What the first process works out, in all of them."""
        if self.world == 1:
            return work()
        shared: list[T | None] = [work() if self.first else None]
        dist.broadcast_object_list(shared, src=0)
        assert shared[0] is not None
        return shared[0]

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.world > 1:
            dist.barrier()

    @contextmanager
    def together(self) -> Iterator[None]:
        """While the block runs, the loss of another process is one sentence; the group ends with it.

        Raises:
            DataError: another process ended, or the network to it.
        """
        try:
            yield
        except RuntimeError as error:
            if self.world == 1:
                raise
            why = str(error).splitlines()[0]
            raise DataError(
                f"process {self.rank} of {self.world} cannot go on ({why}); see which process ended first, "
                "mend that, and start all again."
            ) from error
        finally:
            if self.world > 1:
                dist.destroy_process_group()


class WholeBatchDropout(nn.Module):
    """Dropout whose mask is drawn for all processes' rows, of which each uses its own.

    Args:
        p: the part that is dropped.
        rows: of this process.
        whole: drop all of a row or nothing (stochastic depth, Huang et al. 2016), not single features.
    """

    def __init__(self, p: float, rows: Rows, whole: bool = False) -> None:
        super().__init__()
        self.p, self._rows, self._whole = p, rows, whole

    def forward(self, x: Tensor) -> Tensor:
        """(B, …) to the same."""
        if not self.training or self.p == 0:
            return x
        shape = [1] * (x.dim() - 1) if self._whole else x.shape[1:]
        kept = torch.rand(self._rows.total, *shape) >= self.p  # on the CPU: the same on every device
        mine = kept[self._rows.start : self._rows.start + len(x)]
        return x * mine.to(x.device, x.dtype) / (1 - self.p)


class WholeBatchNorm(nn.BatchNorm2d):
    """Batch norm over the rows of all processes; torch has its own for GPUs alone."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
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
    """The sum over the processes, through which gradients flow back to all of them."""
    total: Tensor = all_reduce(values)  # type: ignore[no-untyped-call]
    return total


def _share_batch_norms(net: nn.Module) -> None:
    for module in net.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = WholeBatchNorm
