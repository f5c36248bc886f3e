"""Recorded video: every frame, in order, upright, in time; losses told, and no false alarm."""

import itertools
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest

from gatecam.capture import video
from gatecam.capture.squared import square_size
from gatecam.capture.video import VideoFile
from gatecam.errors import SourceError

SHARED = Path(__file__).parents[3] / "shared" / "data" / "videos"

# name, how it is written
WHOLE = [
    ("a.mp4", {}),
    ("front.mp4", {"options": {"movflags": "faststart"}}),
    ("pieces.mp4", {"options": {"movflags": "frag_keyframe+empty_moov"}, "codec_options": {"g": "6"}}),
    ("b-frames.mp4", {"codec_options": {"bf": "3", "b-adapt": "0"}}),
    ("a.mkv", {}),
    ("a.avi", {"codec": "mpeg4"}),
    ("motion-jpeg.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    ("a.gif", {"codec": "gif", "pix_fmt": "gray"}),
    ("a.ts", {"codec_options": {"bf": "2"}}),
    ("a.mov", {"codec": "mpeg4"}),
    ("a.webm", {"codec": "libvpx"}),
    ("a.h264", {}),
    ("vary.mp4", {"pts": [i if i < 12 else 4 * i - 36 for i in range(24)]}),
    ("vary.mkv", {"pts": [i if i < 12 else 4 * i - 36 for i in range(24)]}),
    ("slides.mkv", {"pts": [100 * i for i in range(24)]}),
    ("sound.mkv", {"sound_s": 3.0}),
    ("sound.mp4", {"sound_s": 3.0}),
    ("sound.ts", {"sound_s": 3.0}),
    ("sound.avi", {"sound_s": 3.0, "codec": "mpeg4"}),
]


def read(path: Path):
    video = VideoFile(path)
    with video as frames:
        return video, list(frames)


def levels(frames) -> list[int]:
    return [int(frame.image[40, 50].mean()) for frame in frames]


@pytest.mark.parametrize(("name", "how"), WHOLE, ids=[name for name, _ in WHOLE])
def test_a_whole_file_gives_every_frame_in_order_and_no_loss(tmp_path, write_video, name, how):
    video, frames = read(write_video(tmp_path / name, **how))
    assert video.loss is None
    assert [frame.index for frame in frames] == list(range(24))
    expected = [16 + 9 * i for i in range(24)]
    assert np.abs(np.subtract(levels(frames), expected)).max() <= 6
    times = [frame.time_s for frame in frames]
    assert times[0] == 0
    assert all(a < b for a, b in itertools.pairwise(times))
    assert {(frame.camera, frame.image.shape, frame.image.dtype.name) for frame in frames} == {
        (Path(name).stem, (48, 64, 3), "uint8")
    }


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts", "a.gif", "vary.mp4"])
def test_the_number_of_frames_is_foretold(tmp_path, write_video, name):
    video, frames = read(write_video(tmp_path / name, **dict(WHOLE)[name]))
    assert video.expected_frames == pytest.approx(len(frames), abs=1)


def test_times_are_those_of_the_file(tmp_path, write_video):
    pts = [5, 6, 7, 20, 21, 40]
    _, frames = read(write_video(tmp_path / "a.mkv", frames=6, pts=pts))
    assert [frame.time_s for frame in frames] == pytest.approx([(p - 5) / 25 for p in pts], abs=0.001)


def test_times_of_a_raw_stream_follow_its_rate(tmp_path, write_video):
    video, frames = read(write_video(tmp_path / "a.h264", fps=25))
    assert video.fps == 25
    assert frames[10].time_s == pytest.approx(0.4)


def test_times_grow_through_a_joined_recording(tmp_path, write_video):
    part = write_video(tmp_path / "a.ts").read_bytes()
    (tmp_path / "joined.ts").write_bytes(part + part)
    video, frames = read(tmp_path / "joined.ts")
    assert levels(frames) == levels(frames)[:24] * 2
    assert frames[-1].time_s == pytest.approx(47 / 25, abs=0.1)
    assert video.loss is None


def test_an_edit_list_leaves_out_frames_without_a_loss(tmp_path, write_video):
    source = write_video(tmp_path / "a.mp4", codec_options={"bf": "2"})
    with av.open(str(source)) as inside, av.open(str(tmp_path / "cut.mp4"), "w") as outside:
        stream = outside.add_stream_from_template(inside.streams.video[0])
        for packet in inside.demux(video=0):
            if packet.dts is not None:
                packet.pts -= 6 * 512
                packet.dts -= 6 * 512
                packet.stream = stream
                outside.mux(packet)
    video, frames = read(tmp_path / "cut.mp4")
    assert video.loss is None
    assert len(frames) == video.expected_frames


TURNS = [(0, False, False), (90, False, False), (180, False, False), (-90, False, False)]
MIRRORS = [(0, True, False), (0, False, True), (90, True, False), (-90, True, False)]


@pytest.mark.parametrize("rotation", TURNS + MIRRORS)
def test_a_phone_video_is_turned_upright(tmp_path, write_video, rotation):
    _, frames = read(write_video(tmp_path / "a.mp4", frames=2, rotation=rotation))
    stored = np.zeros((48, 64), bool)
    stored[:24, :32] = True
    degrees, hflip, vflip = rotation
    upright = np.rot90(stored, degrees // 90)
    upright = upright[:: -1 if vflip else 1, :: -1 if hflip else 1]
    assert ((frames[0].image.mean(axis=2) > 128) == upright).mean() > 0.98
    assert frames[0].image.flags.c_contiguous


def test_a_video_of_a_photo_camera_is_turned_as_its_exif_data_says(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # Exif 2.32, 4.6.4: turn it clockwise
    stored = PIL.Image.fromarray(np.full((48, 64, 3), 16, np.uint8))
    stored.paste((255, 255, 255), (0, 0, 32, 24))
    with (tmp_path / "a.mjpeg").open("wb") as file:
        for _ in range(3):
            stored.save(file, "JPEG", exif=exif)
    _, frames = read(tmp_path / "a.mjpeg")
    assert [frame.image.shape for frame in frames] == [(64, 48, 3)] * 3
    assert frames[0].image[:30, 26:].min() > 200
    assert frames[0].image[:30, :22].max() < 60


def test_a_video_that_nothing_can_decode_or_convert_ends_in_a_sentence(tmp_path, write_video, undecodable):
    with pytest.raises(SourceError, match="its video is in a format for which there is no decoder"):
        read(undecodable)
    path = write_video(tmp_path / "bits.nut", codec="rawvideo", pix_fmt="rgb4")
    with pytest.raises(SourceError, match="no picture can be decoded from it"):
        read(path)


def test_pictures_may_change_size_midway(tmp_path, write_video):
    first = write_video(tmp_path / "a.h264", frames=5)
    second = larger_h264(tmp_path / "b.h264")
    (tmp_path / "c.h264").write_bytes(first.read_bytes() + second.read_bytes())
    _, frames = read(tmp_path / "c.h264")
    assert [frame.image.shape for frame in frames] == [(48, 64, 3)] * 5 + [(96, 128, 3)] * 5


@pytest.mark.parametrize(
    ("pixel_ratio", "size", "rotation"),
    [
        (Fraction(4, 3), (48, 85), None),
        (Fraction(16, 11), (48, 93), None),
        (Fraction(3, 4), (64, 64), None),
        (Fraction(4, 3), (85, 48), TURNS[1]),
    ],
)
def test_oblong_pixels_are_made_square(tmp_path, write_video, pixel_ratio, size, rotation):
    path = write_video(tmp_path / "a.mp4", frames=2, pixel_ratio=pixel_ratio, rotation=rotation)
    image = read(path)[1][0].image
    assert image.shape[:2] == size
    is_white = image.mean(axis=2) > 245
    assert abs(is_white.any(axis=1).sum() - size[0] // 2) <= 2  # a quarter of the picture, as it was
    assert abs(is_white.any(axis=0).sum() - size[1] // 2) <= 2


def test_no_square_picture_is_larger_than_gatecam_reads():
    assert square_size(7680, 4320, Fraction(2), 7680 * 4320) == (7680, 2160)
    assert square_size(64, 48, Fraction(1000), 7680 * 4320) == (64, 48)
    assert square_size(64, 48, Fraction(1001, 1000), 7680 * 4320) == (64, 48)


@pytest.fixture
def small_limit(monkeypatch):
    """Let no more pixels be read than those of the videos that the tests write."""
    monkeypatch.setattr(video, "MAX_PIXELS", 64 * 48)
    monkeypatch.setitem(video.LIMITS, "max_pixels", str(64 * 48))


def larger_h264(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((96, 128, 3), np.uint8))))
        container.mux(stream.encode(None))
    return path


@pytest.mark.usefixtures("small_limit")
def test_a_film_of_too_large_frames_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"a\.mp4: frames of 0 megapixels are more than the 0"):
        read(larger_h264(tmp_path / "a.mp4"))


@pytest.mark.usefixtures("small_limit")
def test_frames_that_grow_too_large_midway_are_left_out(tmp_path, write_video):
    first = write_video(tmp_path / "a.h264", frames=5)
    second = larger_h264(tmp_path / "b.h264")
    (tmp_path / "c.h264").write_bytes(first.read_bytes() + second.read_bytes())
    film, frames = read(tmp_path / "c.h264")
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    assert "of too many pixels" in film.loss


@pytest.mark.parametrize(
    ("name", "how", "tells_total"),
    [
        ("a.mp4", {"options": {"movflags": "faststart"}}, True),
        ("sound.mp4", {"options": {"movflags": "faststart"}, "sound_s": 0.5}, True),
        ("a.mkv", {}, True),
        ("a.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}, True),
        ("a.gif", {"codec": "gif", "pix_fmt": "gray"}, False),
        ("a.ts", {}, False),
        (
            "pieces.mp4",
            {"options": {"movflags": "frag_keyframe+empty_moov"}, "codec_options": {"g": "6"}},
            False,
        ),
    ],
)
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_of_a_cut_file_the_readable_part_comes_and_the_loss_is_told(
    tmp_path, write_video, name, how, tells_total, share
):
    path = write_video(tmp_path / name, noise=True, **how)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    video, frames = read(path)
    assert 4 < len(frames) < 24
    of = " of about 24" if tells_total else ""
    assert f"the file ends early: {len(frames)}{of} frames could be read" in video.loss


def test_a_cut_behind_the_last_picture_of_a_matroska_file_is_found(tmp_path, write_video):
    path = write_video(tmp_path / "a.mkv")
    path.write_bytes(path.read_bytes()[:-3])
    video, frames = read(path)
    assert len(frames) == 24
    assert video.loss == "the file ends early: 24 frames could be read"


def test_a_damaged_packet_is_skipped_and_counted(tmp_path, write_video):
    path = write_video(tmp_path / "a.avi", codec="mjpeg", pix_fmt="yuvj420p", noise=True)
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][10]
        start, size = packet.pos + 8, packet.size
    data = bytearray(path.read_bytes())
    data[start : start + size - 8] = bytes(size - 8)
    path.write_bytes(data)
    video, frames = read(path)
    assert len(frames) == 23
    assert video.loss == "1 damaged frame could not be decoded"
    assert frames[10].time_s == pytest.approx(11 / 25)


def test_a_part_that_a_damaged_matroska_file_loses_is_told(tmp_path, write_video):
    path = write_video(tmp_path / "a.mkv", frames=150, noise=True, codec_options={"g": "10"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 20_000] = np.random.default_rng(3).bytes(20_000)
    path.write_bytes(data)
    video, frames = read(path)
    assert 10 < len(frames) < 150
    assert f"{len(frames)} of about 150 frames could be read" in video.loss


def make_audio(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((2, 44100), np.float32), format="fltp", layout="stereo")
        sound.sample_rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"hello world\n" * 999, "not a video"),
        (np.random.default_rng(0).bytes(20_000), "not a video"),
        (b"#EXTM3U\n#EXTINF:3,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n", "not a video"),
    ],
    ids=["empty", "text", "noise", "playlist"],
)
def test_what_is_no_video_is_refused_in_a_sentence(tmp_path, content, sentence, capfd):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=sentence) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_a_folder_and_sound_alone_are_refused(tmp_path):
    with pytest.raises(SourceError, match="no such file"):
        read(tmp_path / "a.mp4")
    with pytest.raises(SourceError, match="not a file"):
        read(tmp_path)
    with pytest.raises(SourceError, match="no video in it"):
        read(make_audio(tmp_path / "a.m4a"))


