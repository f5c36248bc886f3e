"""Count gender and age only as totals, never for a person and never for fewer than ten people at once.

People are counted in memory. Once an hour, every class that has reached ten people is written as a whole and
starts at zero again. At least ten people of other classes must have worn their mask in the same way, because
events show how a person wore the mask: if all of them were in one class, it would show their gender and age
too. Counts that are not written stay in memory and are lost when the program ends. So neither the store nor
a change in it reveals anything about one person.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from gatecam.labels import AGE_LABELS, GENDER_LABELS, MASK_LABELS, class_id, class_parts
from gatecam.store.events import Total
from gatecam.types import Step, Verdict

LEAST = 10  # people of one class that are written at once
MASKS = {Verdict(label): index for index, label in enumerate(MASK_LABELS)}
HOUR = timedelta(hours=1)
FORGET_S = 60.0  # time since a track's last face


class _Sums:
    """Adds up the classifier's probabilities of one person's gender and age."""

    def __init__(self) -> None:
        self.gender: NDArray[np.float64] = np.zeros(len(GENDER_LABELS))
        self.age: NDArray[np.float64] = np.zeros(len(AGE_LABELS))
        self.seen_s = 0.0


class ClassTotals:
    """Counts each person once, at the person's first event, by mask, gender and age."""

    def __init__(self, now: datetime) -> None:
        """Start counting. `now` is the time of day."""
        self._hour = _hour(now)
        self._lock = threading.Lock()
        self._people: Counter[tuple[str, int]] = Counter()  # by camera and class
        self._sums: dict[tuple[str, int], _Sums] = {}  # by camera and track

    def note(self, step: Step) -> None:
        """Add a step. Steps must come in the order of their frames."""
        now_s = step.frame.time_s
        for track in step.tracks:
            for face in (face for face in track.faces if face.judged):
                sums = self._sums.setdefault((step.frame.camera, track.id), _Sums())
                sums.gender += face.prediction.gender
                sums.age += face.prediction.age
                sums.seen_s = now_s
        for event in step.events:
            sums = self._sums.get((event.camera, event.track_id), _Sums())
            if event.first and sums.seen_s:
                number = class_id(MASKS[event.verdict], int(sums.gender.argmax()), int(sums.age.argmax()))
                with self._lock:
                    self._people[event.camera, number] += 1
        if len(self._sums) > len(step.tracks):
            self._sums = {key: one for key, one in self._sums.items() if now_s - one.seen_s < FORGET_S}

    def due(self, now: datetime) -> list[Total]:
        """Return the classes to write, once an hour: at least ten people, among at least ten others."""
        if _hour(now) == self._hour:
            return []
        self._hour = _hour(now)
        with self._lock:
            full = {
                key: people for key, people in self._people.items() if people >= LEAST <= self._others(key)
            }
            for key in full:
                del self._people[key]
        day = f"{now - HOUR:%Y-%m-%d}"  # at midnight, that of the people who came before it
        return [Total(day, camera, number, people) for (camera, number), people in sorted(full.items())]

    def put_back(self, given: Sequence[Total]) -> None:
        """Count people again who were due but could not be written. They are due again after an hour."""
        with self._lock:
            for one in given:
                self._people[one.camera, one.class_id] += one.people

    def _others(self, key: tuple[str, int]) -> int:
        """Return how many people of other classes wore their mask in the same way at the same camera."""
        camera, mask = key[0], class_parts(key[1])[0]
        same = [one for one in self._people if one[0] == camera and class_parts(one[1])[0] == mask]
        return sum(self._people[one] for one in same) - self._people[key]


def _hour(now: datetime) -> str:
    return f"{now:%Y-%m-%d %H}"
