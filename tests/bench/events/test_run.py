"""Clips are replayed with scripted faces, and the command tells what its input lacks."""

from __future__ import annotations

import json

import numpy as np
import PIL.Image
import pytest

from gatecam.bench.events import run
from gatecam.bench.events.run import EventsRequest, evaluate_and_print
from gatecam.errors import DataError
from gatecam.vision.fake import FakeAnalyzer

HEAD = "clip,person,from_s,to_s,state\n"


@pytest.fixture
def clip(tmp_path):
    """A folder of 20 grey pictures, two seconds long."""
    folder = tmp_path / "door"
    folder.mkdir()
    for index in range(20):
        PIL.Image.fromarray(np.full((240, 320, 3), 90 + index, np.uint8)).save(folder / f"{index:02}.png")
    return folder


def test_a_clip_is_replayed_and_scored(clip, tmp_path, monkeypatch, make_face, capsys):
    script = [[make_face(mask="none")]] * 20
    monkeypatch.setattr(run, "build_analyzer", lambda config, telemetry: FakeAnalyzer(script))
    truth, page, figures = tmp_path / "truth.csv", tmp_path / "page.html", tmp_path / "figures.json"
    truth.write_text(f"{HEAD}door,ann,0,2,none\n")
    settings = tmp_path / "config.yaml"
    settings.write_text("replay: {image_fps: 10}\ndetector: {detect_every: 1}\n")
    evaluate_and_print(
        EventsRequest(clips=[clip], truth=truth, page=page, json_file=figures, config=settings)
    )
    read = json.loads(figures.read_text())
    assert read["summary"]["alerts_right"]["count"] == read["summary"]["alerts_right"]["of"] == 1
    assert read["clips"][0]["events"][0]["person"] == "ann"
    assert read["clips"][0]["faults"] == []
    assert "alerts right" in capsys.readouterr().out
    assert "<svg" in page.read_text()


def test_a_clip_without_a_truth_is_told(clip, tmp_path):
    truth = tmp_path / "truth.csv"
    truth.write_text(f"{HEAD}other.mp4,1,0,2,none\n")
    with pytest.raises(DataError, match=r"truth\.csv: has no line with the clip door\. Add one"):
        evaluate_and_print(EventsRequest(clips=[clip], truth=truth))


def test_two_clips_of_one_name_are_told(clip, tmp_path):
    truth = tmp_path / "truth.csv"
    truth.write_text(f"{HEAD}door,1,0,2,none\n")
    with pytest.raises(DataError, match="another clip has the same name"):
        evaluate_and_print(EventsRequest(clips=[clip, clip], truth=truth))
