"""Gender and age as totals only: never of a person, and never of fewer than ten at once.

People are counted in memory. At the turn of an hour every class that has reached ten is handed on whole
and begins anew, if ten others came with their mask worn the same way: events tell how a person wore the mask,
and a class of all of them would tell the rest. What is not handed on stays in memory, and is forgotten with
the program. So neither the store nor a change in it tells of anyone by himself.
"""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from gatecam.store.events import Total
from gatecam.types import Step, Verdict

LEAST = 10
GENDERS, AGES = 2, 3
MASKS = {Verdict.CORRECT: 0, Verdict.INCORRECT: 1, Verdict.NONE: 2}
FORGET_S = 60.0  # since its last face


class _Looks:
    """The mean of what the classifier said of one person's gender and age."""

    def __init__(self) -> None:
        self.gender: NDArray[np.float64] = np.zeros(GENDERS)
        self.age: NDArray[np.float64] = np.zeros(AGES)
        self.seen_s = 0.0


class ClassTotals:
    """Counts each person once, at the first that they are told, by mask, gender and age."""

    def __init__(self, now: datetime) -> None:
        """`now` is the time of day."""
        self._hour = _hour(now)
        self._lock = threading.Lock()
        self._people: Counter[tuple[str, int]] = Counter()
        self._looks: dict[tuple[str, int], _Looks] = {}

    def note(self, step: Step) -> None:
        """Take in a step, in the order of frames."""
        now_s = step.frame.time_s
        for track in step.tracks:
            for face in (face for face in track.faces if face.judged):
                looks = self._looks.setdefault((step.frame.camera, track.id), _Looks())
                looks.gender += face.prediction.gender
                looks.age += face.prediction.age
                looks.seen_s = now_s
        for event in step.events:
            looks = self._looks.get((event.camera, event.track_id), _Looks())
            if event.first and looks.seen_s:
                class_id = MASKS[event.verdict] * 6 + int(looks.gender.argmax()) * 3 + int(looks.age.argmax())
                with self._lock:
                    self._people[event.camera, class_id] += 1
        if len(self._looks) > len(step.tracks):
            self._looks = {key: one for key, one in self._looks.items() if now_s - one.seen_s < FORGET_S}

    def due(self, now: datetime) -> list[Total]:
        """The classes to be written, once an hour: of ten people and more, among ten others and more."""
        if _hour(now) == self._hour:
            return []
        self._hour = _hour(now)
        with self._lock:
            full = {
                key: people for key, people in self._people.items() if people >= LEAST <= self._others(key)
            }
            for key in full:
                del self._people[key]
        day = f"{now:%Y-%m-%d}"
        return [Total(day, camera, class_id, people) for (camera, class_id), people in sorted(full.items())]

    def _others(self, key: tuple[str, int]) -> int:
        """How many of other gender or age wore their mask in the same way at the same camera."""
        camera, class_id = key
        same = [key for key in self._people if key[0] == camera and key[1] // 6 == class_id // 6]
        return sum(self._people[one] for one in same) - self._people[key]


def _hour(now: datetime) -> str:
    return f"{now:%Y-%m-%d %H}"
