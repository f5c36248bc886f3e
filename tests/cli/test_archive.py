"""`gatecam archive`: wrong words, a missing extra, a missing archive and Ctrl-C are one sentence each."""

from __future__ import annotations

import shutil
import sys
from typing import ClassVar

import pytest

from gatecam.archive import cluster
from tests.archive.conftest import RAY_WORDS, Alone, write_recording


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no recording was found"),
        (["missing.mp4"], "missing.mp4: there is no such file or folder"),
        (["clip.mp4", "--time-zone", "Nowhere"], "--time-zone: expected a zone such as Asia/Seoul"),
        (["--out", "empty", "--query", "SELECT 1"], "empty: there is no archive yet"),
        (["clip.mp4", "--address", "127.0.0.1:1"], "Ray at 127.0.0.1:1 cannot be used"),
    ],
)
def test_wrong_words_are_one_sentence_and_exit_2(gatecam, tmp_path, monkeypatch, words, said):
    for name, value in RAY_WORDS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    ended = gatecam("archive", *words)
    assert (ended.code, ended.out) == (2, "")
    assert f"gatecam: {said}" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("library", ["ray", "pyarrow", "duckdb"])
def test_a_missing_extra_is_named(gatecam, tmp_path, monkeypatch, library):
    for name in [name for name in sys.modules if name.startswith("gatecam.archive")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    (tmp_path / "archive" / "files").mkdir(parents=True)
    (tmp_path / "archive" / "files" / "a.parquet").touch()
    words = ["--query", "SELECT 1"] if library == "duckdb" else ["clip.mp4"]
    ended = gatecam("archive", *words)
    assert ended.code == 2
    assert "pip install 'gatecam[ray]'" in ended.err


class Interrupted(Alone):
    """Workers whose user presses Ctrl-C when the first recording is done."""

    has_gpus, notes = False, ()
    analyzed: ClassVar[list[str]] = []
    left = 1

    def __init__(self, *words: object) -> None:
        super().__init__()

    def __enter__(self) -> Interrupted:
        return self

    def __exit__(self, *error: object) -> None: ...

    def finished(self, timeout_s):
        if type(self).left == 0:
            type(self).left = 9
            raise KeyboardInterrupt
        type(self).left -= 1
        ((part, outcome, device),) = super().finished(timeout_s)
        self.analyzed.append(part.path.name)
        return [(part, outcome, device)]


def test_ctrl_c_is_one_sentence_and_exit_130_and_the_next_run_does_nothing_twice(
    gatecam, tmp_path, monkeypatch
):
    monkeypatch.setattr(cluster, "Cluster", Interrupted)
    for name in ("a.mkv", "b.mkv"):
        write_recording(tmp_path / name, frames=16)
    ended = gatecam("archive", "a.mkv", "b.mkv")
    assert ended.code == 130
    assert ended.err.splitlines()[-1] == (
        "gatecam: stopped; the same command goes on with the recordings that are not done."
    )
    assert "Traceback" not in ended.err
    ended = gatecam("archive", "a.mkv", "b.mkv")
    assert (ended.code, Interrupted.analyzed) == (0, ["a.mkv", "b.mkv"])
    assert "1 analyzed (0.0 hours), 1 done before" in ended.out
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    ended = gatecam("archive", "a.mkv", "b.mkv", "bad.mp4")
    assert ended.code == 1, "only one of them could not be read"
    assert gatecam("archive", "bad.mp4", "--out", "other").code == 2
    (tmp_path / "b.mkv").rename(tmp_path / "cafe_20261124_0800.mkv")
    ended = gatecam("archive", "a.mkv", "cafe_20261124_0800.mkv")  # another camera, so done again
    assert "1 analyzed (0.0 hours), 1 done before" in ended.out
    (tmp_path / "cafe").mkdir()
    (tmp_path / "cafe_20261124_0800.mkv").rename(tmp_path / "cafe" / "20261124_0800.mkv")
    copy = shutil.copy(tmp_path / "cafe" / "20261124_0800.mkv", tmp_path / "cafe_20261124_0800_.mkv")
    ended = gatecam("archive", "a.mkv", "cafe", copy.name)
    assert "0 analyzed (0.0 hours), 2 done before" in ended.out
    assert "recordings that were moved or renamed keep their results: 1." in ended.err
    assert f"{copy}: left out, because it is a copy of {tmp_path}/cafe/20261124_0800.mkv." in ended.err
