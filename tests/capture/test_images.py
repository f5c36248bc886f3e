"""Pictures of every kind become upright (H, W, 3) uint8 RGB, or one sentence."""

import errno
import os
import struct
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from gatecam.capture.images import find_images, images_in, read_image
from gatecam.errors import SourceError

RED = (200, 10, 20)


def save(
    path: Path, mode: str = "RGB", colour: object = RED, size: tuple[int, int] = (8, 6), **options
) -> Path:
    PIL.Image.new(mode, size, colour).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("name", "mode", "colour", "expected"),
    [
        ("a.png", "RGB", RED, RED),
        ("a.bmp", "RGB", RED, RED),
        ("a.tiff", "RGB", RED, RED),
        ("a.png", "L", 77, (77, 77, 77)),
        ("a.png", "1", 1, (255, 255, 255)),
        ("a.png", "I;16", 0x8080, (128, 128, 128)),
        ("a.tiff", "F", 0.5, (128, 128, 128)),
        ("a.png", "LA", (77, 255), (77, 77, 77)),
        ("a.png", "RGBA", (*RED, 255), RED),
        ("a.png", "RGBA", (0, 0, 0, 0), (255, 255, 255)),
        ("정문.png", "RGB", RED, RED),
    ],
)
def test_every_kind_of_picture_becomes_8_bit_rgb(tmp_path, name, mode, colour, expected):
    image = read_image(save(tmp_path / name, mode, colour))
    assert image.shape == (6, 8, 3)
    assert image.dtype == np.uint8
    assert (image == expected).all()


@pytest.mark.parametrize(
    ("name", "mode", "colour", "options"),
    [
        ("a.jpg", "RGB", RED, {"quality": 95}),
        ("a.jpg", "CMYK", (55, 245, 235, 0), {"quality": 95}),
        ("a.webp", "RGB", RED, {"quality": 95}),
    ],
)
def test_lossy_pictures_keep_their_colour(tmp_path, name, mode, colour, options):
    image = read_image(save(tmp_path / name, mode, colour, **options))
    assert np.abs(image.astype(int) - RED).max() < 8


def test_a_16_bit_colour_png_keeps_its_colour(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((6, 8, 3), (20 * 257, 10 * 257, 200 * 257), np.uint16))
    assert (read_image(tmp_path / "a.png") == RED).all()


def test_a_palette_with_transparency_is_put_on_white(tmp_path):
    save(tmp_path / "a.png", "P", 0, transparency=b"\x00")
    assert (read_image(tmp_path / "a.png") == 255).all()


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [PIL.Image.new("RGB", (8, 6), colour) for colour in ("white", "black")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (read_image(tmp_path / "a.gif") == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_picture_upright(tmp_path, orientation):
    upright = np.zeros((6, 8, 3), np.uint8)
    upright[:3, :4] = 255
    upright[3:, :4] = 90
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: np.rot90(upright, -1),
    }[orientation]
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    assert (read_image(tmp_path / "a.png") == upright).all()


def test_broken_exif_leaves_the_picture_as_it_is(tmp_path):
    save(tmp_path / "a.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f", quality=95)
    assert read_image(tmp_path / "a.jpg").shape == (6, 8, 3)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the file is empty"),
        (b"hello", "not a picture"),
        (b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 0, 0, 8, 2, 0, 0, 0), "picture"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(tmp_path, content, sentence):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=sentence) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp", "bmp"])
def test_a_truncated_picture_is_refused(tmp_path, suffix):
    noise = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    path = tmp_path / f"a.{suffix}"
    PIL.Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"damaged|not a picture"):
        read_image(path)


def test_a_missing_picture_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"no such picture"):
        read_image(tmp_path / "a.png")


def test_folders_are_searched_below_in_natural_order(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("img10.png", "img2.PNG", "b/1.jpg", "._img2.png", "notes.txt"):
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_images([tmp_path])]
    assert found == ["b/1.jpg", "img2.PNG", "img10.png"]
    assert [path.name for path in images_in(tmp_path)] == ["img2.PNG", "img10.png"]


def test_files_stand_as_given(tmp_path):
    paths = [tmp_path / name for name in ("z.png", "a.unknown")]
    for path in paths:
        path.touch()
    assert find_images(paths) == paths


def test_a_path_that_leads_nowhere_is_refused(tmp_path):
    with pytest.raises(SourceError, match="no such file or folder"):
        find_images([tmp_path / "nothing"])
    with pytest.raises(SourceError, match="holds no picture"):
        find_images([tmp_path])


@pytest.mark.parametrize("list_pictures", [images_in, lambda folder: find_images([folder])])
def test_a_folder_that_may_not_be_read_is_told(tmp_path, monkeypatch, list_pictures):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(SourceError, match=r"may not be read \(Permission denied\); change its permissions"):
        list_pictures(tmp_path)
