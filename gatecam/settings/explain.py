"""Explain for `gatecam config explain` what the detector's settings mean in m, px and s."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from gatecam.geometry import region_box
from gatecam.settings.schema import FACE_BREADTH_M, SMALLEST_FACE_PX, Config, DetectorConfig, Door

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

KEY = "detector.min_face_px"
WIDTHS_PX = (640, 1280, 1920)
WANTED_PX = 32  # smallest faces on which the classifier is evaluated
SMALL_PX = 24  # below this size a warning is shown
CAREFUL = "Careful: "


def explain(console: Console, config: Config, origins: Mapping[str, str]) -> None:
    """Print for each camera the smallest face, how far faces are found, its places and the searches."""
    for index, one in enumerate(config.watched):
        if config.cameras:
            console.print(
                *([""] if index else []), f"Camera {one.camera.name}", sep="\n", style="bold", markup=False
            )
        for text in _faces(one, origins.get(f"cameras.{index}.min_face_px", origins.get(KEY))):
            _print(console, text)
        console.print()
        console.print(_distances(one))
        for text in (*_view(one.detector), "", *_region(one), *_ignored(one), "", *_searches(one)):
            _print(console, text)


def face_note(config: Config) -> str:
    """Return up to three sentences on how the smallest face in the camera's pictures is computed."""
    smallest_px = _smallest_px(config, config.camera.width)
    if config.detector.min_face_px is not None:
        return f"Here {smallest_px} px, as given."
    if config.detector.door is None:
        return f"Here {smallest_px} px, the default without a door."
    steps = " ".join(_arithmetic(config, config.detector.door))
    return f"Here {smallest_px} px in pictures {config.camera.width} px wide, from the door. {steps}"


def _print(console: Console, text: str) -> None:
    console.print(text, style="yellow" if text.startswith(CAREFUL) else None)


def _smallest_px(config: Config, width_px: int) -> int:
    """Return the smallest face in pictures of a width, of which perhaps only a region is searched."""
    return config.detector.smallest_face_px(_searched_px(config, width_px)[0])


def _searched_px(config: Config, width_px: int) -> tuple[int, int]:
    """Return the size of the searched area in pictures with a given width and the camera's height."""
    box = region_box(config.detector.region or (0, 0, 1, 1), width_px, config.camera.height)
    return int(box.width), int(box.height)


def _arithmetic(config: Config, door: Door) -> list[str]:
    """Return the steps from the door to the size of the farthest face, one sentence per step."""
    detector, width_px, far_m = config.detector, config.camera.width, door.farthest_m
    shown_m = f"{detector.view_m(far_m):.2f} m"
    return [
        f"The farthest face in the doorway is at most {door.distance_m:g} + {door.width_m:g} / 2 = "
        f"{far_m:.2f} m away.",
        f"The picture shows 2 × {far_m:.2f} m × tan({detector.view_deg:g}° / 2) = {shown_m} there.",
        f"A face is {FACE_BREADTH_M} m wide: {FACE_BREADTH_M} m / {shown_m} × {width_px} px = "
        f"{detector.face_px(far_m, width_px):.2f} px.",
    ]


def _faces(config: Config, origin: str | None) -> Iterator[str]:
    """Yield the smallest face, how it is computed, and warnings about it."""
    detector, width_px = config.detector, config.camera.width
    smallest = f"Smallest face: {_smallest_px(config, width_px)} px"
    if detector.min_face_px is not None:
        yield f"{smallest}, as given{f' ({origin})' if origin else ''}."
    elif detector.door is None:
        yield (
            f"{smallest}, the default; set detector.door_width_m and detector.door_distance_m to compute it "
            "from the door."
        )
    else:
        yield f"{smallest} in pictures {width_px} px wide (camera.width), from the door:"
        yield from (f"  {step}" for step in _arithmetic(config, detector.door))
    searched = _searched_px(config, width_px)
    if _smallest_px(config, width_px) > min(searched):
        yield (
            f"{CAREFUL}such a face does not fit into the {searched[0]} × {searched[1]} px that are searched, "
            "so nothing is found; choose a smaller face or a larger region."
        )
    if detector.door is not None:
        yield from _careful_at_door(config, detector.door)


def _careful_at_door(config: Config, door: Door) -> Iterator[str]:
    """Yield warnings about the farthest face in the doorway, with what to do."""
    detector = config.detector
    face_px = math.floor(detector.face_px(door.farthest_m, config.camera.width))
    if face_px < SMALLEST_FACE_PX:
        yield (
            f"{CAREFUL}the farthest face in the doorway is {face_px} px wide, and none under "
            f"{SMALLEST_FACE_PX} px can be found."
        )
    elif detector.min_face_px is not None and detector.min_face_px > face_px:
        yield (
            f"{CAREFUL}the farthest face in the doorway is {face_px} px wide, so it is not found; remove "
            "min_face_px to find it."
        )
    if face_px < SMALL_PX:
        yield (
            f"{CAREFUL}{face_px} px are few for a reliable verdict; the classifier is evaluated on "
            f"{WANTED_PX} px and more. The farthest face has {WANTED_PX} px {_remedies(config, door)}."
        )


