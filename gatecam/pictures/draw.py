"""Draw pictures for people: boxes, the banner, blurred faces and the contact sheet.

No public function changes the arrays that it is given. Text is rendered with Pillow, because OpenCV has no
Hangul. Each text is rendered once per size and then only pasted into frames.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont, ImageOps

from gatecam.errors import OutputError
from gatecam.geometry import clip, expand, region_box
from gatecam.labels import MASK_LABELS
from gatecam.pictures.messages import CAMERA_MESSAGES, MESSAGES, PICTURE, BannerText
from gatecam.runtime.files import write_output
from gatecam.settings.schema import Geometry, Region
from gatecam.types import Box, Event, Face, Image, Step, Track, Verdict

Color = tuple[int, int, int]

FONT_PATH = Path(__file__).parents[1] / "assets" / "fonts" / "NanumSquareB.ttf"

# Different in lightness as well as in hue (amber light, green medium, red dark), for color-blind people.
COLORS: Mapping[Verdict, Color] = MappingProxyType(
    {
        Verdict.CORRECT: (0, 158, 115),
        Verdict.INCORRECT: (255, 183, 28),
        Verdict.NONE: (206, 32, 48),
        Verdict.UNKNOWN: (150, 150, 150),
    }
)
# The marks in Korean schoolbooks for right, half right and wrong, which do not depend on color.
SYMBOLS: Mapping[Verdict, str] = MappingProxyType(
    {Verdict.CORRECT: "○", Verdict.INCORRECT: "△", Verdict.NONE: "Ｘ", Verdict.UNKNOWN: "?"}
)
BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)
DARK: Color = (24, 26, 30)
LIGHT: Color = (225, 228, 232)
ALARM: Color = (255, 214, 10)  # differs from all verdicts: the fault is the camera's, not the visitor's

BLUR_BLOCKS = 2  # a blurred face has at most this many blocks on each side
BLUR_BLOCK_PX = 4  # a block has at least this many pixels on each side, so that small faces vanish too
BLUR_MARGIN = 0.25  # the detector's box leaves out ears and hair
BANNER_OPACITY = 0.88
PICTURE_S = 2.0  # a face that has not moved for this long is labelled as a picture
SETTLED = 0.5  # a verdict with a lower smoothed probability is shown as unsure
MIN_KOREAN_PX, MIN_ENGLISH_PX = 10, 8  # a line that needs a smaller size is broken in two
CELL_WIDTH, CELL_HEIGHT, CELL_GAP, CAPTION_PX = 400, 300, 16, 20
TILED_WIDTH = 1280  # of the picture that shows several cameras
MAX_MOMENTS = 60  # a longer sheet is too large for JPEG and viewers
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")


class Banner:
    """Chooses the message on the screen, for `hold_s` seconds of frame time after an event.

    The message is for the person whom the step addresses, and stays as long as it holds for that person. So
    "Thank you" is shown only while everybody in view wears a mask. While that person has no verdict, or
    nobody is in view, the message of the newest event stays. A thank-you does not replace another person's
    alert that is still shown. Events about the camera are not shown, because they do not concern visitors.
    """

    def __init__(self, hold_s: float = 3.0) -> None:
        self._hold_s = hold_s
        self._event: Event | None = None
        self._shown_s = 0.0
        self._text: BannerText | None = None

    def update(self, step: Step) -> BannerText | None:
        """Update the banner with a step and return its text, or None if there is nothing to say."""
        time_s = step.frame.time_s
        if not 0 <= time_s - self._shown_s < self._hold_s:
            self._event = None
        for event in step.events:
            if event.kind.is_camera:
                continue
            if self._event is None or self._gives_way(self._event, event):
                self._event, self._shown_s = event, time_s
        before, person = self._text, step.addressed
        self._text = None if self._event is None else self._text_for(self._event, person)
        if self._text is before is not None and person is not None and person.verdict is before.verdict:
            self._shown_s = time_s
        return self._text

    @staticmethod
    def _text_for(event: Event, addressed: Track | None) -> BannerText | None:
        if addressed is None:
            return MESSAGES[event.verdict]
        if addressed.verdict is not Verdict.UNKNOWN:
            return MESSAGES[addressed.verdict]
        return MESSAGES[event.verdict] if event.kind.is_alert else None

    @staticmethod
    def _gives_way(shown: Event, event: Event) -> bool:
        return event.kind.is_alert or not shown.kind.is_alert or event.track_id == shown.track_id


def annotate(
    step: Step,
    *,
    banner: BannerText | None,
    blur: Iterable[Box] = (),
    corner: str = "",
    geometry: Geometry | None = None,
) -> Image:
    """Draw a step: a labelled box for each track, a mark on the addressed person, and the banner.

    Args:
        step: the frame and its tracks. The frame's array is not changed.
        banner: the message to show, or None.
        blur: boxes to blur first.
        corner: a line of text for the top left corner, such as frame rate and age.
        geometry: the camera's settings, whose region and ignored places are outlined.
    """
    picture = blur_faces(step.frame.image, blur)
    if geometry is not None:
        _draw_geometry(picture, geometry)
    if step.addressed is not None:
        _draw_mark(picture, step.addressed)
    for track in step.tracks:
        _draw_box(picture, track.box, *_label(track))
    if corner:
        _paste(picture, _chip(corner, _fit(corner, _label_px(picture), picture.shape[1]), DARK), 0, 0)
    if banner is not None:
        _draw_banner(picture, banner)
    return picture


def door_picture(step: Step, blur: Iterable[Box] = ()) -> Image:
    """Draw a step for visitors. The addressed person is marked, and there is no text.

    The boxes in `blur` are blurred first.
    """
    picture = blur_faces(step.frame.image, blur)
    if step.addressed is not None:
        _draw_mark(picture, step.addressed)
    return picture


def is_known_picture(track: Track) -> bool:
    """Check whether a track is old enough to say that it follows a picture.

    Every track begins as a picture, because nobody has moved yet in the first frame.
    """
    return track.is_picture and track.age_s >= PICTURE_S


def camera_notice(image: Image | None, reason: str, since: str) -> Image:
    """Draw a notice in both languages that says why the camera is blind and since when.

    Args:
        image: the camera's picture, which is dimmed, or None if there is none.
        reason: a key of `CAMERA_MESSAGES`.
        since: the time of day.
    """
    picture = np.full((480, 640, 3), DARK, np.uint8) if image is None else image // 4
    korean, english = CAMERA_MESSAGES[reason]
    height, width = picture.shape[:2]
    panel = _panel(f"{korean} ({since}부터)", f"{english} (since {since})", ALARM, width, height)[:height]
    top = (height - len(panel)) // 2
    picture[top : top + len(panel)] = panel
    return picture


def tile(pictures: Sequence[Image]) -> Image:
    """Letterbox pictures into rows of equal cells. A single picture is returned unchanged."""
    if len(pictures) == 1:
        return pictures[0]
    columns = math.ceil(math.sqrt(len(pictures)))
    width = TILED_WIDTH // columns
    height = width * 3 // 4
    tiled = np.full((-(-len(pictures) // columns) * height, columns * width, 3), DARK, np.uint8)
    for i, picture in enumerate(pictures):
        _paste(tiled, _letterbox(picture, width, height), i % columns * width, i // columns * height)
    return tiled


def draw_faces(image: Image, faces: Sequence[Face], blur: Iterable[Box] = ()) -> Image:
    """Draw a box for each face, with its most likely mask label and that label's probability.

    The boxes in `blur` are blurred first.
    """
    picture = blur_faces(image, blur)
    for face in faces:
        best = int(face.prediction.mask.argmax())
        label = f"{MASK_LABELS[best]} {face.prediction.mask[best]:.2f}"
        _draw_box(picture, face.detection.box, COLORS[Verdict(MASK_LABELS[best])], [label])
    return picture


def blur_faces(image: Image, boxes: Iterable[Box]) -> Image:
    """Return a new picture in which the boxes, grown by `BLUR_MARGIN`, are blurred beyond recognition.

    Each box is averaged to at most 2 × 2 blocks, so the original pixels are lost and not just shuffled. Empty
    boxes and the parts of boxes outside the picture are ignored.
    """
    picture = image.copy()
    for box in boxes:
        if box.area <= 0:
            continue
        x1, y1, x2, y2 = _pixels(expand(box, BLUR_MARGIN), picture)
        if x1 >= x2 or y1 >= y2:
            continue
        face = picture[y1:y2, x1:x2]
        height, width = (min(BLUR_BLOCKS, max(1, side // BLUR_BLOCK_PX)) for side in face.shape[:2])
        blocks = cv2.resize(face, (width, height), interpolation=cv2.INTER_AREA)
        face[:] = cv2.resize(blocks, (x2 - x1, y2 - y1), interpolation=cv2.INTER_NEAREST)
    return picture


def thumbnail(image: Image) -> Image:
    """Letterbox a picture into a cell of the contact sheet, (300, 400, 3)."""
    return _letterbox(image, CELL_WIDTH, CELL_HEIGHT)


def contact_sheet(moments: Sequence[tuple[str, Image]], columns: int = 3) -> Image:
    """Draw a sheet of `(caption, picture)` moments in rows. Pictures of any size are letterboxed.

    The sheet shows the first `MAX_MOMENTS` and says how many are left out.
    """
    shown = moments[:MAX_MOMENTS]
    columns = max(1, min(columns, len(shown)))
    step_x, step_y = CELL_WIDTH + CELL_GAP, CELL_HEIGHT + 2 * CAPTION_PX + CELL_GAP
    rows = -(-len(shown) // columns)
    note = _sheet_note(len(moments))
    height = CELL_GAP + rows * step_y + (3 * CAPTION_PX if note else 0)
    sheet = np.full((height, CELL_GAP + columns * step_x, 3), DARK, dtype=np.uint8)
    for i, (caption, image) in enumerate(shown):
        x, y = CELL_GAP + i % columns * step_x, CELL_GAP + i // columns * step_y
        _paste(sheet, thumbnail(image), x, y)
        _paste(sheet, _chip(caption, _fit(caption, CAPTION_PX, CELL_WIDTH), DARK), x, y + CELL_HEIGHT + 4)
    if note:
        _paste(
            sheet, _chip(note, _fit(note, CAPTION_PX, CELL_WIDTH), DARK), CELL_GAP, height - 2 * CAPTION_PX
        )
    return sheet


def save_image(path: Path, image: Image) -> None:
    """Write a picture as JPEG or PNG, depending on the file's suffix. A failure leaves no partial file.

    Raises:
        OutputError: the suffix is another one, or the file cannot be written.
    """
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        expected = ", ".join(PICTURE_SUFFIXES)
        raise OutputError(f"{path}: expected a picture name that ends in {expected}: choose one of these.")
    encoded = io.BytesIO()
    kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    PIL.Image.fromarray(image).save(encoded, kind, quality=90)
    write_output(path, encoded.getvalue())


def _label(track: Track) -> tuple[Color, Sequence[str]]:
    """Return the color of a track's box and the lines of its label.

    A verdict that most of the recent faces contradict is settling. Then the label names the state of the last
    face, in gray and with a question mark.
    """
    if is_known_picture(track):
        return COLORS[Verdict.UNKNOWN], PICTURE
    if not track.is_picture and track.verdict is not Verdict.UNKNOWN and track.probability >= SETTLED:
        return COLORS[track.verdict], [f"#{track.id} {track.verdict} {track.probability:.2f}"]
    latest = "".join(MASK_LABELS[int(face.prediction.mask.argmax())] for face in track.faces)
    return COLORS[Verdict.UNKNOWN], [f"#{track.id} {latest}?"]


def _sheet_note(count: int) -> str:
    if count == 0:
        return "No events"
    return f"and {count - MAX_MOMENTS} more" if count > MAX_MOMENTS else ""


def _pixels(box: Box, image: Image) -> tuple[int, int, int, int]:
    """Return the pixels of the image that a box touches as x1, y1, x2, y2, with the ends excluded."""
    inside = clip(box, image.shape[1], image.shape[0])
    return int(inside.x1), int(inside.y1), int(np.ceil(inside.x2)), int(np.ceil(inside.y2))


def _draw_box(picture: Image, box: Box, color: Color, lines: Sequence[str]) -> None:
    """Draw a box with the lines of its label above it, or inside if there is no room above."""
    x1, y1, x2, y2 = _pixels(box, picture)
    if x1 >= x2 or y1 >= y2:
        return
    thickness = _line_width(picture)
    corners = (x1, y1), (x2 - 1, y2 - 1)
    cv2.rectangle(picture, *corners, BLACK, thickness + 2 * (thickness // 2))
    cv2.rectangle(picture, *corners, color, thickness)
    chips = [_chip(line, _fit(line, _label_px(picture), picture.shape[1]), color) for line in lines]
    above = y1 - sum(chip.shape[0] for chip in chips)
    y = above if above >= 0 else y1
    for chip in chips:
        _paste(picture, chip, max(0, min(x1, picture.shape[1] - chip.shape[1])), y)
        y += chip.shape[0]


def _draw_mark(picture: Image, track: Track) -> None:
    """Mark a face with a thick frame and an arrow above its label, in the color of the track's message."""
    x1, y1, x2, y2 = _pixels(track.box, picture)
    if x1 >= x2 or y1 >= y2:
        return
    color, thickness = COLORS[track.verdict], 2 * _line_width(picture)
    cv2.rectangle(picture, (x1, y1), (x2 - 1, y2 - 1), BLACK, 2 * thickness)
    cv2.rectangle(picture, (x1, y1), (x2 - 1, y2 - 1), color, thickness)
    size = round(1.5 * _label_px(picture))
    x, tip = (x1 + x2) // 2, y1 - size  # leaves room for the label
    base = tip - size
    if base < 0:  # there is no room above the face
        tip, base = y2 + 2 * thickness, y2 + 2 * thickness + size
    arrow = np.array([(x - size, base), (x + size, base), (x, tip)], np.int32)
    cv2.polylines(picture, [arrow], True, BLACK, thickness, cv2.LINE_AA)
    cv2.fillPoly(picture, [arrow], color, cv2.LINE_AA)


