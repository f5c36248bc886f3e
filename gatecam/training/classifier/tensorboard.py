"""Write the figures of a run for TensorBoard. `tensorboard --logdir RUN` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gatecam.training.extras import require


def require_tensorboard() -> None:
    """Check that TensorBoard's figures can be written, before a long run begins.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """
    require("tensorboard", "Training")


class Board:
    """Writes the figures of each epoch into a run's folder.

    TensorBoard drops figures of `epoch` and later ones, which a killed run has left.
    """

    def __init__(self, folder: Path, epoch: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=epoch)

    def add(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Add the figures of an epoch by name."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Write pending figures and close the file."""
        self._writer.close()
