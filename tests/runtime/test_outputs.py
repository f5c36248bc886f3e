"""Outputs that would destroy an input or each other are refused, by whatever name they come."""

from __future__ import annotations

import os

import pytest

from gatecam.errors import OutputError
from gatecam.runtime.outputs import numbered, require_apart


@pytest.fixture
def clip(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"video")
    return path


@pytest.mark.parametrize(
    ("names", "unique"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a", "a"], ["a", "a-2", "a-3"]),
        (["a", "A"], ["a", "A-2"]),
        (["a", "a-2", "a"], ["a", "a-2", "a-3"]),
        (["a", "a", "a-2"], ["a", "a-2", "a-2-2"]),
        ([], []),
    ],
)
def test_names_that_came_before_are_numbered(names, unique):
    assert numbered(names) == unique


def spellings(clip):
    (clip.parent / "sub").mkdir()
    (clip.parent / "symlink.mp4").symlink_to(clip)
    os.link(clip, clip.parent / "hardlink.mp4")
    return [
        clip,
        clip.relative_to(clip.parent),
        clip.parent / "sub" / ".." / "clip.mp4",
        clip.parent / "symlink.mp4",
        clip.parent / "hardlink.mp4",
    ]


def test_an_input_is_never_written_whatever_its_spelling(clip):
    for output in spellings(clip):
        with pytest.raises(OutputError, match="is read, so it cannot be written"):
            require_apart([output], [clip])


def test_two_outputs_need_two_names_even_before_they_exist(clip):
    with pytest.raises(OutputError, match="asked for twice"):
        require_apart([clip.parent / "new.mp4", clip.parent / "." / "new.mp4"], [clip])


def test_a_picture_is_not_written_into_a_folder_of_pictures_that_is_read(clip):
    with pytest.raises(OutputError, match="choose another folder"):
        require_apart([clip.parent / "sheet.jpg"], [clip.parent])


def test_events_may_lie_in_the_folder_that_is_read(clip):
    require_apart([clip.parent / "events.jsonl", clip.parent / "out.mp4"], [clip.parent])


def test_outputs_of_their_own_are_fine(clip):
    require_apart(
        [clip.parent / "a.jsonl", clip.parent / "missing" / "b.mp4"], [clip, clip.parent / "no.mp4"]
    )
