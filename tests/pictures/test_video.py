"""Videos: read back with PyAV, they hold every picture, at its time, in its colours."""

from __future__ import annotations

import logging

import av
import numpy as np
import pytest

from gatecam.errors import OutputError
from gatecam.pictures import video
from gatecam.pictures.video import VideoWriter

RED, GREEN = (206, 32, 48), (0, 158, 115)


def picture(width=160, height=120, color=RED):
    return np.full((height, width, 3), color, np.uint8)


def record(path, times_s, pictures=None, fps=30.0):
    with VideoWriter(path, fps) as writer:
        for time_s, image in zip(times_s, pictures or [picture()] * len(times_s), strict=True):
            writer.write(image, time_s)


def read(path):
    """The times (s) and pictures of a video."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        return [float(f.pts * stream.time_base) for f in frames], [
            f.to_ndarray(format="rgb24") for f in frames
        ]


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "영상.MP4"])
def test_uneven_times_are_kept_from_the_first_frame_on(name, tmp_path):
    record(tmp_path / name, [100.0, 100.033, 100.1, 102.5, 102.533])
    assert read(tmp_path / name)[0] == pytest.approx([0, 0.033, 0.1, 2.5, 2.533], abs=0.001)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_file_is_h264_that_browsers_start_at_once(tmp_path):
    path = tmp_path / "out.mp4"
    record(path, [0.0, 1.0])
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_the_file_lasts_to_the_end_of_its_last_frame_even_after_a_pause(tmp_path):
    pictures = [np.roll(np.linspace(0, 255, 160), 4 * i)[None, :, None] for i in range(9)]  # a pan
    pictures = [np.broadcast_to(image, (120, 160, 3)).astype(np.uint8) for image in pictures]
    times_s = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 9.0]
    record(tmp_path / "out.mp4", times_s, pictures, fps=10.0)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.duration / av.time_base == pytest.approx(9.1, abs=0.01)
    assert read(tmp_path / "out.mp4")[0] == pytest.approx(times_s)


def test_colours_survive(tmp_path):
    halves = picture(color=RED)
    halves[:60] = GREEN
    record(tmp_path / "out.mp4", [0.0, 0.1], [halves, halves])
    for image in read(tmp_path / "out.mp4")[1]:
        np.testing.assert_allclose(image[30, 80].astype(int), GREEN, atol=5)
        np.testing.assert_allclose(image[90, 80].astype(int), RED, atol=5)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (163, 121), (64, 65), (16, 1000)])
def test_odd_sides_are_padded_to_even(width, height, tmp_path):
    record(tmp_path / "out.mp4", [0.0, 0.1], [picture(width, height)] * 2)
    assert read(tmp_path / "out.mp4")[1][0].shape == (height + height % 2, width + width % 2, 3)


def test_a_later_frame_of_another_size_is_letterboxed_into_the_first(tmp_path):
    record(tmp_path / "out.mp4", [0.0, 0.1], [picture(160, 120), picture(100, 200, GREEN)])
    images = read(tmp_path / "out.mp4")[1]
    assert images[1].shape == (120, 160, 3)
    np.testing.assert_allclose(images[1][60, 80].astype(int), GREEN, atol=12)
    assert images[1][60, 5].max() < 20


def test_times_that_repeat_or_go_back_lose_no_frame(tmp_path):
    record(tmp_path / "out.mp4", [0.0, 0.5, 0.5, 0.4, 1.0])
    times_s = read(tmp_path / "out.mp4")[0]
    assert times_s == sorted(times_s)
    assert times_s == pytest.approx([0, 0.5, 0.5, 0.5, 1.0], abs=0.001)


def test_a_pause_longer_than_mp4_can_hold_is_kept_as_an_hour(tmp_path):
    record(tmp_path / "out.mp4", [0.0, 1.0, 1e6, 1e6 + 1])
    assert read(tmp_path / "out.mp4")[0] == pytest.approx([0, 1, 3601, 3602], abs=0.001)


@pytest.mark.parametrize("fps", [0.05, 29.97, 1000.0, 1e6])
def test_an_odd_frame_rate_loses_no_frame(fps, tmp_path):
    record(tmp_path / "out.mp4", [0.0, 1.0, 2.0], fps=fps)
    assert read(tmp_path / "out.mp4")[0] == pytest.approx([0, 1, 2])


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_a_frame_rate_that_is_none_is_refused(fps, tmp_path):
    with pytest.raises(ValueError, match="expected a number above 0"):
        VideoWriter(tmp_path / "out.mp4", fps)


def test_an_error_within_the_block_leaves_a_finished_file(tmp_path):
    def interrupted():
        with VideoWriter(tmp_path / "out.mp4", 30) as writer:
            for i in range(5):
                writer.write(picture(), i / 30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(read(tmp_path / "out.mp4")[0]) == 5


def test_without_a_frame_an_earlier_file_stays_as_it_was(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"before")
    record(path, [])
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["out.webm", "out", "out.mp4.txt"])
def test_another_suffix_is_refused(name, tmp_path):
    with pytest.raises(OutputError, match=r"ends in \.mp4 or \.mkv"):
        VideoWriter(tmp_path / name, 30)


@pytest.mark.parametrize(
    ("name", "sentence"), [("missing/out.mp4", "No such file or directory"), ("folder.mp4", "is a folder")]
)
def test_a_place_that_cannot_be_written_is_refused_before_the_first_frame(name, sentence, tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputError, match=sentence), VideoWriter(tmp_path / name, 30):
        pytest.fail("entered")


class FullDisk:
    """A container whose `mux` fails from the moment the disk is full."""

    def __init__(self, container):
        self._container, self.full = container, False

    def __getattr__(self, name):
        return getattr(self._container, name)

    def mux(self, packets):
        if self.full:
            raise OSError(28, "No space left on device")
        self._container.mux(packets)


@pytest.fixture
def full_disk(monkeypatch):
    disks = []
    real_open = av.open

    def open_(*args, **kwargs):
        disks.append(FullDisk(real_open(*args, **kwargs)))
        return disks[-1]

    monkeypatch.setattr(video.av, "open", open_)
    return disks


@pytest.mark.parametrize("when", ["while writing", "at the end"])
def test_a_full_disk_is_an_output_error_and_leaves_nothing(when, full_disk, tmp_path):
    def run():
        with VideoWriter(tmp_path / "out.mp4", 30) as writer:
            writer.write(picture(), 0.0)
            full_disk[0].full = True
            if when == "while writing":
                writer.write(picture(), 0.1)

    with pytest.raises(OutputError, match="No space left on device"):
        run()
    assert list(tmp_path.iterdir()) == []


def test_a_failing_end_does_not_hide_the_error_that_led_to_it(full_disk, tmp_path, caplog):
    def run():
        with VideoWriter(tmp_path / "out.mp4", 30) as writer:
            writer.write(picture(), 0.0)
            full_disk[0].full = True
            raise KeyboardInterrupt

    with caplog.at_level(logging.WARNING), pytest.raises(KeyboardInterrupt):
        run()
    assert "No space left on device" in caplog.text


def test_without_x264_the_video_is_mpeg4_with_the_same_times(monkeypatch, tmp_path):
    monkeypatch.setattr(video.av, "codecs_available", av.codecs_available - {"libx264"})
    record(tmp_path / "out.mp4", [0.0, 0.1, 2.0])
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    assert read(tmp_path / "out.mp4")[0] == pytest.approx([0, 0.1, 2.0])


def test_as_many_threads_encode_as_cores_may_be_used(monkeypatch, tmp_path):
    monkeypatch.setattr(video, "usable_cores", lambda: 3)
    with VideoWriter(tmp_path / "clip.mp4", 10.0) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8), 0.0)
        assert writer._stream.codec_context.thread_count == 3
