"""Pictures: what people must be able to see, and what nobody may see any more."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from PIL import ImageFont

from gatecam.errors import OutputError
from gatecam.pictures import draw
from gatecam.pictures.draw import (
    CAMERA_MESSAGES,
    COLORS,
    MESSAGES,
    SYMBOLS,
    Banner,
    annotate,
    blur_faces,
    camera_notice,
    contact_sheet,
    door_picture,
    draw_faces,
    save_image,
    thumbnail,
    tile,
)
from gatecam.settings.schema import DetectorConfig
from gatecam.types import (
    Blindness,
    Box,
    Detection,
    Event,
    EventKind,
    Face,
    Frame,
    Prediction,
    Step,
    Track,
    Verdict,
)

SIZES = [(64, 64), (640, 480), (480, 854), (3840, 2160), (640, 40), (40, 640), (1, 1), (63, 65)]


def noise(width=640, height=480, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def face(box, mask=(0.1, 0.2, 0.7)):
    half = np.full(2, 0.5, np.float32)
    prediction = Prediction(np.array(mask, np.float32), half, np.full(3, 1 / 3, np.float32))
    return Face(Detection(box, 0.99), prediction)


def step(image, tracks=(), faces=(), events=(), time_s=0.0, addressed=None):
    return Step(Frame("gate", 0, time_s, image), tuple(faces), tuple(tracks), tuple(events), addressed)


def track(box, verdict=Verdict.NONE, track_id=3, probability=0.97, **more):
    return Track(track_id, box, 3, 5.0, verdict, probability=probability, **more)


def updated(banner, events, time_s, verdict=None):
    """Update a banner with a step that addresses a person with this verdict, or nobody."""
    addressed = None if verdict is None else track(Box(0, 0, 9, 9), verdict, track_id=7)
    return banner.update(step(noise(9, 9), events=events, time_s=time_s, addressed=addressed))


def event(kind=EventKind.MASK_MISSING, track_id=1):
    verdict = {EventKind.MASK_OK: Verdict.CORRECT, EventKind.MASK_INCORRECT: Verdict.INCORRECT}
    return Event(kind, "gate", track_id, verdict.get(kind, Verdict.NONE), 0.0)


def contrast(a, b):
    """The WCAG 2.1 contrast ratio of two colours, 1 to 21."""

    def luminance(color):
        c = np.asarray(color) / 255
        return np.dot(
            np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4), [0.2126, 0.7152, 0.0722]
        )

    bright, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("verdict", Verdict)
def test_annotate_gives_a_new_picture_of_the_same_size_and_leaves_the_frame_alone(size, verdict):
    width, height = size
    image = noise(width, height)
    image.setflags(write=False)
    boxes = [
        Box(width * 0.2, height * 0.2, width * 0.5, height * 0.6),
        Box(-50, -50, width + 50, height + 50),
    ]
    drawn = annotate(
        step(image, [track(box, verdict) for box in boxes]),
        banner=MESSAGES[verdict],
        blur=boxes,
        corner="30.0 fps  age 41 ms",
    )
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    assert drawn is not image
    assert (drawn != image).any()


def test_a_box_has_the_colour_of_its_verdict_and_a_label_above_it():
    image = np.zeros((480, 640, 3), np.uint8)
    for verdict in Verdict:
        drawn = annotate(step(image, [track(Box(200, 200, 300, 320), verdict)]), banner=None)
        assert tuple(drawn[260, 200]) == COLORS[verdict]
        label = drawn[185:198, 200:230].reshape(-1, 3)
        assert (label == COLORS[verdict]).all(axis=1).mean() > 0.3
        assert not (label == COLORS[verdict]).all()


@pytest.mark.parametrize("box", [Box(700, 10, 800, 90), Box(100, 100, 100, 100), Box(90, 90, 50, 50)])
def test_boxes_outside_the_frame_or_empty_are_not_drawn(box):
    image = noise()
    drawn = annotate(step(image, [track(box)], [face(box)]), banner=None, blur=[box])
    np.testing.assert_array_equal(drawn, image)


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("background", [0, 255])
def test_the_banner_is_legible_on_black_and_on_white(verdict, background):
    image = np.full((480, 640, 3), background, np.uint8)
    rows = annotate(step(image), banner=MESSAGES[verdict])[-80:].reshape(-1, 3)
    colors, counts = np.unique(rows, axis=0, return_counts=True)
    panel, text = colors[counts.argsort()[::-1][:2]]
    assert contrast(panel, text) >= 3  # WCAG 2.1, 1.4.3: large text


@pytest.mark.parametrize("size", [size for size in SIZES if min(size) >= 64])
@pytest.mark.parametrize("verdict", Verdict)
def test_both_lines_of_the_banner_fit_the_width_and_can_be_read(size, verdict):
    width, height = size
    message = MESSAGES[verdict]
    korean = f"{SYMBOLS[verdict]} {message.korean}"
    panel = draw._panel(korean, message.english, COLORS[verdict], width, height)
    assert panel.shape[1] == width
    assert len(panel) <= 0.75 * height
    ink = (panel != COLORS[verdict]).any(axis=2)
    assert not ink[:, [0, -1]].any()
    assert not ink[[0, -1]].any()
    assert ink.any(axis=1).sum() >= 16


def test_every_letter_and_symbol_of_the_messages_is_in_the_font():
    font = ImageFont.truetype(draw.FONT_PATH, 40)
    missing = bytes(font.getmask("\U0010fffd"))
    texts = [each for m in MESSAGES.values() for each in (m.korean, m.english)]
    texts += [each for pair in CAMERA_MESSAGES.values() for each in (*pair, "(since 11-24 14:05:09부터)")]
    text = "".join(texts) + "".join(SYMBOLS.values())
    assert [letter for letter in set(text) - {" "} if bytes(font.getmask(letter)) == missing] == []
    assert set(MESSAGES) == set(COLORS) == set(SYMBOLS) == set(Verdict)


@pytest.mark.parametrize("size", [size for size in SIZES if min(size) >= 64])
@pytest.mark.parametrize("reason", CAMERA_MESSAGES)
def test_a_camera_that_does_not_see_is_a_notice_over_a_dimmed_picture(size, reason):
    image = np.full((size[1], size[0], 3), 200, np.uint8)
    notice = camera_notice(image, reason, "11-24 14:05:09")
    assert notice.shape == image.shape
    assert (notice[0] == 50).all()
    assert (notice[size[1] // 2] == draw.ALARM).all(axis=-1).any()
    assert (image == 200).all()


def test_a_lost_camera_has_a_notice_without_any_picture():
    notice = camera_notice(None, "lost", "11-24 14:05:09")
    assert (notice[[0, -1]] == draw.DARK).all()
    assert (notice != camera_notice(None, "lost", "11-24 14:05:10")).any()


def test_every_reason_not_to_see_has_its_words():
    assert set(CAMERA_MESSAGES) == set(Blindness)


def test_several_pictures_are_tiled_and_one_stays_as_it_is():
    pictures = [np.full((48, 64, 3), level, np.uint8) for level in (60, 120, 180)]
    assert tile(pictures[:1]) is pictures[0]
    tiled = tile(pictures)
    height, width = tiled.shape[:2]
    assert [tiled[y, x, 0] for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)] == [
        60,
        120,
        180,
        draw.DARK[0],
    ]


def test_the_fonts_licence_ships_beside_it():
    assert "SIL OPEN FONT LICENSE" in (draw.FONT_PATH.parent / "OFL.txt").read_text(encoding="utf-8")


def test_an_annotated_frame_costs_a_few_milliseconds():
    drawing = step(noise(), [track(Box(200, 100, 300, 220))])
    boxes = [drawing.tracks[0].box]
    annotate(drawing, banner=MESSAGES[Verdict.NONE], blur=boxes)
    times_s = []
    for _ in range(20):
        start = time.process_time()  # a busy machine does not count
        annotate(drawing, banner=MESSAGES[Verdict.NONE], blur=boxes)
        times_s.append(time.process_time() - start)
    assert min(times_s) < 0.005


def test_the_banner_holds_a_message_for_its_time_and_then_falls_silent():
    banner = Banner(hold_s=3.0)
    assert updated(banner, [], 0.0) is None
    assert updated(banner, [event()], 1.0) is MESSAGES[Verdict.NONE]
    assert updated(banner, [], 3.9) is MESSAGES[Verdict.NONE]
    assert updated(banner, [], 4.0) is None


def test_the_banner_stays_as_long_as_its_message_holds_for_the_addressed_person():
    banner = Banner(hold_s=3.0)
    assert updated(banner, [event()], 0.0, Verdict.NONE) is MESSAGES[Verdict.NONE]
    for second in range(1, 20):
        assert updated(banner, [], float(second), Verdict.NONE) is MESSAGES[Verdict.NONE]
    assert updated(banner, [], 21.9) is MESSAGES[Verdict.NONE]
    assert updated(banner, [], 22.0, Verdict.CORRECT) is None


def test_a_message_stays_while_it_holds_although_somebody_else_was_told_something_later():
    banner = Banner(hold_s=3.0)
    updated(banner, [event()], 0.0, Verdict.NONE)
    updated(banner, [event(EventKind.MASK_INCORRECT, track_id=2)], 1.0, Verdict.NONE)
    for second in range(2, 20):
        assert updated(banner, [], float(second), Verdict.NONE) is MESSAGES[Verdict.NONE]


def test_a_clock_that_starts_anew_does_not_keep_an_old_message_up():
    banner = Banner(hold_s=3.0)
    updated(banner, [event()], 100.0)
    assert updated(banner, [], 0.0) is None


def test_the_newest_message_wins_but_thanks_do_not_hide_another_persons_alert():
    banner = Banner(hold_s=3.0)
    updated(banner, [event(EventKind.MASK_MISSING, track_id=1)], 0.0)
    assert updated(banner, [event(EventKind.MASK_OK, track_id=2)], 1.0) is MESSAGES[Verdict.NONE]
    assert updated(banner, [event(EventKind.MASK_OK, track_id=1)], 2.0) is MESSAGES[Verdict.CORRECT]
    assert updated(banner, [event(EventKind.MASK_INCORRECT, track_id=2)], 2.5) is MESSAGES[Verdict.INCORRECT]
    assert updated(banner, [event(EventKind.MASK_OK, track_id=9)], 6.0) is MESSAGES[Verdict.CORRECT]


def test_what_the_camera_says_of_itself_is_no_message_to_a_visitor():
    banner = Banner(hold_s=3.0)
    blind = [Event(kind, "gate", 0, Verdict.UNKNOWN, 0.0) for kind in EventKind if kind.is_camera]
    assert len(blind) == 8
    assert updated(banner, blind, 0.0) is None
    assert updated(banner, [event(EventKind.MASK_OK), *blind], 1.0) is MESSAGES[Verdict.CORRECT]


def test_a_reminder_says_what_its_verdict_asks_for():
    reminder = Event(EventKind.MASK_REMINDER, "gate", 1, Verdict.INCORRECT, 0.0)
    assert updated(Banner(), [reminder], 0.0) is MESSAGES[Verdict.INCORRECT]


@pytest.mark.parametrize(
    ("kind", "addressed", "shown"),
    [
        (EventKind.MASK_OK, Verdict.CORRECT, Verdict.CORRECT),
        (EventKind.MASK_OK, Verdict.NONE, Verdict.NONE),  # somebody else wears no mask
        (EventKind.MASK_OK, Verdict.INCORRECT, Verdict.INCORRECT),
        (EventKind.MASK_OK, Verdict.UNKNOWN, None),
        (EventKind.MASK_INCORRECT, Verdict.NONE, Verdict.NONE),
        (EventKind.MASK_MISSING, Verdict.UNKNOWN, Verdict.NONE),  # the person turned away for a moment
        (EventKind.MASK_MISSING, Verdict.CORRECT, Verdict.CORRECT),
    ],
)
def test_the_banner_speaks_to_the_addressed_person(kind, addressed, shown):
    text = updated(Banner(), [event(kind)], 0.0, addressed)
    assert text is (None if shown is None else MESSAGES[shown])


def colors_of(drawn):
    return {tuple(color) for color in drawn.reshape(-1, 3).tolist()}


def labels_of(tracks, monkeypatch):
    """Return the texts and colors of the labels that are drawn for tracks."""
    drawn = []
    chip = draw._chip
    monkeypatch.setattr(
        draw, "_chip", lambda text, size, color: drawn.append((text, color)) or chip(text, size, color)
    )
    annotate(step(noise(), tracks), banner=None)
    return drawn


BARE, MASKED = (0.1, 0.0, 0.9), (0.9, 0.0, 0.1)


@pytest.mark.parametrize(
    ("verdict", "probability", "faces", "label"),
    [
        (Verdict.NONE, 0.97, [BARE], "#3 none 0.97"),
        (Verdict.NONE, 0.97, [MASKED], "#3 none 0.97"),  # one face alone changes nothing
        (Verdict.NONE, 0.01, [MASKED], "#3 correct?"),
        (Verdict.CORRECT, 0.2, [BARE], "#3 none?"),
        (Verdict.UNKNOWN, 0.0, [BARE], "#3 none?"),
        (Verdict.UNKNOWN, 0.0, [], "#3 ?"),
    ],
)
def test_a_label_shows_a_verdict_that_settles_as_unsure(verdict, probability, faces, label, monkeypatch):
    box = Box(200, 200, 300, 320)
    seen = tuple(face(box, mask) for mask in faces)
    one = track(box, verdict, probability=probability, faces=seen)
    assert labels_of([one], monkeypatch) == [(label, COLORS[Verdict.UNKNOWN if "?" in label else verdict])]


def test_a_picture_is_gray_with_its_reason_in_both_languages(monkeypatch):
    poster = track(Box(200, 200, 300, 320), is_picture=True)
    gray = COLORS[Verdict.UNKNOWN]
    assert labels_of([poster], monkeypatch) == [
        ("그림: 움직인 적이 없음", gray),
        ("picture: never moved", gray),
    ]
    assert COLORS[Verdict.NONE] not in colors_of(annotate(step(noise(), [poster]), banner=None))


def test_a_person_who_just_came_is_not_called_a_picture(monkeypatch):
    new = Track(3, Box(200, 200, 300, 320), 3, 0.2, Verdict.NONE, probability=0.97, is_picture=True)
    assert labels_of([new], monkeypatch) == [("#3 ?", COLORS[Verdict.UNKNOWN])]


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("y", [0, 200])
def test_the_addressed_person_alone_is_marked_in_the_color_of_the_message(verdict, y):
    image = np.zeros((480, 640, 3), np.uint8)
    meant, other = track(Box(100, y, 200, y + 120), verdict), track(Box(400, 200, 500, 320), track_id=4)
    drawn = door_picture(step(image, [meant, other], addressed=meant))
    assert colors_of(drawn) >= {COLORS[verdict], draw.BLACK}
    assert not drawn[:, 300:].any()
    outside = drawn[:y] if y else drawn[y + 130 :]
    assert (outside == COLORS[verdict]).all(axis=2).sum() > 100  # the arrow
    labeled = annotate(step(image, [meant, other], addressed=meant), banner=None)
    plain = annotate(step(image, [meant, other]), banner=None)
    assert (labeled != plain)[:, :300].any()
    np.testing.assert_array_equal(labeled[:, 300:], plain[:, 300:])


def test_a_picture_for_visitors_without_an_addressed_person_is_only_blurred():
    box = Box(100, 100, 200, 220)
    drawn = door_picture(step(noise(), [track(box)]), [box])
    np.testing.assert_array_equal(drawn, blur_faces(noise(), [box]))


@pytest.mark.parametrize("side", [1, 5, 12, 40, 300])
def test_a_blurred_face_has_at_most_36_colours_and_the_rest_is_untouched(side):
    image = noise()
    x, y = 150, 100
    blurred = blur_faces(image, [Box(x, y, x + side, y + side)])
    face_pixels = blurred[y : y + side, x : x + side].reshape(-1, 3)
    assert len(np.unique(face_pixels, axis=0)) <= max(1, min(36, side * side // 4))
    grown = side * 0.13 + 1
    rows, columns = np.nonzero((blurred != image).any(axis=2))
    assert rows.min() >= y - grown
    assert rows.max() < y + side + grown
    assert columns.min() >= x - grown
    assert columns.max() < x + side + grown


def test_pictures_that_differ_only_in_detail_blur_to_the_same():
    flat = np.full((120, 120, 3), 128, np.uint8)
    checks = flat.copy()
    checks[::2, ::2] = checks[1::2, 1::2] = 255
    checks[::2, 1::2] = checks[1::2, ::2] = 1
    box = Box(12, 12, 108, 108)  # grown by its margin to the whole picture, so that blocks hold whole checks
    np.testing.assert_allclose(blur_faces(checks, [box]).astype(int), flat, atol=1)


@pytest.mark.parametrize("box", [Box(-40, -40, 30, 30), Box(600, 440, 900, 900), Box(-1e9, -1e9, 1e9, 1e9)])
def test_a_face_over_the_edge_is_blurred_as_far_as_it_is_seen(box):
    image = noise()
    inside = np.s_[max(0, int(box.y1)) : min(480, int(box.y2)), max(0, int(box.x1)) : min(640, int(box.x2))]
    assert len(np.unique(blur_faces(image, [box])[inside].reshape(-1, 3), axis=0)) <= 4


@pytest.mark.parametrize("box", [Box(10, 10, 10, 30), Box(30, 30, 10, 10), Box(700, 500, 800, 600)])
def test_an_empty_or_unseen_box_blurs_nothing(box):
    np.testing.assert_array_equal(blur_faces(noise(), [box]), noise())


def test_the_smallest_image_can_be_blurred():
    assert blur_faces(noise(1, 1), [Box(0, 0, 1, 1)]).shape == (1, 1, 3)


def test_annotate_blurs_what_it_is_asked_to():
    image = noise()
    seen, coasting = Box(100, 100, 220, 220), Box(400, 100, 520, 220)
    drawing = step(image, [track(coasting)], [face(seen)])
    inner = [np.s_[110:210, 110:210], np.s_[110:210, 410:510]]
    blurred, plain = (annotate(drawing, banner=None, blur=blur) for blur in ([seen, coasting], []))
    for part in inner:
        assert len(np.unique(blurred[part].reshape(-1, 3), axis=0)) <= 4
        np.testing.assert_array_equal(plain[part], image[part])


@pytest.mark.parametrize("background", [0, 255])
def test_the_region_is_outlined_on_any_background_and_all_else_is_left(background):
    image = np.full((480, 640, 3), background, np.uint8)
    drawn = annotate(step(image), banner=None, geometry=DetectorConfig(region=(0.25, 0.5, 0.75, 0.9)))
    for edge in (drawn[240, 160:480], drawn[431, 160:480], drawn[240:432, 160], drawn[240:432, 479]):
        assert (edge == draw.LIGHT).all()
    changed = (drawn != image).any(axis=2)
    assert (drawn[changed].reshape(-1, 3) == draw.DARK).all(axis=1).any()
    changed[237:245, 157:483] = changed[428:436, 157:483] = False
    changed[237:436, 157:165] = changed[237:436, 476:483] = False
    assert not changed.any()


@pytest.mark.parametrize("size", SIZES)
def test_a_region_of_any_picture_can_be_outlined(size):
    image = noise(*size)
    whole = annotate(step(image), banner=None, geometry=DetectorConfig(region=(0, 0, 1, 1)))
    assert (whole[0, 0] == draw.LIGHT).all()
    assert (whole[-1, -1] == draw.LIGHT).all()
    annotate(step(image), banner=None, geometry=DetectorConfig(region=(0.95, 0.95, 1, 1)))


@pytest.mark.parametrize("background", [0, 255])
def test_ignored_places_are_outlined_in_gray_with_their_numbers(background):
    image = np.full((480, 640, 3), background, np.uint8)
    places = ((0.25, 0.5, 0.75, 0.9), (0.0, 0.0, 0.01, 0.01))
    drawn = annotate(step(image), banner=None, geometry=DetectorConfig(ignore=places))
    gray = COLORS[Verdict.UNKNOWN]
    for edge in (drawn[431, 160:480], drawn[260:432, 160], drawn[260:432, 479]):
        assert (edge == gray).all()
    number = drawn[240:255, 160:170].reshape(-1, 3)
    assert (number == draw.BLACK).all(axis=1).any()
    assert (drawn[262:420, 180:470] == background).all()


def test_draw_faces_marks_each_face_by_its_likeliest_label():
    image = np.zeros((480, 640, 3), np.uint8)
    faces = [
        face(Box(100, 200, 200, 320), mask=(0.8, 0.1, 0.1)),
        face(Box(400, 200, 500, 320), mask=(0.1, 0.2, 0.7)),
    ]
    drawn = draw_faces(image, faces, [one.detection.box for one in faces])
    assert tuple(drawn[260, 100]) == COLORS[Verdict.CORRECT]
    assert tuple(drawn[260, 400]) == COLORS[Verdict.NONE]
    assert not image.any()


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (3, 3, 1), (20, 3, 7)])
def test_a_contact_sheet_has_a_cell_for_each_moment(count, columns, rows):
    images = [np.full((480 + 40 * (i % 3), 640 - 100 * (i % 4), 3), 200, np.uint8) for i in range(count)]
    sheet = contact_sheet([(f"mask_missing · {i} s · person {i}", image) for i, image in enumerate(images)])
    assert sheet.shape == (16 + rows * 356, 16 + columns * 416, 3)
    middles = [sheet[16 + i // 3 * 356 + 150, 16 + i % 3 * 416 + 200] for i in range(count)]
    assert all((middle == 200).all() for middle in middles)


def test_a_contact_sheet_of_nothing_says_so():
    sheet = contact_sheet([])
    assert (sheet == draw.WHITE).all(axis=2).any()


def test_a_long_contact_sheet_stays_small_enough_to_save_and_says_what_is_left_out(tmp_path):
    moments = [(f"person {i}", noise(64, 48)) for i in range(500)]
    sheet, short = contact_sheet(moments), contact_sheet(moments[: draw.MAX_MOMENTS])
    assert len(sheet) == len(short) + 60
    save_image(tmp_path / "sheet.jpg", sheet)


@pytest.mark.parametrize("size", [(4000, 1), (1, 4000), (3840, 2160), (400, 300)])
def test_a_thumbnail_fills_a_cell_whatever_the_picture(size):
    assert thumbnail(noise(*size)).shape == (300, 400, 3)


@pytest.mark.parametrize("name", ["그림.png", "picture.JPG", "a b.jpeg"])
def test_a_picture_is_saved_in_rgb_under_any_name(name, tmp_path):
    image = np.zeros((20, 30, 3), np.uint8)
    image[:] = 200, 30, 60
    save_image(tmp_path / name, image)
    with PIL.Image.open(tmp_path / name) as saved:
        np.testing.assert_allclose(np.asarray(saved).astype(int), image, atol=4)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("picture.gif", r"expected a picture name that ends in \.jpg"),
        ("picture", r"expected a picture name that ends in \.jpg"),
        ("missing/picture.png", "No such file or directory"),
        ("folder.png", "is a folder"),
        ("file.txt/picture.png", "Not a directory"),
    ],
)
def test_a_picture_that_cannot_be_saved_is_an_output_error(name, sentence, tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file.txt").touch()
    with pytest.raises(OutputError, match=sentence):
        save_image(tmp_path / name, noise(8, 8))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.txt", "folder.png"]


def test_a_disk_that_is_full_leaves_the_picture_that_was_there(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    path.write_bytes(b"before")

    def full(self, mode):
        self.touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(OutputError, match="No space left on device"):
            save_image(path, noise(8, 8))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_that_is_not_contiguous_can_be_drawn_on():
    image = cv2.resize(noise(), (320, 240))[:, ::-1]
    box = Box(10, 10, 90, 90)
    assert annotate(step(image, [track(box)]), banner=None, blur=[box]).shape == image.shape
