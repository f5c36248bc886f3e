"""Decide from the colors of clothes and hair whether two faces may belong to one person.

These values of `unlikeness` were measured on the clips, between averages over 0.15 s. For one person up to
4 s later the median is 3, and 98 % are below 10, also for people who speak sign language. For people in
different clothes at the same door it is 10 to 45, and lowest for a dark and a grey shirt. For two people in
white shirts it is 4 to 11.
"""

from __future__ import annotations

import math

import numpy as np

from gatecam.types import Floats, Looks

UNLIKE = 9.0  # above this, a new track is not the person of a track that ended
STRANGE = 14.0  # above this, a track has passed to another person. Hands and things in front stay below it.
SAME_PLACE_IOU = 0.3  # two boxes are in the same place if they overlap this much
QUANTILE = 0.4  # of the cells by weight, because hands and things that are carried change the others
LEAST_WEIGHT = 2.5  # of the cells that both looks have, of 16.1 in all. With less, they cannot be compared.
BESIDE = (slice(0, 3), (0, 4))  # cells beside the head, which show what is behind the person
LEAST_GAIN, MOST_GAIN = np.float32(0.6), np.float32(1.6)  # of a change of the light, which scales L*, a*, b*
FADE_S = 1.0  # time constant of a person's mean looks


def unlikeness(a: Looks | None, b: Looks | None, same_place: bool) -> float | None:
    """Return how much two looks differ, or None if that is not known.

    The result is a distance in CIE Lab: the `QUANTILE` of the distances of the cells that both looks have.

    Args:
        a: looks of a face.
        b: looks of another.
        same_place: whether both faces are in the same place of the picture. Then the background beside the
            head tells how much the light has changed, and that difference does not count.
    """
    if a is None or b is None:
        return None
    weights = np.minimum(a.weights, b.weights)
    total = float(weights.sum())
    if total < LEAST_WEIGHT:
        return None
    difference = a.colors - (_gain(a, b) * b.colors if same_place else b.colors)
    distances = np.sqrt((difference * difference).sum(axis=-1)).ravel()
    order = distances.argsort()
    reached = weights.ravel()[order].cumsum() >= QUANTILE * total
    return float(distances[order[int(reached.argmax())]])


def _gain(a: Looks, b: Looks) -> np.float32:
    """Return how much brighter the background beside the head is in `a` than in `b`."""
    gains = a.colors[*BESIDE, 0] / np.maximum(b.colors[*BESIDE, 0], 1)
    return np.clip(np.float32(np.median(gains)), LEAST_GAIN, MOST_GAIN)


class MeanLooks:
    """Averages the looks of a person's faces. Old ones fade."""

    def __init__(self) -> None:
        self.looks: Looks | None = None
        self._weight = 0.0
        self._time_s = 0.0

    def add(self, looks: Looks | None, time_s: float) -> None:
        """Add the looks of a face, if they are known."""
        if looks is None:
            return
        kept = self._weight * math.exp((self._time_s - time_s) / FADE_S)
        if self.looks is None:
            self.looks = looks
        else:
            share = np.float32(1 / (kept + 1))
            colors: Floats = self.looks.colors + share * (looks.colors - self.looks.colors)
            self.looks = Looks(colors, np.minimum(self.looks.weights, looks.weights))
        self._weight, self._time_s = kept + 1, time_s
