"""Send live pictures and presence from the live loop to any number of browsers.

round ─► LivePictures.note (keeps references) ─► a thread, only while somebody watches ─► Hub ─► browsers
                                                 └─ Painter: searches, blurs, draws, encodes

A picture is drawn and encoded once for all viewers, in a process that gives way to the analysis. A browser
asks for each next picture, so that a slow browser gets fewer pictures but no older ones.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from math import ceil, floor

from gatecam.geometry import clip
from gatecam.pictures.blur import AHEAD_S, Veil
from gatecam.pictures.draw import is_known_picture
from gatecam.runtime.backoff import Pauses
from gatecam.settings.schema import TRIAL, Config, Geometry, Regions
from gatecam.types import Presence, Step
from gatecam.web.painter import PainterError
from gatecam.web.painting import Painter
from gatecam.web.tokens import Role

LINGER_S = 10.0  # the painter's process ends when there was nothing to draw for this long
LONGEST_PAUSE_S = 30.0  # before a painter that fails again and again is started once more

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Viewer:
    """Holds what one browser has yet to receive. Only the server's loop may use it."""

    role: Role
    cameras: tuple[str, ...]
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    states: dict[str, Presence | None] = field(default_factory=dict)
    still: dict[str, Regions] = field(default_factory=dict)  # places of pictures, by camera
    seen: dict[str, int] = field(default_factory=dict)  # the number of the last picture, by camera
    is_ready: bool = True
    is_of_all: bool = False  # shows all cameras
    is_over: bool = False  # one of the cameras is no longer watched, or one was added to all of them


class Hub:
    """Passes the newest pictures and states to the viewers.

    Only the server's loop may use it, except for `watched`.
    """

    def __init__(self, cameras: Sequence[str]) -> None:
        self.cameras: tuple[str, ...] = ()
        self._viewers: set[Viewer] = set()
        self._pictures: dict[tuple[str, Role], tuple[int, bytes]] = {}
        self._numbers = count(1)
        self._states: dict[str, Presence | None] = {}
        self._still: dict[str, Regions] = {}
        self._watched: frozenset[tuple[str, Role]] = frozenset()
        self.watch(cameras)

    def watch(self, cameras: Sequence[str]) -> None:
        """Pass on pictures and states of these cameras from now on.

        Viewers of a camera that was removed connect again. If one was added, so do viewers of all cameras.
        """
        is_added = bool(set(cameras) - {*self.cameras, TRIAL})
        self.cameras = tuple(cameras)
        self._states = {camera: self._states.get(camera) for camera in cameras}
        self._still = {camera: self._still[camera] for camera in cameras if camera in self._still}
        for viewer in self._viewers:
            lacks = is_added and viewer.is_of_all
            if lacks or not set(viewer.cameras) <= set(cameras):
                viewer.is_over = True
                viewer.wake.set()
        self._count()

    @property
    def watched(self) -> frozenset[tuple[str, Role]]:
        """Return the cameras and roles of the pictures that somebody watches. Any thread may read this."""
        return self._watched

    def join(self, viewer: Viewer) -> None:
        """Add a viewer."""
        viewer.states = {camera: self.state(camera) for camera in viewer.cameras}
        if viewer.role is Role.OPERATOR:
            viewer.still = {camera: self._still[camera] for camera in viewer.cameras if camera in self._still}
        viewer.wake.set()
        self._viewers.add(viewer)
        self._count()

    def leave(self, viewer: Viewer) -> None:
        """Remove a viewer."""
        self._viewers.discard(viewer)
        self._count()

    def tell_state(self, presence: Presence) -> None:
        """Pass on a camera's presence. If the camera is blind, drop its pictures."""
        if presence.camera not in self.cameras:
            return  # it was just removed
        self._states[presence.camera] = presence
        if presence.blindness:
            self._keep({key for key in self._pictures if key[0] != presence.camera})
            self.tell_still(presence.camera, ())
        for viewer in self._viewers:
            if presence.camera in viewer.cameras:
                viewer.states[presence.camera] = presence
                viewer.wake.set()

    def tell_still(self, camera: str, places: Regions) -> None:
        """Tell operators where a camera shows faces that never moved, unless they know it already."""
        if self._still.get(camera, ()) == places:
            return
        self._still[camera] = places
        for viewer in self._viewers:
            if viewer.role is Role.OPERATOR and camera in viewer.cameras:
                viewer.still[camera] = places
                viewer.wake.set()

    def show(self, camera: str, role: Role, jpeg: bytes) -> None:
        """Pass on a picture if somebody still watches the camera."""
        if (camera, role) not in self._watched:
            return
        self._pictures[camera, role] = next(self._numbers), jpeg
        for viewer in self._viewers:
            if viewer.role is role and camera in viewer.cameras:
                viewer.wake.set()

    def next_pictures(self, viewer: Viewer) -> list[bytes]:
        """Return the pictures that a viewer has not seen yet, each after a byte with the camera's index."""
        found = []
        for place, camera in enumerate(viewer.cameras):
            number, jpeg = self._pictures.get((camera, viewer.role), (0, b""))
            if number > viewer.seen.get(camera, 0):
                viewer.seen[camera] = number
                found.append(bytes([place]) + jpeg)
        return found

    def state(self, camera: str) -> Presence | None:
        """Return a camera's presence, or None before its first frame is judged or after its removal."""
        return self._states.get(camera)

    def picture(self, camera: str) -> bytes | None:
        """Return the operator's newest picture of a camera, or None."""
        return self._pictures.get((camera, Role.OPERATOR), (0, None))[1]

    def _count(self) -> None:
        self._watched = frozenset((camera, one.role) for one in self._viewers for camera in one.cameras)
        self._keep(self._watched)

    def _keep(self, keys: Collection[tuple[str, Role]]) -> None:
        """Drop all other pictures, so that the next viewer does not see who was there before."""
        self._pictures = {key: shown for key, shown in self._pictures.items() if key in keys}


