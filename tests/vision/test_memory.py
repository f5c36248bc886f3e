"""The heap is trimmed now and then."""

from __future__ import annotations

from gatecam.vision.memory import FRAMES_BETWEEN, Trimmer


def test_the_heap_is_trimmed_every_so_many_frames():
    calls = []
    trimmer = Trimmer(lambda: calls.append(1))
    for _ in range(FRAMES_BETWEEN // 2 - 1):
        trimmer.after(2)
    assert not calls
    trimmer.after(2)
    assert calls == [1]
    trimmer.after(FRAMES_BETWEEN - 1)
    assert calls == [1]
    trimmer.after(32)
    assert calls == [1, 1]


def test_what_the_c_library_has_can_be_called():
    Trimmer().after(FRAMES_BETWEEN)