def _line_width(picture: Image) -> int:
    return max(1, round(int(min(picture.shape[:2])) / 220))


def _draw_geometry(picture: Image, geometry: Geometry) -> None:
    """Outline the region in a light color and the ignored places in gray, each place with its number."""
    if geometry.region is not None:
        _outline(picture, geometry.region, LIGHT)
    for number, place in enumerate(geometry.ignore, start=1):
        x1, y1 = _outline(picture, place, COLORS[Verdict.UNKNOWN])
        chip = _chip(f"{number}", max(8, _label_px(picture) * 3 // 4), COLORS[Verdict.UNKNOWN])
        _paste(picture, chip, x1, y1)


def _outline(picture: Image, region: Region, color: Color) -> tuple[int, int]:
    """Outline a region with a thin line between dark ones, which is visible on any background.

    Return its top left corner.
    """
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = _pixels(region_box(region, width, height), picture)
    cv2.rectangle(picture, (x1, y1), (x2 - 1, y2 - 1), DARK, 3)
    cv2.rectangle(picture, (x1, y1), (x2 - 1, y2 - 1), color, 1)
    return x1, y1


def _draw_banner(picture: Image, banner: BannerText) -> None:
    height, width = picture.shape[:2]
    korean = f"{SYMBOLS[banner.verdict]} {banner.korean}"
    panel = _panel(korean, banner.english, COLORS[banner.verdict], width, height)[:height]
    rows = picture[height - len(panel) :]
    rows[:] = cv2.addWeighted(panel, BANNER_OPACITY, rows, 1 - BANNER_OPACITY, 0)


@lru_cache(maxsize=32)
def _panel(korean_text: str, english_text: str, color: Color, width: int, height: int) -> Image:
    """Draw an opaque panel with both languages for a picture of `width` × `height`, as large as they fit."""
    margin = max(2, width // 40)
    large = max(MIN_KOREAN_PX, round(height * 0.1))
    korean = _break(korean_text, large, MIN_KOREAN_PX, width - 2 * margin)
    size = max(MIN_ENGLISH_PX, round(korean[0][1] * 0.6))
    english = _break(english_text, size, MIN_ENGLISH_PX, width - 2 * margin)
    lines = korean + english
    pad = max(2, large // 4)
    panel = PIL.Image.new("RGB", (width, 2 * pad + sum(_line_px(size) for _, size in lines)), color)
    pen, y = ImageDraw.Draw(panel), pad
    for text, size in lines:
        pen.text((width / 2, y + _line_px(size) / 2), text, font=_font(size), fill=_ink(color), anchor="mm")
        y += _line_px(size)
    return np.asarray(panel)


def _break(text: str, size: int, least: int, width: int) -> list[tuple[str, int]]:
    """Break a text into lines of `(text, size)` that fit the width.

    There is one line, or two if one line would be smaller than `least` px.
    """
    if (fitted := _fit(text, size, width)) >= least or " " not in text:
        return [(text, fitted)]
    spaces = [i for i, letter in enumerate(text) if letter == " "]
    middle = min(spaces, key=lambda i: abs(i - len(text) / 2))
    halves = text[:middle], text[middle + 1 :]
    fitted = min(_fit(half, size, width) for half in halves)
    return [(half, fitted) for half in halves]


@lru_cache(maxsize=256)
def _chip(text: str, size: int, color: Color) -> Image:
    """Draw a line of text on a patch of `color`."""
    font, pad = _font(size), max(1, size // 4)
    width, height = round(font.getlength(text)) + 2 * pad, _line_px(size) + pad
    patch = PIL.Image.new("RGB", (width, height), color)
    ImageDraw.Draw(patch).text((pad, height / 2), text, font=font, fill=_ink(color), anchor="lm")
    return np.asarray(patch)


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT_PATH, size)


def _fit(text: str, size: int, width: int) -> int:
    """Return the largest font size up to `size` at which the text's chip is not wider than `width` px."""
    needed = _font(size).getlength(text) + size / 2
    return size if needed <= width else max(1, int(size * width / needed))


def _line_px(size: int) -> int:
    return round(size * 1.2)


def _label_px(picture: Image) -> int:
    return max(10, int(min(picture.shape[:2]) / 30))


def _ink(color: Color) -> Color:
    """Return black or white, whichever has more contrast to the color (WCAG 2.1, relative luminance)."""
    linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return BLACK if luminance > 0.179 else WHITE


def _paste(picture: Image, patch: Image, x: int, y: int) -> None:
    place = picture[y : y + patch.shape[0], x : x + patch.shape[1]]
    place[:] = patch[: place.shape[0], : place.shape[1]]


def _letterbox(image: Image, width: int, height: int) -> Image:
    return np.asarray(ImageOps.pad(PIL.Image.fromarray(image), (width, height)))
