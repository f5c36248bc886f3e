"""Detect pictures that show nothing useful: frozen, dark, blinded, covered, blurred or turned views.

This is cheap enough for the reader of every camera. At most ten pictures a second are checked, at a small
size. Checks that need a clean picture use the mean of one second, in which noise fades.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from gatecam.types import Blindness, Floats, Image

LOOK_S = 0.09  # shortest time between two checks, about ten a second for a camera with 30 frames/s
CALM_S = 1.0  # length of the mean picture
LOOK_WIDTH = 320

# Frozen -------------------------------------------------------------------------------------------
REMEMBERED = 1024  # checks; longer than the key-frame cycle of an encoder
GRID = 8  # hashes per side: a clock in the picture changes only a few of them
# Time without a new picture; the second value holds once the stream is known
FROZEN_S, LEARNT_FROZEN_S = 9.0, 6.5
LEARN_FROZEN_S = 30.0
COMPARED = 64  # checks; a shorter loop counts as a frozen picture
VERSIONS = 0.2  # most versions per picture of a frozen picture that is encoded again and again
RARE = 4.0  # times the longest wait for a new picture that the stream has had
TRULY_FROZEN = 2.0  # times the limit: a longer wait was a frozen camera, not a still scene
WAITS_KEPT_S = 600.0
STILL_WAIT_S = 1.0

# Light --------------------------------------------------------------------------------------------
DARK_LEVEL, BLACK_LEVEL = 30.0, 8.0  # limits (of 255) for the brightest pixels
BRIGHTEST_SHARE = 0.98  # share of the pixels that are not brighter than the brightest that count
WHITE_LEVEL = 248
BLINDED_SHARE = 0.6  # share of the picture that is white
BLINDED_MORE = 0.35  # share that has become white, for smaller parts of the picture
LIGHT_HOLD_S = 3.0

# Structure ----------------------------------------------------------------------------------------
CELLS = 8  # cells per side in which structure is compared
LEARN_S = 10.0  # time of learning before anything is compared
BACKGROUND_S = 120.0  # time constant of the mean background
PLAIN_S, DETAIL_S = 10.0, 600.0  # time constants with which a cell's known detail falls and rises
LEAST_DETAIL = 0.012  # gradient of a cell, in natural logarithms per pixel; a plain wall has less
LEAST_CONTRAST = 0.1  # of the coarse picture's logarithms; a uniform view has less
LEAST_CELLS = 12  # fewest cells with detail that a scene needs for comparison
# Share of the cells, and the share of its detail that a cell has left
COVERED_SHARE, COVERED_DETAIL = 0.92, 0.35
BLURRED_SHARE, BLURRED_DETAIL = 0.8, 0.5
SAME_VIEW = 0.75  # correlation of two coarse pictures of the same view
MATCH = 0.6  # correlation of a cell's edges if it shows the same
TURNED_SHARE = 0.2  # largest share of cells that still show the same
# With a smaller share nothing is learnt: somebody is in front of the camera, or the view has turned
FAMILIAR_SHARE = 0.5
STILL_SHARE = 0.7  # share of cells that show the same as some seconds ago
COVERED_HOLD_S, BLURRED_HOLD_S, TURNED_HOLD_S = 3.0, 9.0, 12.0
CLEAR_S = 1.5
ADOPT_S = 1800.0  # time after which a changed view is taken as the camera's new one

LOGARITHMS = np.log(np.arange(256, dtype=np.float32) + 8)  # of a pixel's brightness

Grey = NDArray[np.uint8]  # (H, W)
Hashes = NDArray[np.uint64]
Flags = NDArray[np.bool_]


class Sight:
    """Checks whether one camera's pictures show anything.

    It learns what the camera shows while the view is fine, so a plain wall does not count as a covered lens.
    It starts again if the size of the pictures changes.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._looked_s = float("-inf")
        self._said = ""
        self._freshness, self._light, self._view = _Freshness(), _Light(), _View()

    def look(self, image: Image, time_s: float) -> str:
        """Return what is wrong with the view as a `Blindness`, or an empty text.

        Args:
            image: (H, W, 3) RGB, of any size.
            time_s: monotonic time of the picture. Pauses between pictures are not counted.
        """
        if image.shape != self._shape:
            self._shape = image.shape
            self._freshness, self._light, self._view = _Freshness(), _Light(), _View()
        if time_s - self._looked_s < LOOK_S:
            return self._said
        elapsed_s = min(CALM_S, time_s - self._looked_s)
        self._looked_s = time_s
        small = _small(image)
        wrong = self._light.look(small, elapsed_s, self._view)
        frozen = self._freshness.look(image, elapsed_s)
        structure = self._view.look(small, elapsed_s, may_learn=not (wrong or frozen))
        found = wrong or structure or (Blindness.FROZEN if frozen else None)
        self._said = str(found or "")
        return self._said


