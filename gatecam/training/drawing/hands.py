"""Draw hands in front of a face: over the mouth, curled, passing, or around a held thing."""

from __future__ import annotations

import numpy as np

from gatecam.training.drawing.head import floats
from gatecam.training.drawing.mesh import Layer
from gatecam.training.drawing.scene import Scene
from gatecam.training.drawing.solids import Rod, draw_rods
from gatecam.types import Floats

_FINGERS = (1.06, 1.19, 1.12, 0.9)  # lengths in units, from the index to the little finger
# of each bone: share of the finger's length, thickness relative to the finger's
_BONES = ((0.46, 1.05), (0.3, 0.98), (0.24, 0.88))
_THICK = 0.158  # radius of a finger
_KNUCKLE = 1.35  # from the wrist to the knuckle of the middle finger
_STRAIGHT = 0.4  # a finger that is bent less than this shows its nail
_NO_NAILS = np.zeros((0, 4), np.float32)


class _Hand:
    """Builds a hand from rods, seen from its back, beginning at the wrist."""

    def __init__(self, wrist: Floats, turn: float, flip: float) -> None:
        self.rods: list[Rod] = []
        self.nails: list[Floats] = []
        ahead, aside = (np.sin(turn), -np.cos(turn)), (flip * np.cos(turn), flip * np.sin(turn))
        self._wrist, self._axes = wrist, floats([aside, ahead])

    def _place(self, side: float, up: float) -> Floats:
        return floats(self._wrist + floats([side, up]) @ self._axes)

    def add_palm(self, thumb: float) -> None:
        """Add the forearm, the palm and a thumb. `thumb` says how far it is spread, 0 to 1."""
        self.rods.append(Rod(self._place(0, -2.2), self._place(0, 0.25), (0.42, 0.38), (-0.15, -0.08)))
        for i in range(4):
            side, up = _root(i)
            self.rods.append(
                Rod(self._place(side * 0.62, 0.05), self._place(side, up), (0.3, 0.2), (0, 0.03))
            )
        base, joint = self._place(-0.45, 0.35), self._place(-0.78 - 0.3 * thumb, 0.85)
        tip = self._place(-0.9 - 0.25 * thumb, 1.3 - 0.1 * thumb)
        self.rods += [Rod(base, joint, (0.24, 0.17), (0, 0.03)), Rod(joint, tip, (0.165, 0.14), (0.03, 0.04))]

    def add_finger(self, number: int, curl: float, angle: float) -> None:
        """Add finger 0 to 3 with a sideways angle. A curl of 1 hides its upper parts."""
        at, height = _root(number), 0.07 - 0.004 * number
        for part, (share, thick) in enumerate(_BONES):
            bend = curl * (0.6 + part)
            reach = share * _FINGERS[number] * np.cos(bend)
            after = at[0] + reach * np.sin(angle), at[1] + reach * np.cos(angle)
            higher = height + 0.12 * np.sin(bend)
            radius = _THICK * thick
            rod = Rod(self._place(*at), self._place(*after), (1.04 * radius, 0.96 * radius), (height, higher))
            self.rods.append(rod)
            at, height = after, higher
        if curl < _STRAIGHT:
            ahead = floats([np.sin(angle), np.cos(angle)]) @ self._axes
            self.nails.append(np.concatenate([self._place(*at), ahead]))

    def drawn(self, scene: Scene, rng: np.random.Generator) -> Layer | None:
        """Draw the hand in front of the face."""
        nails = np.stack(self.nails) if self.nails else _NO_NAILS
        return draw_rods(self.rods, nails, _skin(scene, rng), scene, rng)


def _root(number: int) -> tuple[float, float]:
    """Return a finger's knuckle: its distance beside the hand's axis and ahead of the wrist."""
    return (number - 1.5) * 0.28, _KNUCKLE - 0.06 * abs(number - 1.2)


def _skin(scene: Scene, rng: np.random.Generator) -> Floats:
    return floats(scene.light.skin * rng.uniform(0.95, 1.15))


def draw_hand(scene: Scene, rng: np.random.Generator) -> list[Layer | None]:
    """Draw a hand at the mouth or chin: flat, curled, with a finger at the lips, or open in passing."""
    flip = float(rng.choice([-1.0, 1.0]))
    turn = flip * rng.uniform(-1.5, 0.2)  # from the side or from below
    kind = ("flat", "curled", "finger", "open")[rng.choice(4, p=[0.45, 0.2, 0.1, 0.25])]
    bent = {"flat": (0.0, 0.35), "curled": (0.5, 0.95), "finger": (1.2, 1.3), "open": (0.0, 0.3)}[kind]
    curls = np.abs(rng.uniform(*bent) + rng.normal(0, 0.06, 4))
    if kind == "finger":
        curls[0], turn = 0.1, flip * rng.uniform(-0.5, 0.1)
    spread = rng.uniform(0.1, 0.22) if kind == "open" else rng.uniform(0.0, 0.05)
    goal = floats([rng.uniform(-0.35, 0.35), rng.uniform(0.9, 1.5)])
    reach = (1.0 + 0.9 * np.cos(min(float(curls.mean()), 1.4))) * rng.uniform(0.75, 1.0)
    hand = _Hand(floats(goal - reach * floats([np.sin(turn), -np.cos(turn)])), turn, flip)
    hand.add_palm(rng.uniform(0, 1))
    for number, curl in enumerate(curls.tolist()):
        hand.add_finger(number, curl, (number - 1.5) * spread)
    return [hand.drawn(scene, rng)]


def draw_grip(x: float, y: float, side: float, scene: Scene, rng: np.random.Generator) -> Layer | None:
    """Draw fingers around a thing held at (x, y). They come from one side, -1 or 1."""
    slant = rng.uniform(-0.25, 0.25)
    rods = []
    for i in range(4):
        root = floats([x + side, y + i * 0.26 + 0.1 * side * slant])
        tip = floats([x - side * rng.uniform(0.15, 0.4), y + i * 0.255 + 0.8 * slant])
        rods.append(Rod(root, tip, (0.17, 0.14), (0.0, 0.08)))
    palm = floats([x + side * 1.1, y + 0.1]), floats([x + side * 1.5, y + 1.6])
    rods.append(Rod(*palm, (0.35, 0.5), (0.0, -0.05)))
    return draw_rods(rods, _NO_NAILS, _skin(scene, rng), scene, rng)
