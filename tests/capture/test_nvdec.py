"""Decoding by a GPU: asked for only where one analyses, and without one FFmpeg decodes the same pictures."""

from __future__ import annotations

import logging

import av
import numpy as np
import pytest

from gatecam.capture import video
from gatecam.capture.recording import open_recording
from gatecam.capture.video import VideoFile
from gatecam.pictures.video import VideoWriter


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, 30.0) as writer:
        for index in range(12):
            writer.write(np.full((48, 64, 3), 20 * index, np.uint8), index / 30)
    return path


def pictures(source) -> list[np.ndarray]:
    with source as frames:
        return [frame.image for frame in frames]


@pytest.fixture
def asked(monkeypatch) -> list[object]:
    """What each opening was given as its hardware; a GPU's refuses, as FFmpeg's does without one."""
    given = []
    opened = av.open

    def open_noted(*words, hwaccel=None, **named):
        given.append(hwaccel)
        if hwaccel is not None:
            raise av.error.PermissionError(1, "Operation not permitted")
        return opened(*words, **named)

    monkeypatch.setattr(video.av, "open", open_noted)
    return given


def test_without_a_gpu_the_cpu_decodes_and_it_is_told(clip, asked, caplog):
    expected = pictures(VideoFile(clip))
    caplog.set_level(logging.INFO)
    found = pictures(VideoFile(clip, on_gpu=True))
    assert all((one == other).all() for one, other in zip(found, expected, strict=True))
    assert [hardware is None for hardware in asked] == [True, False, True]
    assert "the GPU cannot decode it" in caplog.text


def test_a_gpu_is_asked_only_where_it_is_to_decode(clip, asked):
    pictures(open_recording(clip, 10.0))
    assert asked == [None]
    pictures(open_recording(clip, 10.0, on_gpu=True))
    assert asked[1].__class__.__name__ == "HWAccel"
