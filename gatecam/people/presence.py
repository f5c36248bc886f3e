"""Report how many people stand in front of each camera now, and the verdict of the nearest one.

Events report what happened once. Presence describes the current state, for the pages and smart homes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from gatecam.types import CameraState, Presence, Step, Track

_NONE: Mapping[str, str] = MappingProxyType({})
NEARER = 1.3  # another face is nearer from this ratio of areas on, so two side by side do not alternate


class Nearest:
    """Chooses the nearest person of one camera: the one with the largest face, with some hysteresis."""

    def __init__(self) -> None:
        self._track_id = 0

    def of(self, tracks: Sequence[Track]) -> Track | None:
        """Return the nearest person of a frame, or None if nobody is there."""
        if not tracks:
            return None
        largest = max(tracks, key=lambda track: track.box.area)
        current = next((track for track in tracks if track.id == self._track_id), None)
        if current is None or largest.box.area > NEARER * current.box.area:
            current = largest
        self._track_id = current.id
        return current


class Presences:
    """Notifies observers whenever a camera's presence changes. Observers must not block."""

    def __init__(self, observers: Sequence[Callable[[Presence], None]]) -> None:
        self._observers = list(observers)
        self._nearest: dict[str, Nearest] = {}
        self._told: dict[str, Presence] = {}

    def add(self, observer: Callable[[Presence], None]) -> None:
        """Add an observer and call it at once with the current presence of every camera."""
        self._observers.append(observer)
        for presence in self._told.values():
            observer(presence)

    def note(
        self, steps: Sequence[Step], states: Mapping[str, CameraState], slow: Mapping[str, str] = _NONE
    ) -> None:
        """Update the presence from a round's steps, the cameras' states and the reasons for slowness."""
        for camera, state in states.items():
            if reason := state.blindness:
                self._tell(Presence(camera, blindness=reason))
        for step in steps:
            camera = step.frame.camera
            if (known := states.get(camera)) is not None and not known.sees:
                continue
            nearest = self._nearest.setdefault(camera, Nearest()).of(step.tracks)
            verdict = None if nearest is None else nearest.verdict
            self._tell(Presence(camera, len(step.tracks), verdict, slowness=slow.get(camera, "")))

    def _tell(self, presence: Presence) -> None:
        if self._told.get(presence.camera) != presence:
            self._told[presence.camera] = presence
            for observer in self._observers:
                observer(presence)
