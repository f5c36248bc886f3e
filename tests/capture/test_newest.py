"""The shared memory: the newest picture, whole, whatever happens to its writer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from gatecam.capture.newest import MAX_PIXELS, NewestReader, NewestWriter, Phase, Status, create_memory


@dataclass
class Ends:
    """Both ends of one memory, and of its bell."""

    reader: NewestReader
    writer: NewestWriter
    memory_fd: int
    bell_fd: int
    ring_fd: int

    def rings(self) -> int:
        try:
            return len(os.read(self.bell_fd, 1 << 20))
        except BlockingIOError:
            return 0

    def used_bytes(self) -> int:
        return os.fstat(self.memory_fd).st_blocks * 512


@pytest.fixture
def ends() -> Iterator[Ends]:
    memory_fd = create_memory()
    bell_fd, ring_fd = os.pipe()
    os.set_blocking(bell_fd, False)
    yield Ends(NewestReader(memory_fd), NewestWriter(memory_fd, ring_fd), memory_fd, bell_fd, ring_fd)
    for each in (memory_fd, bell_fd, ring_fd):
        os.close(each)


def picture(level: int, height: int = 4, width: int = 6):
    return np.full((height, width, 3), level, np.uint8)


def test_a_picture_comes_through_once_with_all_that_is_said_of_it(ends):
    ends.writer.put(picture(7), 3, 12.5, "dark")
    assert ends.reader.glance().sight == "dark"
    found = ends.reader.take(2)
    assert (found.index, found.time_s, found.image.shape) == (3, 12.5, (4, 6, 3))
    assert (found.image == 7).all()
    assert ends.reader.take(3) is None


def test_before_the_first_picture_there_is_nothing(ends):
    assert ends.reader.take(-1) is None
    assert ends.reader.glance() is None
    assert ends.reader.status == Status(Phase.STARTING, "", 0.0)
    assert ends.reader.deadline_s == 0


def test_of_many_pictures_only_the_newest_is_there_and_the_bell_rang_for_each(ends):
    for index in range(10):
        ends.writer.put(picture(index), index, float(index), "")
    assert ends.rings() == 10
    assert ends.reader.take(-1).index == 9


def test_a_bell_that_nobody_hears_holds_up_nothing(ends):
    for _ in range(70_000):
        ends.writer.ring()
    ends.writer.put(picture(1), 69_999, 0.0, "")
    assert ends.rings() == 65_536
    assert ends.reader.take(-1).index == 69_999


def test_a_taken_picture_is_a_copy(ends):
    ends.writer.put(picture(1), 0, 0.0, "")
    taken = ends.reader.take(-1).image
    for index in range(1, 5):
        ends.writer.put(picture(200), index, 0.0, "")
    assert (taken == 1).all()


@pytest.mark.parametrize("height", [1, 48, 4320])
def test_pictures_of_changing_sizes_come_through(ends, height):
    for index, size in enumerate([(3, 5), (height, 7), (1, 1), (2, 7680)]):
        ends.writer.put(picture(index + 1, *size), index, 0.0, "")
        found = ends.reader.take(index - 1).image
        assert found.shape == (*size, 3)
        assert (found == index + 1).all()


def test_a_picture_above_the_largest_is_refused(ends):
    huge = np.broadcast_to(np.uint8(0), (MAX_PIXELS + 1, 1, 3))
    with pytest.raises(ValueError, match="expected at most"):
        ends.writer.put(huge, 0, 0.0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep the pages")
def test_pages_of_large_pictures_are_given_back_when_small_ones_follow(ends):
    for index in range(4):
        ends.writer.put(picture(1, 1080, 1920), index, 0.0, "")
    large = ends.used_bytes()
    for index in range(4, 8):
        ends.writer.put(picture(1, 48, 64), index, 0.0, "")
    assert large > 2 * 1080 * 1920 * 3
    assert ends.used_bytes() < 256 * 1024


def test_the_last_word_of_the_reader_is_there(ends):
    ends.writer.tell(Phase.OPENING, 5.0, "", 0.0)
    ends.writer.tell(Phase.PAUSING, 7.0, "ended its stream" * 100, 1.5)
    status = ends.reader.status
    assert (status.phase, status.longest_open_s) == (Phase.PAUSING, 1.5)
    assert status.reason.startswith("ended its streamended")
    assert ends.reader.deadline_s == 7.0
    ends.writer.promise(8.0)
    assert ends.reader.deadline_s == 8.0


def fail_at(monkeypatch, step: int) -> None:
    """Have the writer break off at its `step`-th access to its memory, as if it were killed there."""
    left = [step]

    class Breaking:
        def __init__(self, array) -> None:
            self._array = array

        def _count(self) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt

        def __getitem__(self, key):
            self._count()
            found = self._array[key]
            return Breaking(found) if found.ndim else found

        def __setitem__(self, key, value) -> None:
            self._count()
            self._array[key] = value

        def __int__(self) -> int:
            return int(self._array)

    before = NewestWriter.__init__

    def init(self, memory_fd, bell_fd) -> None:
        before(self, memory_fd, bell_fd)
        self._head, self._slots = Breaking(self._head), Breaking(self._slots)

    monkeypatch.setattr(NewestWriter, "__init__", init)


@pytest.mark.parametrize("step", range(30))
def test_a_writer_that_ends_at_any_step_leaves_a_whole_picture_and_whole_words(ends, monkeypatch, step):
    ends.writer.tell(Phase.OPEN, 1.0, "old", 1.0)
    ends.writer.put(picture(1), 0, 1.0, "old")
    fail_at(monkeypatch, step)
    dying = NewestWriter(ends.memory_fd, ends.ring_fd)
    try:
        dying.put(picture(2, 8, 8), 1, 2.0, "new")
        dying.tell(Phase.PAUSING, 2.0, "new", 2.0)
    except KeyboardInterrupt:
        pass
    found = ends.reader.take(-1)
    expected = {0: (1, 1.0, (4, 6, 3)), 1: (2, 2.0, (8, 8, 3))}[found.index]
    assert (int(found.image.max()), found.time_s, found.image.shape) == expected
    assert len(np.unique(found.image)) == 1
    assert ends.reader.glance().sight == ("new" if found.index else "old")
    status = ends.reader.status
    assert status in (Status(Phase.OPEN, "old", 1.0), Status(Phase.PAUSING, "new", 2.0), NOT_READ_BEFORE)


NOT_READ_BEFORE = Status(Phase.STARTING, "", 0.0)  # torn words are passed over for the last whole ones


def test_a_slot_whose_head_means_nothing_is_not_believed(ends):
    ends.writer.put(picture(1), 0, 0.0, "")
    ends.writer._slots["height"] = 1 << 60
    assert ends.reader.take(-1) is None
    ends.writer._head["newest"][0] = 99
    assert ends.reader.take(-1) is None
    ends.writer._head["phase"][0] = 1 << 40
    assert ends.reader.status.phase is Phase.PAUSING


ENDLESS = """
import sys, numpy as np
from gatecam.capture.newest import NewestWriter
writer = NewestWriter(int(sys.argv[1]), int(sys.argv[2]))
images = [np.full((40 + 20 * n, 60, 3), n, np.uint8) for n in range(8)]
index = 0
while True:
    writer.put(images[index % 8], index, float(index), "")
    index += 1
"""


def test_beside_a_writer_at_full_speed_that_is_killed_every_picture_is_whole(ends):
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(ends.memory_fd), str(ends.ring_fd)],
        pass_fds=(ends.memory_fd, ends.ring_fd),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    os.set_blocking(ends.bell_fd, True)
    found, last = 0, -1
    try:
        while found < 2000 and os.read(ends.bell_fd, 65536):
            if (taken := ends.reader.take(last)) is None:
                continue
            if found == 1000:
                process.send_signal(signal.SIGKILL)
                process.wait(10)
                os.set_blocking(ends.bell_fd, False)
            assert taken.image.shape == (40 + 20 * (taken.index % 8), 60, 3)
            assert (taken.image == taken.index % 8).all()
            assert taken.time_s == taken.index > last
            found, last = found + 1, taken.index
    except BlockingIOError:
        pass  # it was killed, and all its rings are heard
    finally:
        process.kill()
        process.wait(10)
    assert found > 1000
    assert ends.reader.take(-1).index >= last
