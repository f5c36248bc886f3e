"""Define the recipe of a training run: every setting that changes its result."""

from __future__ import annotations

from dataclasses import dataclass

from gatecam.errors import DataError
from gatecam.vision.crops import PIXEL_MEAN, PIXEL_STD, CropSpec

HEAD_NAMES = ("three", "joint18")
SAMPLERS = ("mixed", "weighted", "plain")
LOSSES = ("cross-entropy", "focal")
PRECISIONS = ("auto", "bf16", "fp16", "fp32")
AUGMENTATIONS = (
    "border",
    "rotation",
    "backlight",
    "colour",
    "resolution",
    "blur",
    "noise",
    "jpeg",
    "jitter",
    "flip",
    "erasing",
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Holds the settings of a run, except its pictures and its initial weights.

    Raises:
        DataError: a setting has an unknown value.
    """

    backbone: str = "mobilenet_v1"
    heads: str = "three"
    size: int = 192  # side of the crop in px
    # around the face, in parts of its square's side; the neck shows a mask under the chin
    margin: float = 0.35
    epochs: int = 10
    samples: int = 12000  # faces per epoch; 0 takes as many as there are
    batch: int = 96  # faces per step, over all processes
    sampler: str = "mixed"
    loss: str = "cross-entropy"
    smoothing: float = 0.05
    class_weights: bool = False
    augmentations: tuple[str, ...] = AUGMENTATIONS
    draw: bool = True  # draw masks and other things on bare faces
    freeze_stem: bool = False
    learning_rate: float = 5e-4
    weight_decay: float = 0.02
    ema_decay: float = 0.99
    dropout: float = 0.2
    precision: str = "auto"  # bf16 where the device computes it, and otherwise fp32
    compiled: bool = False  # let torch compile the network, which needs a C++ compiler
    patience: int = 0  # stop after this many epochs without a better validation score; 0 never stops early
    seed: int = 1

    def __post_init__(self) -> None:
        """Check the settings that must be one of several words."""
        choices = (
            ("heads", self.heads, HEAD_NAMES),
            ("sampler", self.sampler, SAMPLERS),
            ("loss", self.loss, LOSSES),
            ("precision", self.precision, PRECISIONS),
            *(("augment", name, AUGMENTATIONS) for name in self.augmentations),
        )
        for what, value, allowed in choices:
            if value not in allowed:
                raise DataError(f"{what}: expected {', '.join(allowed)}; got {value!r}.")

    @property
    def crop(self) -> CropSpec:
        """Return how faces are cropped, in training and in serving."""
        return CropSpec(size=self.size, margin=self.margin, mean=PIXEL_MEAN, std=PIXEL_STD)
