"""`gatecam doctor`: the table, and essentials decide the exit code."""

from __future__ import annotations

import pytest
import typer

from gatecam.cli.doctor import doctor
from gatecam.live import checks as module
from gatecam.live.checks import Check, Row


@pytest.fixture
def examined(monkeypatch, capsys):
    """Runs `doctor` on given rows; gives the exit code and what it prints."""

    def run(*rows: Row) -> tuple[int, str]:
        monkeypatch.setattr(module, "checks", lambda *_: (Check("all", lambda: iter(rows)),))
        try:
            doctor()
        except typer.Exit as end:
            return end.exit_code, capsys.readouterr().out
        return 0, capsys.readouterr().out

    return run


def test_all_well_exits_0(examined):
    code, said = examined(Row("torch", True, "2.15", essential=True))
    assert code == 0
    assert said.splitlines() == ["torch  ok      2.15", "Everything essential is ok."]


def test_a_missing_camera_is_told_but_exits_0(examined):
    code, said = examined(Row("cameras", False, "none seen", "plug one in"))
    assert code == 0
    assert "cameras  not ok  none seen -> plug one in\n" in said
    assert "1 optional parts are not" in said


def test_a_missing_essential_exits_1_and_is_named(examined):
    code, said = examined(Row("weights", False, "hash differs", "restore them", essential=True))
    assert code == 1
    assert said.endswith("gatecam cannot run until this is fixed: weights.\n")


def test_a_pipe_gets_full_lines_without_colour(examined):
    _, said = examined(Row("extra [sound]", False, "x" * 300, "pip install 'gatecam[sound]'"))
    assert f"extra [sound]  not ok  {'x' * 300} -> pip install 'gatecam[sound]'\n" in said
    assert "\x1b" not in said


def test_a_terminal_gets_a_table_with_brackets_kept(examined, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    _, said = examined(Row("extra [sound]", False, "none", "pip install 'gatecam[sound]'"))
    assert "what to do" in said
    assert "pip install 'gatecam[sound]'" in said