def test_a_video_of_which_only_the_header_is_left_is_refused(tmp_path, write_video):
    path = write_video(tmp_path / "a.mp4", noise=True, options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])
    with pytest.raises(SourceError, match="no picture can be decoded"):
        read(path)


def test_metadata_in_an_old_encoding_and_odd_names_do_no_harm(tmp_path, write_video):
    path = write_video(tmp_path / "정문 a:b %03d.mkv")
    path.write_bytes(path.read_bytes().replace(b"Lavf", b"\xbe\xc8\xb3\xe7"))
    assert len(read(path)[1]) == 24


def test_damage_is_not_told_by_ffmpeg_on_the_terminal(tmp_path, write_video, capfd):
    path = write_video(tmp_path / "a.avi", codec="mpeg4", noise=True)
    path.write_bytes(path.read_bytes()[:-4000])
    read(path)
    assert capfd.readouterr() == ("", "")


def test_two_readings_are_identical(tmp_path, write_video):
    path = write_video(tmp_path / "a.mp4", noise=True)
    once, again = read(path)[1], read(path)[1]
    assert all(a.time_s == b.time_s and (a.image == b.image).all() for a, b in zip(once, again, strict=True))


def test_closing_while_another_thread_reads_ends_that_thread(tmp_path, write_video):
    video = VideoFile(write_video(tmp_path / "a.mp4", frames=200))
    started = threading.Event()
    read_count = []

    def consume(frames):
        for count, _ in enumerate(frames):
            read_count.append(count)
            started.set()

    with video as frames:
        thread = threading.Thread(target=consume, args=(frames,))
        thread.start()
        assert started.wait(5)
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.data
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared data folder")
@pytest.mark.parametrize("path", sorted(SHARED.glob("*.*")), ids=lambda path: path.name)
def test_the_shared_clips_are_whole_and_tell_when_cut(tmp_path, path):
    video, frames = read(path)
    assert video.loss is None
    assert len(frames) == pytest.approx(video.expected_frames, abs=1)
    cut = tmp_path / path.name
    content = path.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    if path.suffix == ".mp4" and content.index(b"moov") > len(content) // 2:  # the index is what was cut off
        with pytest.raises(SourceError, match="not a video, or its header is damaged or cut off"):
            read(cut)
        return
    video, part = read(cut)
    assert 0 < len(part) < len(frames)
    assert "the file ends early" in video.loss


def test_as_many_threads_decode_as_cores_may_be_used(monkeypatch, tmp_path, write_video):
    monkeypatch.setattr(video, "usable_cores", lambda: 3)
    source = VideoFile(write_video(tmp_path / "clip.mp4"))
    with source:
        assert source._container.streams.video[0].codec_context.thread_count == 3
