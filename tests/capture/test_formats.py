"""Only pictures are opened, none starts a program or waits, and none takes more than a bounded memory."""

import ast
import os
import socket
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gatecam.capture import formats
from gatecam.capture.images import find_images, read_image
from gatecam.errors import SourceError
from gatecam.runtime.picture_files import FORMATS, IMAGE_SUFFIXES

PACKAGE = Path(__file__).parents[2] / "gatecam"
RED = (200, 10, 20)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A grey PNG, all black, as small as can be."""
    packer = zlib.compressobj(9)
    row = bytes(width + 1)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff(side: int, tile_side: int) -> bytes:
    """A grey TIFF of one deflated tile, which may be larger than the picture."""
    data = zlib.compress(bytes(1000))
    tags = [
        (256, 4, side), (257, 4, side), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1),
        (322, 4, tile_side), (323, 4, tile_side), (324, 4, 8), (325, 4, len(data)),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    place = struct.pack("<I", 8 + len(data))
    return b"II*\0" + place + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def gif(side: int) -> bytes:
    """A GIF whose first picture fills its square screen, and is emptied after it was shown."""
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0, 0, 0) + b"!\xf9\x04\x08\0\0\0\0"
    return head + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\0;"


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    coded = BytesIO()
    PIL.Image.new("RGB", (64, 64), RED).save(coded, "JPEG", progressive=True)
    data = coded.getvalue()[:-2]
    return data + data[data.rindex(b"\xff\xda") :] * count + b"\xff\xd9"


BOMBS = {
    "a.png": (png(30_000, 30_000), "900 megapixels are more than the 67 that gatecam reads; make it smaller"),
    "b.png": (png(10_000, 9_000), "90 megapixels"),
    "tile.tif": (tiff(100, 40_000), "1600 megapixels"),
    "screen.gif": (gif(65_535), "4295 megapixels"),
    "scans.jpg": (many_scans(200), "very long"),
    "text.png": (png(8, 8, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(500 << 20), 9))), "damaged"),
    "face.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n{} loop\n", "not a picture"),
}


@pytest.fixture(scope="module")
def bombs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bombs")
    for name, (data, _) in BOMBS.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_a_sentence(bombs, name):
    with pytest.raises(SourceError, match=BOMBS[name][1]) as caught:
        read_image(bombs / name)
    assert str(caught.value).startswith(f"{bombs / name}: ")


def test_bombs_take_neither_memory_nor_time_nor_start_a_program(bombs):
    code = (
        "import os, resource, sys\nfrom pathlib import Path\nfrom gatecam.capture.images import read_image\n"
        "from gatecam.errors import SourceError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in Path(sys.argv[1]).iterdir():\n"
        "    try:\n        read_image(path)\n    except SourceError:\n        pass\n"
        "assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss == 0\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(bombs)], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(ended.stdout) < 150  # MB


def opens(tree: ast.Module) -> int:
    """How often a module opens pictures by the libraries' own functions."""
    named = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    taken = [
        node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "PIL.Image"
    ]
    return (
        sum(node.attr == "open" and ast.unparse(node.value).endswith("Image") for node in named)
        + sum(node.attr.startswith("imread") for node in named)
        + sum(alias.name == "open" for node in taken for alias in node.names)
    )


def test_no_other_module_opens_pictures_by_pillow():
    """`open` of `PIL.Image`, however it is named, is called in one place, and there with formats."""
    places = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if any(name in text for name in ("PIL", "imread")):
            places += [path.relative_to(PACKAGE).as_posix()] * opens(ast.parse(text))
    assert places == ["capture/formats.py"]


def test_every_format_is_one_of_pixels():
    assert not {"EPS", "PSD", "WMF", "PDF", "FITS", "HDF5", "IPTC"} & set(FORMATS)
    assert len(IMAGE_SUFFIXES) == sum(map(len, FORMATS.values()))


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_every_ending_is_read_in_a_folder(tmp_path, suffix):
    path = tmp_path / f"a{suffix.upper()}"
    kind = next(name for name, suffixes in FORMATS.items() if suffix in suffixes)
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    mode = "1" if suffix == ".pbm" else "L" if suffix == ".pgm" else "RGB"
    PIL.Image.new(mode, (64, 48), RED if mode == "RGB" else 0).save(path, kind)
    assert find_images([tmp_path]) == [path]
    assert np.abs(read_image(path).astype(int) - (RED if mode == "RGB" else 0)).max() < 12


def test_a_heic_picture_without_its_library_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(SourceError, match=r"a\.jpg: .*pip install 'gatecam\[heif\]'"):
        read_image(tmp_path / "a.jpg")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


@pytest.mark.parametrize(
    ("make", "said"),
    [(make_pipe, "a pipe, socket"), (make_socket, "a pipe, socket"), (Path.mkdir, "a folder")],
)
def test_what_is_no_file_is_not_opened(tmp_path, make, said):
    make(tmp_path / "a.jpg")
    with pytest.raises(SourceError, match=rf"a\.jpg: is {said}"):
        read_image(tmp_path / "a.jpg")


def test_a_file_beyond_all_measure_is_not_read(tmp_path):
    with (tmp_path / "a.webp").open("wb") as file:
        file.write(b"RIFF\0\0\0\0WEBPVP8 ")
        file.truncate(formats.MAX_BYTES + 1)  # sparse
    with pytest.raises(SourceError, match=r"537 MB are more than the 537"):
        read_image(tmp_path / "a.webp")