@dataclass(slots=True)
class _Scene:
    """Holds one camera's faces to blur and the steps that wait to be shown."""

    geometry: Geometry | None
    veil: Veil = field(default_factory=Veil)
    waiting: deque[Step] = field(default_factory=deque)
    to_search: Step | None = None
    due: Step | None = None


class LivePictures:
    """Lets a painter draw the pictures that somebody watches, in a daemon thread while its context is open.

    A live picture is shown 0.4 s late, so that later searches can find faces that must be blurred in it.
    """

    def __init__(
        self, config: Config, hub: Hub, painter: Painter, call_soon: Callable[[Callable[[], None]], None]
    ) -> None:
        """Prepare the thread. `call_soon` runs a function on the server's loop."""
        self._hub, self._painter, self._call_soon = hub, painter, call_soon
        self._pauses = Pauses(longest_s=LONGEST_PAUSE_S)
        self._period_s = 1 / config.web.fps
        self._scenes = {camera: _Scene(None) for camera in hub.cameras}
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="live pictures", daemon=True)
        self.apply(config)

    def apply(self, config: Config) -> None:
        """Apply new settings."""
        self._blurs = {Role.DOOR: config.privacy.blur_door, Role.OPERATOR: config.privacy.blur_operator}
        names = [one.camera.name for one in config.watched]
        if names != list(self._scenes):
            self._call_soon(partial(self._hub.watch, names))
        with self._changed:
            self._scenes = {name: self._scenes.get(name) or _Scene(None) for name in names}
        for one in config.watched:
            self._scenes[one.camera.name].geometry = one.detector

    def __enter__(self) -> LivePictures:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._painter.interrupt()
        self._thread.join(2)

    def tell(self, presence: Presence) -> None:
        """Pass on a camera's presence. This is an observer of `Presences`."""
        self._call_soon(partial(self._hub.tell_state, presence))

    def note(self, steps: Sequence[Step]) -> None:
        """Add a round's steps. Only references to them are kept."""
        watched = {camera for camera, _ in self._hub.watched}
        for step in steps:
            if (scene := self._scenes.get(step.frame.camera)) is None:
                continue  # it was just removed
            now_s = step.frame.time_s
            scene.veil.note(step)
            if step.frame.camera not in watched:
                scene.waiting.clear()
                continue
            if not scene.waiting or now_s - scene.waiting[-1].frame.time_s >= self._period_s * 0.9:
                scene.waiting.append(step)
            with self._changed:
                if scene.veil.wants_search(now_s):
                    scene.to_search = step
                while scene.waiting and scene.waiting[0].frame.time_s <= now_s - AHEAD_S:
                    scene.due = scene.waiting.popleft()
                if _has_work(scene):
                    self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._is_wanted, LINGER_S)
                if self._closing:
                    break
                jobs = [(scene, scene.to_search, scene.due) for scene in self._scenes.values()]
                for scene in self._scenes.values():
                    scene.to_search = scene.due = None
            if not any(to_search or due for _, to_search, due in jobs):
                self._painter.rest()
            for scene, to_search, due in jobs:
                if self._closing:
                    break
                try:
                    self._search(scene, to_search)
                    self._show(scene, due)
                except PainterError as error:
                    self._pause(error)
                except Exception:  # one failed picture must not stop all others
                    log.exception("A live picture could not be drawn.")
        self._painter.rest()

    def _is_wanted(self) -> bool:
        return self._closing or any(map(_has_work, self._scenes.values()))

    def _pause(self, error: PainterError) -> None:
        """Say that the painter has failed, and wait before it is started again."""
        if self._closing:
            return
        log.warning("%s Another is started.", error)
        with self._changed:
            self._changed.wait_for(lambda: self._closing, self._pauses.next())

    def _search(self, scene: _Scene, step: Step | None) -> None:
        if step is not None and any(self._blurs.values()):
            scene.veil.note_search(step.frame.time_s, self._painter.find(step.frame.image))

    def _show(self, scene: _Scene, step: Step | None) -> None:
        if step is None:
            return
        camera = step.frame.camera
        boxes = scene.veil.boxes(step.frame.time_s)
        hidden = {
            role: boxes if self._blurs[role] else () for name, role in self._hub.watched if name == camera
        }
        known = {role: boxes for role, boxes in hidden.items() if boxes is not None}
        if not known:
            return  # the search is late, so this picture is skipped
        for role, jpeg in self._painter.draw(step, known, scene.geometry).items():
            self._call_soon(partial(self._hub.show, camera, role, jpeg))
        self._pauses.reset()
        if Role.OPERATOR in known:
            self._call_soon(partial(self._hub.tell_still, camera, still_places(step)))


def still_places(step: Step) -> Regions:
    """Return the places of faces that never moved, in shares of the picture.

    They are rounded outward to hundredths, so that the noise of the camera changes them seldom.
    """
    height, width = step.frame.image.shape[:2]
    boxes = [clip(track.box, width, height) for track in step.tracks if is_known_picture(track)]
    return tuple(
        (
            floor(100 * box.x1 / width) / 100,
            floor(100 * box.y1 / height) / 100,
            ceil(100 * box.x2 / width) / 100,
            ceil(100 * box.y2 / height) / 100,
        )
        for box in boxes
        if box.area > 0
    )


def _has_work(scene: _Scene) -> bool:
    return scene.to_search is not None or scene.due is not None


def state_message(camera: str, presence: Presence | None) -> str:
    """Return the message for a browser about a camera. `people` is null before its first frame is judged."""
    state = presence or Presence(camera)
    people = None if presence is None else state.people
    verdict = None if state.verdict is None else state.verdict.value
    return json.dumps(
        {"camera": camera, "people": people, "verdict": verdict, "blindness": str(state.blindness)}
    )


def still_message(camera: str, places: Regions) -> str:
    """Return the message for an operator's browser about the faces of a camera that never moved."""
    return json.dumps({"camera": camera, "still": places})
