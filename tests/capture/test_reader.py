"""The loop of a reader process: it opens, publishes, tells why a stream ended, and tries again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from gatecam.capture.newest import NewestReader, NewestWriter, Phase, create_memory
from gatecam.capture.reader import Reader
from gatecam.capture.reading import STALLED, Method, ReaderSettings, SourceSettings
from gatecam.capture.sources import OtherMethodError, Shot, SilentError
from gatecam.errors import CameraError

SOURCE = SourceSettings("http://user:secret@camera/", 640, 480, 30.0, 2.0)
OPEN_TIMEOUT_S = 10.0


class Script:
    """Gives, for each opening, its shots, then its error; notes how it was opened."""

    def __init__(self, *openings: tuple[list[Shot], CameraError]) -> None:
        self.openings = list(openings)
        self.opened: list[tuple[float, Method]] = []

    def __call__(self, source: SourceSettings, open_timeout_s: float, method: Method) -> Iterator[Shot]:
        self.opened.append((open_timeout_s, method))
        found, error = self.openings.pop(0)
        yield from found
        raise error


Build = Callable[..., tuple[Reader, NewestReader]]


@pytest.fixture
def build() -> Iterator[Build]:
    """A reader of a script, and the other end of its memory."""
    fds = [create_memory(), *os.pipe()]

    def reader_of(
        script: Script, longest_open_s=0.0, first_index=0, source=SOURCE, method=0, look=lambda *_: ""
    ) -> tuple[Reader, NewestReader]:
        settings = ReaderSettings(source, OPEN_TIMEOUT_S, longest_open_s, first_index, fds[0], fds[2], method)
        reader = Reader(settings, NewestWriter(fds[0], fds[2]), look, open_shots=script)
        return reader, NewestReader(fds[0])

    yield reader_of
    for each in fds:
        os.close(each)


def shot(after_s: float = 0.0, level: int | None = 1) -> Shot:
    image = None if level is None else np.full((4, 6, 3), level, np.uint8)
    return Shot(time.monotonic() + after_s, image)


ENDED = CameraError("ended its stream")


def test_a_picture_that_comes_after_the_time_out_is_not_shown(build):
    """OpenCV hands out half a picture when it gives up waiting for the rest."""
    reader, memory = build(Script(([shot(), shot(SOURCE.read_timeout_s + 0.1, 2)], ENDED)))
    reader.attempt()
    assert memory.take(-1).image[0, 0, 0] == 1
    assert memory.status.reason == STALLED


def test_settings_survive_the_pipe():
    settings = ReaderSettings(SOURCE, 10.0, 1.5, 7, 3, 4)
    assert ReaderSettings.from_json(settings.to_json()) == settings
    assert settings.to_json().count(b"\n") == 1


def test_pictures_are_published_with_growing_times_from_the_first_index(build):
    first = shot(level=1)
    reader, memory = build(Script(([first, Shot(first.time_s, first.image)], ENDED)), first_index=40)
    reader.attempt()
    found = memory.take(-1)
    assert found.index == 41
    assert first.time_s < found.time_s < first.time_s + 1e-6


def test_what_the_look_says_of_a_picture_goes_with_it(build):
    reader, memory = build(Script(([shot()], ENDED)), look=lambda image, time_s: f"dark {image.shape[1]}")
    reader.attempt()
    assert memory.glance().sight == "dark 6"


def test_the_end_is_told_with_its_reason_until_a_picture_comes(build):
    reader, memory = build(Script(([], CameraError("gives no picture")), ([shot(0.5)], ENDED)))
    reader.attempt()
    assert (memory.status.phase, memory.status.reason) == (Phase.PAUSING, "gives no picture")
    reader.attempt()
    assert memory.status.reason == "ended its stream"
    assert memory.status.longest_open_s > 0


def test_attempts_pause_for_longer_until_a_picture_comes(build):
    refused = ([], CameraError("no"))
    reader, _ = build(Script(refused, refused, refused, refused, ([shot()], ENDED), refused))
    pauses = [reader.attempt() for _ in range(6)]
    assert pauses == pytest.approx([0.5, 1, 2, 2, 0.5, 1], abs=0.1)


def test_words_hold_until_a_deadline_that_every_picture_moves(build):
    seen = []
    reader, memory = build(
        Script(([shot(), shot(0.1)], ENDED)),
        look=lambda image, time_s: seen.append((memory.deadline_s - time_s, memory.status.phase)) or "",
    )
    started_s = time.monotonic()
    pause_s = reader.attempt()
    (opening_s, phase), (open_s, then) = seen
    assert (phase, then) == (Phase.OPENING, Phase.OPEN)
    assert opening_s == pytest.approx(10.5, abs=0.2)
    assert open_s == pytest.approx(2.5 - 0.1, abs=0.01)
    assert memory.deadline_s == pytest.approx(started_s + pause_s + 0.5, abs=0.2)


@pytest.mark.parametrize(("longest_open_s", "limit_s"), [(0, 10), (0.1, 3), (1.9, 3.8), (8, 10)])
def test_a_camera_that_gave_pictures_is_not_waited_for_as_long_as_a_new_one(build, longest_open_s, limit_s):
    script = Script(([], ENDED))
    reader, _ = build(script, longest_open_s=longest_open_s)
    reader.attempt()
    assert script.opened == [(limit_s, Method.DEMUXED)]


OTHER, SILENT = OtherMethodError("no method"), SilentError("silent")
RTSP = replace(SOURCE, source="rtsp://camera/")


def test_another_method_is_tried_at_once_without_a_failure_and_remembered(build):
    seen = []
    script = Script(([], OTHER), ([shot()], ENDED), ([shot()], ENDED), ([shot()], ENDED))
    reader, memory = build(script, look=lambda *_: seen.append(memory.status.reason) or "")
    reader.attempt()
    reader.attempt()
    assert seen == ["", "ended its stream"]  # not the first method's error
    again, _ = build(script, method=memory.status.method)
    again.attempt()
    assert [method for _, method in script.opened] == [Method.DEMUXED, *[Method.JPEGS] * 3]


@pytest.mark.parametrize(
    ("source", "method", "errors", "tried"),
    [
        (SOURCE, 0, [OTHER, OTHER], [Method.DEMUXED, Method.JPEGS]),
        (SOURCE, Method.JPEGS, [OTHER, OTHER], [Method.JPEGS, Method.DEMUXED]),
        (SOURCE, 0, [ENDED], [Method.DEMUXED]),
        (RTSP, 0, [OTHER, OTHER], [Method.DEMUXED, Method.UDP]),
        (RTSP, 0, [SILENT, SILENT], [Method.DEMUXED, Method.UDP]),
        (RTSP, Method.UDP, [SILENT], [Method.UDP]),  # it is off, and TCP would be asked in vain
        (replace(RTSP, rtsp_transport="tcp"), 0, [OTHER], [Method.DEMUXED]),
        (replace(RTSP, rtsp_transport="udp"), 0, [OTHER], [Method.UDP]),
        (replace(SOURCE, source="udp://127.0.0.1:9"), 0, [OTHER], [Method.DEMUXED]),
        (replace(SOURCE, source="/dev/video0"), 0, [ENDED], [Method.DEVICE]),
    ],
)
def test_methods_are_tried_in_turn_and_the_first_error_is_told(build, source, method, errors, tried):
    script = Script(*[([], error) for error in errors])
    reader, memory = build(script, source=source, method=method)
    assert reader.attempt() == pytest.approx(0.5, abs=0.1)
    assert [method for _, method in script.opened] == tried
    assert memory.status.reason == str(errors[0])


@pytest.mark.parametrize(
    ("comes", "said"),
    [
        ([(9.9, None), (10.9, None), (11, 1)], "gives no picture"),
        ([(0, 1), (1.9, None), (2.9, None), (3, 1)], "sends only what cannot be shown"),
    ],
)
def test_a_stream_without_a_picture_is_left_even_while_it_sends(build, comes, said):
    device = replace(SOURCE, source="/dev/video0")  # has one method
    reader, memory = build(Script(([shot(*each) for each in comes], ENDED)), source=device)
    reader.attempt()
    assert said in memory.status.reason


def test_an_unknown_error_is_not_taken_for_the_end_of_a_stream(build):
    reader, _ = build(Script(([shot()], ENDED)), look=lambda image, time_s: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        reader.attempt()


def test_a_camera_whose_pictures_are_left_out_is_there(build):
    """Only what comes after a silence is late."""
    early = [Shot(time.monotonic() + s, None, is_left_out=True) for s in (1.5, 3.0)]
    reader, memory = build(Script(([shot(), *early, shot(4.5, 2)], ENDED)))
    reader.attempt()
    assert memory.status.reason == ENDED.args[0]
    found = memory.take(-1)
    assert (found.index, found.image[0, 0, 0]) == (1, 2)
