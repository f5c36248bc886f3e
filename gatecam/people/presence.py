"""Report how many people stand in front of each camera now, and whom the screen speaks to.

Events report what happened once. Presence describes the current state, for the pages and smart homes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

from gatecam.types import CameraCondition, CameraState, Presence, Step

_NONE: Mapping[str, str] = MappingProxyType({})


class Presences:
    """Notifies observers whenever a camera's presence changes. Observers must not block."""

    def __init__(self, observers: Sequence[Callable[[Presence], None]]) -> None:
        self._observers = list(observers)
        self._reported: dict[str, Presence] = {}

    def add(self, observer: Callable[[Presence], None]) -> None:
        """Add an observer and call it at once with the current presence of every camera."""
        self._observers.append(observer)
        for presence in self._reported.values():
            observer(presence)

    def keep(self, cameras: Collection[str]) -> None:
        """Forget all cameras except these."""
        self._reported = {name: presence for name, presence in self._reported.items() if name in cameras}

    def note(
        self, steps: Sequence[Step], states: Mapping[str, CameraState], slow: Mapping[str, str] = _NONE
    ) -> None:
        """Update the presence from a round's steps, the cameras' states and the reasons for slowness."""
        for camera, state in states.items():
            if reason := state.blindness:
                self._report(Presence(camera, blindness=reason))
            elif state.kind is CameraCondition.OPENING and camera in self._reported:
                self._report(Presence(camera, slowness=slow.get(camera, "")))
        for step in steps:
            camera = step.frame.camera
            if (known := states.get(camera)) is not None and not known.sees:
                continue
            self._report(_presence(step, slow.get(camera, "")))

    def _report(self, presence: Presence) -> None:
        if self._reported.get(presence.camera) != presence:
            self._reported[presence.camera] = presence
            for observer in self._observers:
                observer(presence)


def _presence(step: Step, slowness: str) -> Presence:
    people = sum(not track.is_picture for track in step.tracks)
    person = step.addressed
    if person is None:
        return Presence(step.frame.camera, people, slowness=slowness)
    return Presence(
        step.frame.camera, people, person.verdict, slowness=slowness, track_id=person.id, box=person.box
    )
