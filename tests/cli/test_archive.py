"""`gatecam archive`: wrong words, a missing extra and a missing archive are one sentence each."""

from __future__ import annotations

import sys

import pytest


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
def test_wrong_words_are_one_sentence_and_exit_2(gatecam, tmp_path, words, said):
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
