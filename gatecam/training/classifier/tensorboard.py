"""TensorBoard's figures of a run: `tensorboard --logdir RUN` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gatecam.errors import MissingExtraError


def require_tensorboard() -> None:
    """Make sure before long work that its figures can be written.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Training", "train") from error


class Board:
    """Writes figures an epoch into a run's folder; those from `epoch` on, of a run that was killed, go."""

    def __init__(self, folder: Path, epoch: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=epoch)

    def add(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Note the figures of an epoch by name."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
