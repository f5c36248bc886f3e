"""Training the classifier: ILC teaches the mask head, UTKFace gender and age, drawn masks join the two.

A run folder holds a checkpoint an epoch; a run that was killed goes on from the last one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gatecam.errors import DataError, ModelError
from gatecam.training.augment import Patch, augmented_crop, dress
from gatecam.training.data import UNKNOWN, Faces
from gatecam.vision.backbone import HEADS, MobileFaceNet
from gatecam.vision.crops import CropSpec
from gatecam.vision.device import pick_device

CROP = CropSpec(size=112, margin=0.3, mean=127.5, std=128.0)
SMOOTHING = {"mask": 0.05, "gender": 0.05, "age": 0.1}
DRAWN_MASK_WEIGHT = 0.4  # of a drawn mask's say in the mask head: real ones keep it honest
MASK_SHARES = (0.45, 0.22, 0.33)  # of ILC's samples: correct, incorrect, none
DRESS_SHARES = (0.3, 0.2, 0.5)  # of UTKFace's samples


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a run is made of; a checkpoint of another recipe is not continued."""

    epochs: int = 12
    samples: int = 7000
    ilc_share: float = 0.5
    batch: int = 96
    learning_rate: float = 1.2e-3
    weight_decay: float = 0.02
    ema_decay: float = 0.995
    dropout: float = 0.2
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Report:
    """How far a run is: called for after every batch."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Crops (B, 3, S, S), labels a head (B,), -1 unknown, and the mask head's weights (B,)."""

    crops: Tensor
    labels: dict[str, Tensor]
    mask_weights: Tensor