def _remedies(config: Config, door: Door) -> str:
    """Return what makes the farthest face large enough: more pixels, a nearer camera or a narrower lens.

    The last two are left out if they would cut off the sides of the doorway.
    """
    detector, width_px = config.detector, config.camera.width
    needed_px = math.ceil(WANTED_PX / detector.face_px(door.farthest_m, 1))
    nearer_m = _found_m(detector, WANTED_PX, width_px) - door.width_m / 2
    view_deg = 2 * math.degrees(math.atan(FACE_BREADTH_M * width_px / WANTED_PX / 2 / door.farthest_m))
    remedies = [f"with pictures {needed_px} px wide"]
    if detector.view_m(nearer_m) >= door.width_m:
        remedies.append(f"with the camera {math.floor(nearer_m * 10) / 10:g} m from the door")
    if 2 * door.distance_m * math.tan(math.radians(view_deg) / 2) >= door.width_m:
        remedies.append(f"with a lens of {math.floor(view_deg)}°")
    return ", or ".join(remedies)


def _found_m(detector: DetectorConfig, face_px: int, width_px: int) -> float:
    """Return up to which distance a face has at least `face_px` in a picture of a width, in m."""
    return detector.face_px(1, width_px) / face_px


def _distances(config: Config) -> Table:
    from rich.table import Table

    table = Table(title="How far faces are found", title_justify="left")
    for name in ("picture", "smallest face", "found up to"):
        table.add_column(name, justify="right")
    camera_px = config.camera.width
    for width_px in sorted({*WIDTHS_PX, camera_px}):
        smallest_px = _smallest_px(config, width_px)
        mark = "camera.width " if width_px == camera_px else ""
        far_m = _found_m(config.detector, smallest_px, width_px)
        table.add_row(f"{mark}{width_px} px", f"{smallest_px} px", f"{far_m:.2f} m")
    return table


def _view(detector: DetectorConfig) -> Iterator[str]:
    """Yield what the picture shows, and whether the door fits into it."""
    yield f"A face is {FACE_BREADTH_M} m wide, and the lens sees {detector.view_deg:g}° across the picture."
    door = detector.door
    if door is None:
        return
    shown_m = detector.view_m(door.distance_m)
    yield (
        f"At the door, {door.distance_m:g} m away, the picture shows {shown_m:.2f} m; the doorway is "
        f"{door.width_m:g} m wide."
    )
    if shown_m < door.width_m:
        back_m = math.ceil(door.width_m / detector.view_m(1) * 10) / 10
        view_deg = math.ceil(2 * math.degrees(math.atan(door.width_m / 2 / door.distance_m)))
        yield (
            f"{CAREFUL}people at the sides of the doorway are not seen. The picture shows all of it with the "
            f"camera {back_m:g} m from the door, or with a lens of {view_deg}°."
        )


def _region(config: Config) -> Iterator[str]:
    """Yield which part of the picture is searched, and how much of the door that covers."""
    detector, camera = config.detector, config.camera
    if detector.region is None:
        yield "Region: none, the whole picture is searched."
        return
    x1, y1, x2, y2 = detector.region
    width_px, height_px = _searched_px(config, camera.width)
    yield (
        f"Region: {width_px} × {height_px} px of {camera.width} × {camera.height} px are searched, "
        f"{(x2 - x1) * (y2 - y1):.0%} of the picture; faces outside are not found."
    )
    if detector.door is None:
        return
    shown_m = detector.view_m(detector.door.distance_m)
    left_m = shown_m * (x2 - x1)
    yield f"At the door it leaves {left_m:.2f} m of the {shown_m:.2f} m."
    if left_m < detector.door.width_m <= shown_m:
        yield f"{CAREFUL}people at the sides of the doorway are not found; widen the region."


def _ignored(config: Config) -> Iterator[str]:
    """Yield the places where faces are ignored, in px of the camera's picture."""
    if not config.detector.ignore:
        yield "Ignored places: none (ignore)."
        return
    yield "Ignored places: a face is ignored if its middle lies in one of these (ignore):"
    for place in config.detector.ignore:
        box = region_box(place, config.camera.width, config.camera.height)
        yield f"  x from {box.x1} to {box.x2} px, y from {box.y1} to {box.y2} px"


def _searches(config: Config) -> Iterator[str]:
    """Yield how often the whole picture is searched, and how long it may take to find a new face."""
    every, fps = config.detector.detect_every, config.camera.fps
    what = "picture" if config.detector.region is None else "region"
    wait = f"{every / fps:.2f} s at {fps:g} frames/s (camera.fps)"
    if every == 1:
        yield f"Searches: the whole {what} in every frame (detect_every 1)."
        yield f"A new face waits for the next frame, {wait}."
        return
    yield (
        f"Searches: the whole {what} in every {_ordinal(every)} frame at least (detect_every), and at once "
        "where something moves or a face is lost; in between only the known faces are searched."
    )
    yield f"A new face that moves nothing is found after at most {every} frames, {wait}."


def _ordinal(number: int) -> str:
    """Return an ordinal number: `2nd`, `10th`, `21st`, …"""
    last = 0 if number // 10 % 10 == 1 else number % 10
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"
