"""What a training run of the detector is made of: every choice that changes its result."""

from __future__ import annotations

from dataclasses import dataclass

from gatecam.errors import DataError

PRECISIONS = ("bf16", "fp32")


@dataclass(frozen=True, slots=True)
class DetectorRecipe:
    """All of a run but its pictures and the weights it starts with.

    Raises:
        DataError: a choice is none of those there are.
    """

    p_steps: int = 2500  # batches that P-Net learns from
    r_steps: int = 2500  # R-Net, each round
    o_steps: int = 4000  # O-Net, each round
    rounds: int = 2  # from the second on, R-Net and O-Net learn from what they themselves mistake
    windows: int = 32  # a batch of P-Net
    scenes: int = 30  # a batch of R-Net or O-Net, of each some 20 crops
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    ema_decay: float = 0.998
    portraits: int = 5000  # at most
    mined_face_px: int = 20  # smallest face that is looked for where mistakes are mined
    precision: str = "bf16"
    seed: int = 1

    def __post_init__(self) -> None:
        """Check the choices that are words."""
        if self.precision not in PRECISIONS:
            raise DataError(f"precision: expected {', '.join(PRECISIONS)}; got {self.precision!r}.")
