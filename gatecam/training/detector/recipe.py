"""Define the recipe of a detector's training run: every setting that changes its result."""

from __future__ import annotations

from dataclasses import dataclass

from gatecam.errors import DataError

PRECISIONS = ("auto", "bf16", "fp32")


@dataclass(frozen=True, slots=True)
class DetectorRecipe:
    """Holds the settings of a run, except its pictures and its initial weights.

    Raises:
        DataError: a setting has an unknown value.
    """

    p_steps: int = 800  # batches for P-Net
    r_steps: int = 1500  # batches for R-Net in each round
    o_steps: int = 5000  # batches for O-Net in each round
    rounds: int = 1  # from the second on, R-Net and O-Net learn from their own mistakes
    windows: int = 32  # per batch of P-Net
    scenes: int = 30  # per batch of R-Net or O-Net; each gives about 20 crops
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    ema_decay: float = 0.998
    portraits: int = 30000  # at most
    mined_face_px: int = 20  # smallest face to search for where mistakes are mined
    precision: str = "auto"  # bf16 where the device computes it, and otherwise fp32
    seed: int = 1

    def __post_init__(self) -> None:
        """Check the settings that must be one of several words."""
        if self.precision not in PRECISIONS:
            raise DataError(f"precision: expected {', '.join(PRECISIONS)}; got {self.precision!r}.")
