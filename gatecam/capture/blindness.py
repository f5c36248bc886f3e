"""Whether a camera's pictures show anything: not frozen, dark, blinded, covered, blurred or turned.

Cheap enough for the reader of every camera: at most ten pictures a second are looked at, small, and
what needs a clean picture is asked once a second of their mean, in which noise fades.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from gatecam.types import Blindness, Floats, Image

LOOK_S = 0.09  # at least between two looks: ten a second of a camera with 30 frames/s
CALM_S = 1.0  # of the mean picture
LOOK_WIDTH = 320

# Frozen -------------------------------------------------------------------------------------------
REMEMBERED = 1024  # looks: longer than a cycle of an encoder's key frames
GRID = 8  # hashes a side: a clock that is drawn into the picture goes on in few of them
FROZEN_S, LEARNT_FROZEN_S = 9.0, 6.5  # without a new picture; the latter once the stream is known
LEARN_FROZEN_S = 30.0
COMPARED = 64  # looks: a shorter loop would be a frozen picture
VERSIONS = 0.2  # unlike pictures a picture, at most, of a frozen one that is coded again and again
RARE = 4.0  # times the longest wait for a new picture that the stream ever had
TRULY_FROZEN = 2.0  # times the wait after which it is told
WAITS_KEPT_S = 600.0
STILL_WAIT_S = 1.0

# Light --------------------------------------------------------------------------------------------
DARK_LEVEL, BLACK_LEVEL = 30.0, 8.0  # of 255, that the brightest pixels stay below
WHITE_LEVEL = 248.0
BLINDED_SHARE = 0.6  # of the picture that is white
BLINDED_MORE = 0.35  # white that was not white before, where less of the picture is
LIGHT_HOLD_S = 3.0

# Structure ----------------------------------------------------------------------------------------
CELLS = 8  # a side: parts in which structure is compared
LEARN_S = 10.0  # before anything is compared with what was learnt
BACKGROUND_S = 120.0  # of the mean that is the background
PLAIN_S, DETAIL_S = 10.0, 600.0  # in which a cell is believed to have less detail, or more
LEAST_DETAIL = 0.012  # of a cell's gradient, in natural logarithms a pixel: less is a plain wall
LEAST_CONTRAST = 0.1  # of the coarse picture's logarithms: less is the same everywhere
LEAST_CELLS = 12  # with detail, below which a scene has too little to compare
COVERED_SHARE, COVERED_DETAIL = 0.92, 0.35  # of the cells that have so little of their detail left
BLURRED_SHARE, BLURRED_DETAIL = 0.8, 0.5
SAME_VIEW = 0.75  # correlation of two coarse pictures of one view
MATCH = 0.6  # correlation of the edges of a cell that shows the same
TURNED_SHARE = 0.2  # of the cells that still show the same
FAMILIAR_SHARE = 0.5  # below which nothing is learnt: somebody stands there, or the view has turned
STILL_SHARE = 0.7  # of the cells that show what they did some seconds ago
COVERED_HOLD_S, BLURRED_HOLD_S, TURNED_HOLD_S = 3.0, 9.0, 12.0
CLEAR_S = 1.5
ADOPT_S = 1800.0  # after which a strange view is the camera's new one

Hashes = NDArray[np.uint64]
Flags = NDArray[np.bool_]


class Sight:
    """Looks at one camera's pictures.

    It learns what the camera shows while it sees, so that a plain wall is not a covered lens, and starts
    anew with another size of pictures.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._looked_s = float("-inf")
        self._said = ""
        self._freshness, self._light, self._view = _Freshness(), _Light(), _View()

    def look(self, image: Image, time_s: float) -> str:
        """What is wrong with the view at a monotonic time, a `Blindness`, or an empty text.

        Args:
            image: (H, W, 3) RGB, of any size.
            time_s: when it was taken; pauses between pictures count for nothing.
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
    """Lets a condition through once it has held for a time, and ends it once it has not for `CLEAR_S`."""

    after_s: float
    held_s: float = 0.0
    gone_s: float = 0.0
    on: bool = False

    def update(self, holds: bool, elapsed_s: float) -> bool:
        """Whether the condition counts after `elapsed_s` more of holding, or not."""
        self.held_s = self.held_s + elapsed_s if holds else 0.0
        self.gone_s = 0.0 if holds else self.gone_s + elapsed_s
        self.on = self.gone_s < CLEAR_S if self.on else self.held_s >= self.after_s
        return self.on

    def end(self) -> None:
        """Begin anew."""
        self.held_s, self.on = 0.0, False


class _Freshness:
    """Whether pictures come that were not seen before.

    A sensor's noise makes every picture new; one that is frozen, and coded again and again, comes back in
    the same few versions, unlike a film that is played in a loop. How long a stream takes between new
    pictures is learnt: a coder may leave the noise of a still scene out for seconds.
    """

    def __init__(self) -> None:
        self._seen = np.zeros((REMEMBERED, GRID * GRID), np.uint64)
        self._count = self._looks = 0  # all, and those since the last new picture
        self._weights: Hashes | None = None
        self._usual = 0.5  # share of the grid that is new in a new picture
        self._now_s = self._waited_s = 0.0
        self._waits: deque[tuple[float, float]] = deque()  # when, and how long; the longest of their time
        self._is_frozen = False

    def look(self, image: Image, elapsed_s: float) -> bool:
        """Whether the stream is frozen, after one more picture."""
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
        """Unlike pictures a picture, of the latest since the last new one, where in the grid there are most.

        A few parts are left out, where a clock may be.
        """
        count = min(self._looks, COMPARED)
        latest = self._seen[(self._count - 1 - np.arange(count)) % REMEMBERED]
        versions = 1 + (np.diff(np.sort(latest, axis=0), axis=0) != 0).sum(0)
        return float(np.quantile(versions - 1, 0.9)) / count

    def _note_wait(self) -> None:
        """Remember a wait in which the picture stood still, unlike a film's that comes again.

        A wait that was told as frozen must not hide the next freeze. If it ended soon after, it may have been
        a still scene, and the same wait is not told again. If it lasted, the camera was frozen.
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
        """A hash of each part of the picture, of every so many rows, in full width."""
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
    """Whether there is too little or too much light to see by."""

    def __init__(self) -> None:
        self._dark, self._blinded = _Hold(LIGHT_HOLD_S), _Hold(LIGHT_HOLD_S)
        self._usual_white = 0.0

    def look(self, small: Floats, elapsed_s: float, view: _View) -> Blindness | None:
        """What is wrong with the light of one more picture."""
        brightest = float(np.percentile(small, 98))
        white = float((small >= WHITE_LEVEL).mean())
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
    """What is known of a view: of each cell its detail, and its edges; the coarse picture."""

    detail: Floats  # (CELLS * CELLS,) root of the mean square gradient, which blur lessens
    edges: Floats  # (CELLS * CELLS, pixels of a cell) gradient, smoothed
    coarse: Floats  # (12, 16)

    @classmethod
    def of(cls, picture: Floats) -> _Scene:
        """The scene of a clean picture of logarithms."""
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
        """Move towards the scene of now, in the cells that are as they were before: nobody passes there.

        A cell is soon believed to be plain, and slowly to have detail, which somebody may have brought.
        """
        still = before.shows(now) | (np.maximum(before.detail, now.detail) < LEAST_DETAIL)
        tau_s = min(BACKGROUND_S, learnt_s)
        self.edges += (elapsed_s / tau_s * still)[:, None] * (now.edges - self.edges)
        self.coarse += elapsed_s / tau_s * (now.coarse - self.coarse)
        slow_s = np.where(now.detail < self.detail, min(PLAIN_S, tau_s), min(DETAIL_S, learnt_s))
        self.detail += elapsed_s / slow_s * still * (now.detail - self.detail)

    def shows(self, other: _Scene) -> Flags:
        """Which cells of another scene show the same edges."""
        return np.asarray(_correlation(self.edges, other.edges) >= MATCH)