@dataclass(slots=True)
class _Hold:
    """Turns on once a condition has held for `after_s`, and off once it has been gone for `CLEAR_S`."""

    after_s: float
    held_s: float = 0.0
    gone_s: float = 0.0
    on: bool = False

    def update(self, holds: bool, elapsed_s: float) -> bool:
        """Update with whether the condition held for the last `elapsed_s`, and return whether it is on."""
        self.held_s = self.held_s + elapsed_s if holds else 0.0
        self.gone_s = 0.0 if holds else self.gone_s + elapsed_s
        self.on = self.gone_s < CLEAR_S if self.on else self.held_s >= self.after_s
        return self.on

    def end(self) -> None:
        """Turn off and start again."""
        self.held_s, self.on = 0.0, False


class _Freshness:
    """Detects a stream that brings no new pictures.

    Sensor noise makes every picture new. A frozen picture that is encoded again and again comes in the same
    few versions, while a film played in a loop has many. The usual time between new pictures is learnt,
    because an encoder may leave out the noise of a still scene for seconds.
    """

    def __init__(self) -> None:
        self._seen = np.zeros((REMEMBERED, GRID * GRID), np.uint64)
        self._count = self._looks = 0  # all checks, and those since the last new picture
        self._weights: Hashes | None = None
        self._usual = 0.5  # share of the grid that changes in a new picture
        self._now_s = self._waited_s = 0.0
        self._waits: deque[tuple[float, float]] = deque()  # (time, length) of waits, decreasing in length
        self._is_frozen = False

    def look(self, image: Image, elapsed_s: float) -> bool:
        """Return whether the stream is frozen, after one more picture."""
        self._now_s += elapsed_s
        self._waited_s += elapsed_s
        hashes = self._hash(image)
        new = float((~(self._seen == hashes).any(0)).mean())
        self._seen[self._count % REMEMBERED] = hashes
        self._count += 1
        self._looks += 1
        if new >= max(self._usual / 4, 1.5 / GRID**2):
            self._usual += 0.02 * (new - self._usual)
            self._note_wait()
            self._begin_wait()
        elif self._waited_s >= self._limit_s():
            self._is_frozen = self._versions() <= VERSIONS
            if not self._is_frozen:
                self._begin_wait()
        return self._is_frozen

    def _begin_wait(self) -> None:
        self._waited_s, self._looks, self._is_frozen = 0.0, 0, False

    def _versions(self) -> float:
        """Estimate how many different pictures the stream has shown per picture since the last new one.

        The cells with the most versions are left out, because they may show a clock.
        """
        count = min(self._looks, COMPARED)
        latest = self._seen[(self._count - 1 - np.arange(count)) % REMEMBERED]
        versions = 1 + (np.diff(np.sort(latest, axis=0), axis=0) != 0).sum(0)
        return float(np.quantile(versions - 1, 0.9)) / count

    def _note_wait(self) -> None:
        """Remember a wait in which the picture stood still. Waits of a looping film are left out.

        A wait that was reported as frozen must not hide the next freeze. If it ended soon afterwards, it may
        have been a still scene, and the same wait is not reported again. If it lasted, the camera was frozen.
        """
        if self._waited_s > STILL_WAIT_S and self._versions() > VERSIONS:
            return
        if self._is_frozen and self._waited_s > TRULY_FROZEN * self._limit_s():
            return
        waited_s = self._waited_s / RARE if self._is_frozen else self._waited_s
        while self._waits and self._waits[-1][1] <= waited_s:
            self._waits.pop()
        self._waits.append((self._now_s, waited_s))
        while self._waits[0][0] < self._now_s - WAITS_KEPT_S:
            self._waits.popleft()

    def _limit_s(self) -> float:
        if self._now_s < LEARN_FROZEN_S or not self._waits:
            return FROZEN_S
        return max(LEARNT_FROZEN_S, RARE * self._waits[0][1])

    def _hash(self, image: Image) -> Hashes:
        """Return a hash of each part of the picture, computed from some of its rows in full width."""
        rows = np.ascontiguousarray(image[:: max(1, image.shape[0] // 120)])
        flat = rows.reshape(len(rows), -1)
        pad = -flat.shape[1] % (8 * GRID), -len(flat) % GRID
        words = np.pad(flat, ((0, pad[1]), (0, pad[0]))).view(np.uint64) if any(pad) else flat.view(np.uint64)
        if self._weights is None:
            rng = np.random.default_rng(0)
            self._weights = rng.integers(0, 2**64, words.shape, np.uint64) | np.uint64(1)
        height, width = words.shape
        mixed = (words * self._weights).reshape(GRID, height // GRID, GRID, width // GRID)
        return np.asarray(mixed.sum((1, 3)).reshape(-1), np.uint64)


class _Light:
    """Detects a picture that is too dark or too bright to judge faces."""

    def __init__(self) -> None:
        self._dark, self._blinded = _Hold(LIGHT_HOLD_S), _Hold(LIGHT_HOLD_S)
        self._usual_white = 0.0

    def look(self, small: Grey, elapsed_s: float, view: _View) -> Blindness | None:
        """Return what is wrong with the light of one more picture."""
        shares = cv2.calcHist([small], [0], None, [256], [0, 256]).ravel().cumsum() / small.size
        brightest = int(np.searchsorted(shares, BRIGHTEST_SHARE))
        white = 1 - float(shares[WHITE_LEVEL - 1])
        is_blinded = white >= BLINDED_SHARE or white >= max(BLINDED_MORE, self._usual_white + BLINDED_MORE)
        if not is_blinded:
            self._usual_white += (white - self._usual_white) * elapsed_s / BACKGROUND_S
        if self._blinded.update(is_blinded, elapsed_s):
            return Blindness.BLINDED
        if self._dark.update(brightest < DARK_LEVEL, elapsed_s):
            return Blindness.COVERED if brightest >= BLACK_LEVEL and view.differs(small) else Blindness.DARK
        return None


@dataclass(slots=True)
class _Scene:
    """Holds what is known of a view: detail and edges of each cell, and the coarse picture."""

    detail: Floats  # (CELLS * CELLS,) root mean square of the gradient, which blur reduces
    edges: Floats  # (CELLS * CELLS, pixels of a cell) smoothed gradient
    coarse: Floats  # (12, 16)

    @classmethod
    def of(cls, picture: Floats) -> _Scene:
        """Return the scene of a clean picture of logarithms."""
        along, down = (cv2.Sobel(picture, cv2.CV_32F, dx, 1 - dx) for dx in (1, 0))
        gradient = np.asarray(cv2.magnitude(along, down), np.float32) / np.float32(8)
        smooth = cv2.resize(cv2.GaussianBlur(gradient, (0, 0), 2.0), None, fx=0.5, fy=0.5)
        coarse = cv2.resize(picture, (16, 12), interpolation=cv2.INTER_AREA)
        return cls(
            np.asarray(np.sqrt((_cells(gradient) ** 2).mean(1)), np.float32),
            _cells(np.asarray(smooth, np.float32)),
            np.asarray(coarse, np.float32),
        )

    def learn(self, now: _Scene, before: _Scene, elapsed_s: float, learnt_s: float) -> None:
        """Move towards the current scene in the cells that are as they were before, where nobody passes.

        A cell quickly counts as plain, but only slowly as detailed, because a person may bring the detail.
        """
        still = before.shows(now) | (np.maximum(before.detail, now.detail) < LEAST_DETAIL)
        tau_s = min(BACKGROUND_S, learnt_s)
        self.edges += (elapsed_s / tau_s * still)[:, None] * (now.edges - self.edges)
        self.coarse += elapsed_s / tau_s * (now.coarse - self.coarse)
        slow_s = np.where(now.detail < self.detail, min(PLAIN_S, tau_s), min(DETAIL_S, learnt_s))
        self.detail += elapsed_s / slow_s * still * (now.detail - self.detail)

    def shows(self, other: _Scene) -> Flags:
        """Return which cells of another scene show the same edges."""
        return np.asarray(_correlation(self.edges, other.edges) >= MATCH)


@dataclass(slots=True)
class _View:
    """Detects a view that is blurred, covered or turned compared with what the camera has shown so far."""

    _sum: Floats | None = None  # sum of the logarithms of the pictures since the last comparison
    _count: int = 0
    _known: _Scene | None = None
    _before: deque[_Scene] = field(default_factory=lambda: deque(maxlen=5))
    _learnt_s: float = 0.0
    _due_s: float = 0.0
    _strange_s: float = 0.0  # time for which most of the view has differed from what was learnt
    _found: Blindness | None = None
    _covered: _Hold = field(default_factory=lambda: _Hold(COVERED_HOLD_S))
    _blurred: _Hold = field(default_factory=lambda: _Hold(BLURRED_HOLD_S))
    _turned: _Hold = field(default_factory=lambda: _Hold(TURNED_HOLD_S))

    def look(self, small: Grey, elapsed_s: float, may_learn: bool) -> Blindness | None:
        """Return what is wrong with the view after one more picture. Set `may_learn` if nothing else is."""
        logarithm = np.asarray(cv2.LUT(small, LOGARITHMS), np.float32)
        self._sum = logarithm if self._sum is None else self._sum + logarithm
        self._count += 1
        self._due_s += elapsed_s
        if self._due_s >= CALM_S:
            self._compare(_Scene.of(self._sum / np.float32(self._count)), self._due_s, may_learn)
            self._sum, self._count, self._due_s = None, 0, 0.0
        return self._found

    def differs(self, small: Grey) -> bool:
        """Return whether even a dark picture has another coarse structure than the learnt one."""
        if self._known is None or self._learnt_s < LEARN_S or self._known.coarse.std() < LEAST_CONTRAST:
            return False
        coarse = cv2.resize(cv2.LUT(small, LOGARITHMS), (16, 12), interpolation=cv2.INTER_AREA)
        return float(_correlation(self._known.coarse.ravel(), np.asarray(coarse, np.float32).ravel())) < 0.3

    def _compare(self, now: _Scene, elapsed_s: float, may_learn: bool) -> None:
        if self._known is None:
            self._known = now
            return
        known = self._known
        detailed = known.detail >= LEAST_DETAIL
        self._found = None
        if self._learnt_s >= LEARN_S and detailed.sum() >= LEAST_CELLS:
            self._found = self._compare_with(known, now, detailed, elapsed_s, may_learn)
        self._before.append(now)
        if self._strange_s >= ADOPT_S:
            self._known, self._learnt_s, self._strange_s = now, 0.0, 0.0
            for hold in (self._covered, self._blurred, self._turned):
                hold.end()
        elif may_learn and not (
            self._found or self._strange_s or self._covered.held_s or self._blurred.held_s
        ):
            self._learnt_s += elapsed_s
            known.learn(now, self._before[0], elapsed_s, self._learnt_s)

    def _compare_with(
        self, known: _Scene, now: _Scene, detailed: Flags, elapsed_s: float, may_learn: bool
    ) -> Blindness | None:
        left = now.detail[detailed] / known.detail[detailed]
        same = float(_correlation(known.coarse.ravel(), now.coarse.ravel())) >= SAME_VIEW
        covered = (left < COVERED_DETAIL).mean() >= COVERED_SHARE and not same
        blurred = (left < BLURRED_DETAIL).mean() >= BLURRED_SHARE and same
        matching = known.shows(now)[detailed].mean()
        self._strange_s = 0.0 if matching >= FAMILIAR_SHARE else self._strange_s + elapsed_s
        turned = matching < TURNED_SHARE and not covered and not blurred and self._is_still(now)
        found = None
        for hold, holds, reason in (
            (self._covered, covered, Blindness.COVERED),
            (self._blurred, blurred, Blindness.UNFOCUSED),
            (self._turned, turned, Blindness.TURNED),
        ):
            if hold.update(bool(holds) and may_learn, elapsed_s) and found is None:
                found = reason
        return found

    def _is_still(self, now: _Scene) -> bool:
        """Return whether a scene is the same as some seconds ago and has enough detail."""
        detailed = now.detail >= LEAST_DETAIL
        if len(self._before) < 5 or detailed.sum() < LEAST_CELLS:
            return False
        return bool(self._before[0].shows(now)[detailed].mean() >= STILL_SHARE)


def _small(image: Image) -> Grey:
    """Return the brightness (H, W) of a picture, at most `LOOK_WIDTH` wide, with noise averaged out."""
    step = max(1, image.shape[1] // (2 * LOOK_WIDTH))
    grey = cv2.cvtColor(np.ascontiguousarray(image[::step, ::step]), cv2.COLOR_RGB2GRAY)
    scale = min(1.0, LOOK_WIDTH / grey.shape[1])
    size = max(16, round(grey.shape[1] * scale)), max(16, round(grey.shape[0] * scale))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _cells(picture: Floats) -> Floats:
    """Return the pixels of each cell, (CELLS * CELLS, pixels). A remainder at the edges is left out."""
    height, width = (side // CELLS for side in picture.shape)
    parts = picture[: height * CELLS, : width * CELLS].reshape(CELLS, height, CELLS, width)
    return np.asarray(parts.swapaxes(1, 2).reshape(CELLS * CELLS, height * width), np.float32)


def _correlation(one: Floats, other: Floats) -> Floats:
    """Return Pearson's correlation over the last axis, or 0 if one input is flat."""
    a, b = (x - x.mean(-1, keepdims=True) for x in (one, other))
    scale = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return np.asarray((a * b).sum(-1) / np.maximum(scale, 1e-9), np.float32)