class Sampler:
    """Draws balanced batches: mask states of ILC, gender × age cells of UTKFace, each dressed anew."""

    def __init__(self, ilc: Faces, utkface: Faces, recipe: Recipe) -> None:
        self._sources = (ilc, utkface)
        self._recipe = recipe
        usable = ~ilc.suspect
        self._by_mask = [np.flatnonzero(usable & (ilc.mask == m)) for m in range(3)]
        known = np.isfinite(utkface.landmarks).all((1, 2))
        cells = utkface.gender * 3 + utkface.age
        self._by_cell = [np.flatnonzero(known & (cells == c)) for c in range(6)]
        empty = [len(rows) == 0 for rows in (*self._by_mask, *self._by_cell)]
        if any(empty):
            raise DataError(
                "the training pictures lack a mask state, or a gender and age band: add pictures of all."
            )

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, the same for the same seed."""
        recipe = self._recipe
        rng = np.random.default_rng((recipe.seed, epoch))
        real = int(recipe.samples * recipe.ilc_share)
        states = rng.choice(3, real, p=MASK_SHARES)
        cells = rng.choice(6, recipe.samples - real)
        jobs = [(0, int(rng.choice(self._by_mask[m])), int(m)) for m in states]
        dressed = rng.choice(3, len(cells), p=DRESS_SHARES)
        jobs += [(1, int(rng.choice(self._by_cell[c])), int(m)) for c, m in zip(cells, dressed, strict=True)]
        seeds = rng.integers(0, 2**63, len(jobs))
        order = rng.permutation(len(jobs))
        with ThreadPoolExecutor(2) as pool:
            batches = [order[i : i + recipe.batch] for i in range(0, len(order), recipe.batch)]
            pending = None
            for rows in batches:  # one batch ahead of the network
                coming = [pool.submit(self._sample, jobs[i], int(seeds[i])) for i in rows]
                if pending is not None:
                    yield self._batch(*pending)
                pending = coming, [jobs[i] for i in rows]
            if pending is not None:
                yield self._batch(*pending)

    def _sample(self, job: tuple[int, int, int], seed: int) -> Tensor:
        source, row, state = job
        rng = np.random.default_rng(seed)
        patch = patch_of(self._sources[source], row)
        if source == 1:
            patch = dress(patch, state, rng)
        return augmented_crop(patch, CROP, rng)

    def _batch(self, samples: list, jobs: list[tuple[int, int, int]]) -> Batch:  # type: ignore[type-arg]
        crops = torch.stack([sample.result() for sample in samples])
        gender = [self._sources[s].gender[row] for s, row, _ in jobs]
        age = [self._sources[s].age[row] for s, row, _ in jobs]
        labels = {"mask": [state for *_, state in jobs], "gender": gender, "age": age}
        weights = [1.0 if source == 0 else DRAWN_MASK_WEIGHT for source, *_ in jobs]
        return Batch(crops, {k: torch.tensor(v) for k, v in labels.items()}, torch.tensor(weights))


def patch_of(faces: Faces, row: int) -> Patch:
    """One face of a set."""
    height, width = faces.sizes[row]
    return Patch(faces.patches[row, :height, :width], faces.boxes[row], faces.landmarks[row])


def start_model(recipe: Recipe, start: Path | None) -> MobileFaceNet:
    """A network whose backbone begins with the weights at `start`, if given.

    Raises:
        ModelError: the weights are missing or of another network.
    """
    torch.manual_seed(recipe.seed)
    model = MobileFaceNet(recipe.dropout)
    if start is None:
        return model
    try:
        tensors = load_file(start)
        missing, _ = model.load_state_dict(tensors, strict=False)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{start}: cannot be read as safetensors ({error}); check its path.") from error
    except RuntimeError as error:
        raise ModelError(
            f"{start}: its tensors have other shapes than MobileFaceNet's; give others."
        ) from error
    lacking = [name for name in missing if not name.startswith("heads.")]
    if lacking:
        raise ModelError(
            f"{start}: not the weights of a MobileFaceNet, {lacking[0]} is missing; give others."
        )
    return model


class Trainer:
    """One run: `train()` leaves the averaged network in `model`, a checkpoint an epoch in `folder`."""

    def __init__(self, sampler: Sampler, recipe: Recipe, start: Path | None, folder: Path) -> None:
        self._sampler, self._recipe, self._folder = sampler, recipe, folder
        self._device = pick_device("auto")
        self._net = start_model(recipe, start).to(self._device).to(memory_format=torch.channels_last)
        self._average = AveragedModel(
            self._net,
            multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay),  # type: ignore[no-untyped-call]
            use_buffers=True,
        )
        heads = list(self._net.heads.parameters())
        body = [p for n, p in self._net.named_parameters() if not n.startswith("heads.")]
        groups = [{"params": body, "scale": 1.0 if start is None else 0.5}, {"params": heads, "scale": 2.0}]
        self._optimizer = torch.optim.AdamW(groups, recipe.learning_rate, weight_decay=recipe.weight_decay)
        self._steps = -(-recipe.samples // recipe.batch)
        self._done = 0

    @property
    def model(self) -> MobileFaceNet:
        """The network with its weights averaged over the last steps."""
        model = self._average.module
        assert isinstance(model, MobileFaceNet)
        return model.eval()

    def train(self, report: Callable[[Report], None]) -> None:
        """Train to the end, from the last checkpoint of the same recipe if there is one."""
        self._resume()
        for epoch in range(self._done, self._recipe.epochs):
            started, total = time.perf_counter(), 0.0
            self._net.train()
            torch.manual_seed(self._recipe.seed + epoch)  # a resumed run drops out what a whole one does
            for step, batch in enumerate(self._sampler.epoch(epoch)):
                total += self._step(batch, epoch * self._steps + step)
                report(Report(epoch, self._recipe.epochs, step + 1, self._steps, total / (step + 1)))
            self._done = epoch + 1
            self._save(total / self._steps, time.perf_counter() - started)

    def _step(self, batch: Batch, step: int) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.learning_rate * group["scale"] * self._schedule(step)
        crops = batch.crops.to(self._device, memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16):
            logits = self._net(crops)
        loss = heads_loss({name: x.float() for name, x in logits.items()}, batch, self._device)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._net.parameters(), 5.0)
        self._optimizer.step()
        self._average.update_parameters(self._net)
        return float(loss.detach())

    def _schedule(self, step: int) -> float:
        """Linear warm-up, then a half cosine to nothing (Loshchilov and Hutter 2017)."""
        total, warm = self._steps * self._recipe.epochs, min(100, self._steps)
        if step < warm:
            return (step + 1) / warm
        return float(0.5 * (1 + np.cos(np.pi * (step - warm) / max(1, total - warm))))

    def _save(self, loss: float, seconds: float) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        state = {
            "recipe": asdict(self._recipe),
            "epochs": self._done,
            "net": self._net.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        part = self._folder / "checkpoint.part"
        torch.save(state, part)
        part.replace(self._folder / "checkpoint.pt")
        line = {"epoch": self._done, "loss": round(loss, 4), "seconds": round(seconds, 1)}
        with (self._folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def _resume(self) -> None:
        path = self._folder / "checkpoint.pt"
        if not path.is_file():
            return
        try:
            state = torch.load(path, map_location=self._device, weights_only=True)
            if state["recipe"] != asdict(self._recipe):
                raise DataError(
                    f"{path}: made with another recipe; give another --run folder, or remove this one."
                )
            self._net.load_state_dict(state["net"])
            self._average.load_state_dict(state["average"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._done = int(state["epochs"])
        except (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, UnpicklingError) as error:
            raise DataError(
                f"{path}: not a checkpoint of this training, or damaged; remove it to begin anew."
            ) from error


def heads_loss(logits: dict[str, Tensor], batch: Batch, device: torch.device) -> Tensor:
    """The heads' smoothed cross-entropies (Szegedy et al. 2016), summed; an unknown label adds nothing."""
    total = torch.zeros((), device=device)
    for name in HEADS:
        labels = batch.labels[name].to(device)
        known = labels != UNKNOWN
        if not known.any():
            continue
        losses = F.cross_entropy(
            logits[name][known], labels[known], label_smoothing=SMOOTHING[name], reduction="none"
        )
        weights = batch.mask_weights.to(device)[known] if name == "mask" else torch.ones_like(losses)
        total = total + (losses * weights).sum() / len(labels)
    return total


def fit_temperature(logits: Tensor, labels: NDArray[np.int64]) -> float:
    """The temperature that makes probabilities honest on held-out faces (Guo et al. 2017, section 4.2)."""
    target = torch.from_numpy(labels)
    candidates = torch.logspace(-0.7, 0.7, 141)
    losses = torch.stack([F.cross_entropy(logits / t, target) for t in candidates])
    return round(float(candidates[losses.argmin()]), 3)