@dataclass(slots=True)
class _View:
    """Whether the camera shows, sharply, what it has shown so far."""

    _sum: Floats | None = None  # of the logarithms of the pictures since the last look at their mean
    _count: int = 0
    _known: _Scene | None = None
    _before: deque[_Scene] = field(default_factory=lambda: deque(maxlen=5))
    _learnt_s: float = 0.0
    _due_s: float = 0.0
    _strange_s: float = 0.0  # how long most of the view has not been what was learnt
    _found: Blindness | None = None
    _covered: _Hold = field(default_factory=lambda: _Hold(COVERED_HOLD_S))
    _blurred: _Hold = field(default_factory=lambda: _Hold(BLURRED_HOLD_S))
    _turned: _Hold = field(default_factory=lambda: _Hold(TURNED_HOLD_S))

    def look(self, small: Floats, elapsed_s: float, may_learn: bool) -> Blindness | None:
        """What is wrong with the view after one more picture; `may_learn` if nothing else is wrong."""
        logarithm = np.log(small + 8.0)
        self._sum = logarithm if self._sum is None else self._sum + logarithm
        self._count += 1
        self._due_s += elapsed_s
        if self._due_s >= CALM_S:
            self._compare(_Scene.of(self._sum / np.float32(self._count)), self._due_s, may_learn)
            self._sum, self._count, self._due_s = None, 0, 0.0
        return self._found

    def differs(self, small: Floats) -> bool:
        """Whether a picture, however dark, has another coarse structure than was learnt."""
        if self._known is None or self._learnt_s < LEARN_S or self._known.coarse.std() < LEAST_CONTRAST:
            return False
        coarse = cv2.resize(np.log(small + 8.0), (16, 12), interpolation=cv2.INTER_AREA)
        return float(_correlation(self._known.coarse.ravel(), np.asarray(coarse).ravel())) < 0.3

    def _compare(self, now: _Scene, elapsed_s: float, may_learn: bool) -> None:
        if self._known is None:
            self._known = now
            return
        known = self._known
        detailed = known.detail >= LEAST_DETAIL
        self._found = None
        if self._learnt_s >= LEARN_S and detailed.sum() >= LEAST_CELLS:
            self._found = self._judge(known, now, detailed, elapsed_s, may_learn)
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

    def _judge(
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
        """Whether a scene is what it was some seconds ago, and has something to show."""
        detailed = now.detail >= LEAST_DETAIL
        if len(self._before) < 5 or detailed.sum() < LEAST_CELLS:
            return False
        return bool(self._before[0].shows(now)[detailed].mean() >= STILL_SHARE)


def _small(image: Image) -> Floats:
    """The brightness (H, W) of a picture, at most `LOOK_WIDTH` wide, noise averaged out."""
    step = max(1, image.shape[1] // (2 * LOOK_WIDTH))
    grey = cv2.cvtColor(np.ascontiguousarray(image[::step, ::step]), cv2.COLOR_RGB2GRAY)
    scale = min(1.0, LOOK_WIDTH / grey.shape[1])
    size = max(16, round(grey.shape[1] * scale)), max(16, round(grey.shape[0] * scale))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)


def _cells(picture: Floats) -> Floats:
    """The pixels of each cell, (CELLS * CELLS, pixels); a rest at the edges is left out."""
    height, width = (side // CELLS for side in picture.shape)
    parts = picture[: height * CELLS, : width * CELLS].reshape(CELLS, height, CELLS, width)
    return np.asarray(parts.swapaxes(1, 2).reshape(CELLS * CELLS, height * width), np.float32)


def _correlation(one: Floats, other: Floats) -> Floats:
    """Pearson's, over the last axis; 0 where one of them is flat."""
    a, b = (x - x.mean(-1, keepdims=True) for x in (one, other))
    scale = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return np.asarray((a * b).sum(-1) / np.maximum(scale, 1e-9), np.float32)
