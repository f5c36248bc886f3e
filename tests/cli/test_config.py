"""`gatecam config`: what is shown and checked."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from gatecam.cli.main import app
from gatecam.config import Config
from gatecam.errors import ConfigError


@pytest.fixture
def gatecam(tmp_path, monkeypatch):
    """Runs a command in an empty folder without `GATECAM_` variables; errors come as they are raised."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GATECAM_")]:
        monkeypatch.delenv(name)

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_show_without_a_file_prints_the_defaults(gatecam):
    assert yaml.safe_load(gatecam("config", "show")) == Config().model_dump()


def test_show_prints_what_holds_and_where_it_comes_from(gatecam, monkeypatch):
    Path("mine.yaml").write_text("camera: {fps: 15}", encoding="utf-8")
    monkeypatch.setenv("GATECAM_DEVICE", "cpu")
    text = gatecam("config", "show", "--config", "mine.yaml")
    assert "fps: 15.0  # mine.yaml:1" in text
    assert "device: cpu  # environment GATECAM_DEVICE" in text


def test_check_says_that_a_file_is_ok(gatecam):
    assert gatecam("config", "check") == "no config.yaml here, the defaults hold: ok\n"
    Path("config.yaml").write_text("device: cpu", encoding="utf-8")
    assert gatecam("config", "check") == "config.yaml: ok\n"
    assert gatecam("config", "check", "config.yaml") == "config.yaml: ok\n"


def test_check_raises_the_problems_of_a_file(gatecam):
    Path("bad.yaml").write_text("device: gpu", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"expected auto, cpu or cuda, got 'gpu' \(bad.yaml:1\)"):
        gatecam("config", "check", "bad.yaml")


def test_schema_prints_json(gatecam):
    assert "detector" in json.loads(gatecam("config", "schema"))["properties"]
