"""Draw live pictures, in a process of their own (`python -m gatecam.web.painting`, jobs on standard input).

A job is one line of JSON, and its image is in the memory that gatecam shares with the process. The answer on
standard output is the length of a line of JSON, that line, and the JPEG pictures that the line announces. The
process keeps nothing between jobs. It ends when gatecam does.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import cv2
import numpy as np

from gatecam.pictures.draw import annotate, door_picture
from gatecam.ports import FaceFinder
from gatecam.runtime.children import kill_with_parent
from gatecam.settings.schema import Config, Geometry
from gatecam.types import Box, Detection, Face, Frame, Image, Prediction, Step, Track, Verdict
from gatecam.web.tokens import Role

JPEG_QUALITY = 80
LARGEST_PX = 854  # width of a live picture
LENGTH = struct.Struct("<I")

Answer = tuple[dict[str, Any], list[bytes]]  # the line, and the pictures


class Painter(Protocol):
    """Searches and draws live pictures. Only one thread may use it, except for `interrupt`."""

    def find(self, image: Image) -> list[Box]:
        """Return the boxes that may hold a face, of a search at the width of a live picture."""
        ...

    def draw(
        self, step: Step, hidden: Mapping[Role, Sequence[Box]], geometry: Geometry | None = None
    ) -> dict[Role, bytes]:
        """Draw a step's picture for each role as JPEG, with that role's hidden boxes blurred."""
        ...

    def rest(self) -> None:
        """Free what drawing needs until the next call."""
        ...

    def interrupt(self) -> None:
        """Make a call that waits in another thread end soon."""
        ...


class LocalPainter:
    """Searches and draws in the process that calls it. The finder is built before the first search."""

    def __init__(self, build_finder: Callable[[], FaceFinder]) -> None:
        self._build_finder = build_finder
        self._finder: FaceFinder | None = None

    def find(self, image: Image) -> list[Box]:
        """Return the boxes that may hold a face."""
        if self._finder is None:
            self._finder = self._build_finder()
        return self._finder.find(image, LARGEST_PX)

    def draw(
        self, step: Step, hidden: Mapping[Role, Sequence[Box]], geometry: Geometry | None = None
    ) -> dict[Role, bytes]:
        """Draw a step's picture for each role as JPEG."""
        return {role: draw(step, boxes, role, geometry) for role, boxes in hidden.items()}

    def rest(self) -> None:
        """Do nothing."""

    def interrupt(self) -> None:
        """Do nothing."""


def draw(step: Step, hidden: Sequence[Box], role: Role, geometry: Geometry | None = None) -> bytes:
    """Draw a step's picture for a role as JPEG. Only the operator's has labels, the region and the places."""
    if role is Role.OPERATOR:
        return encode(annotate(step, banner=None, blur=hidden, geometry=geometry))
    return encode(door_picture(step, hidden))


def encode(image: Image) -> bytes:
    """Encode a picture as JPEG, scaled to at most 854 px wide."""
    height, width = image.shape[:2]
    if width > LARGEST_PX:
        size = (LARGEST_PX, round(height * LARGEST_PX / width))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    good, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert good
    return data.tobytes()


def drawing_job(
    step: Step, hidden: Mapping[Role, Sequence[Box]], geometry: Geometry | None
) -> dict[str, Any]:
    """Return all that drawing needs of a step except its image. Gender and age are left out."""
    return {
        "hidden": {role: [_sides(box) for box in boxes] for role, boxes in hidden.items()},
        "tracks": [_track_values(track) for track in step.tracks],
        "addressed": None if step.addressed is None else _track_values(step.addressed),
        "geometry": None
        if geometry is None
        else geometry.model_dump(mode="json", include={"region", "ignore"}),
    }


def answer(job: Mapping[str, Any], image: Image, painter: Painter) -> Answer:
    """Do a job: draw the pictures of a drawing job, else search the image."""
    if "hidden" not in job:
        return {"boxes": [_sides(box) for box in painter.find(image)]}, []
    hidden = {Role(role): [Box(*sides) for sides in boxes] for role, boxes in job["hidden"].items()}
    tracks = tuple(map(_track, job["tracks"]))
    addressed = None if job["addressed"] is None else _track(job["addressed"])
    geometry = None if job["geometry"] is None else Geometry.model_validate(job["geometry"])
    step = Step(Frame("", 0, 0.0, image), (), tracks, (), addressed)
    drawn = painter.draw(step, hidden, geometry)
    return {"pictures": {role: len(jpeg) for role, jpeg in drawn.items()}}, list(drawn.values())


def _sides(box: Box) -> list[float]:
    return [float(side) for side in (box.x1, box.y1, box.x2, box.y2)]


def _track_values(track: Track) -> dict[str, Any]:
    """Return what a track's box and label show."""
    return {
        "id": track.id,
        "box": _sides(track.box),
        "age_s": track.age_s,
        "verdict": track.verdict,
        "probability": float(track.probability),
        "is_picture": track.is_picture,
        "masks": [face.prediction.mask.tolist() for face in track.faces],
    }


def _track(values: Mapping[str, Any]) -> Track:
    box = Box(*values["box"])
    masks = [np.array(mask, np.float32) for mask in values["masks"]]
    unknown = np.zeros(2, np.float32), np.zeros(3, np.float32)
    return Track(
        values["id"],
        box,
        0,
        values["age_s"],
        Verdict(values["verdict"]),
        tuple(Face(Detection(box, 0.0), Prediction(mask, *unknown)) for mask in masks),
        values["probability"],
        is_picture=values["is_picture"],
    )


def main() -> None:
    """Do the jobs on standard input until it closes. The first line has the settings and the memory."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # gatecam itself decides when this process ends
    kill_with_parent()
    _give_way()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    settings = json.loads(sys.stdin.buffer.readline())
    config = Config.model_validate(settings["config"])

    def build_finder() -> FaceFinder:
        from gatecam.vision.finder import LowFaceFinder  # loads OpenVINO or torch

        return LowFaceFinder(config)

    painter = LocalPainter(build_finder)
    for line in sys.stdin.buffer:
        job = json.loads(line)
        height, width = job["size"]
        pixels = os.pread(settings["memory_fd"], height * width * 3, 0)
        image = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
        try:
            said, pictures = answer(job, image, painter)
        except Exception as error:  # the next picture may be drawn
            said, pictures = {"failure": f"{type(error).__name__}: {error}"}, []
        text = json.dumps(said).encode()
        answers.write(b"".join((LENGTH.pack(len(text)), text, *pictures)))
        answers.flush()


def _give_way() -> None:
    """Use one core, and only while no other program needs it."""
    cv2.setNumThreads(1)
    try:  # the analysis takes the core back at once. Even nice 19 took a seventh of its frame rate.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):  # not on Linux, or not allowed in this container
        os.nice(19)


if __name__ == "__main__":
    main()
