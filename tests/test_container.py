"""The Dockerfile, read as a builder reads it: no root, a health check, both variants, all files there."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gatecam.cli.main import app
from gatecam.settings.loading import load
from gatecam.settings.schema import Config

ROOT = Path(__file__).parents[1]


@dataclass
class Stage:
    """One `FROM` and what follows: each instruction's word and the rest."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def only(self, word: str) -> str:
        """What stands behind a word that is there once."""
        (rest,) = [rest for step, rest in self.steps if step == word]
        return rest

    def all(self, word: str) -> list[str]:
        return [rest for step, rest in self.steps if step == word]


def read_dockerfile() -> tuple[dict[str, str], list[Stage]]:
    """The arguments before the first stage with their defaults, and the stages."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for line in filter(None, whole.splitlines()):
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name))
        elif stages:
            stages[-1].steps.append((word, " ".join(rest.split())))
        else:
            assert word == "ARG"
            name, _, default = rest.partition("=")
            arguments[name] = default
    return arguments, stages


ARGUMENTS, STAGES = read_dockerfile()
FINAL = STAGES[-1]


def is_sent(path: str) -> bool:
    """Whether the builder gets a file; the last line of .dockerignore that fits decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = [path, *(str(parent) for parent in Path(path).parents)]
        if "**/" in line:
            parts = list(Path(path).parts)
        if any(fnmatch(part, pattern) for part in parts):
            sent = line.startswith("!")
    return sent


def test_it_does_not_run_as_root_and_its_folders_are_its_own():
    user = FINAL.only("USER")
    (making,) = FINAL.all("RUN")
    assert user not in ("root", "0")
    assert re.search(rf"useradd --system .*--groups audio,video .* {user} ", making)
    owned = making[making.index(f"--owner={user}") :]
    for folder in ("/run/gatecam", *json.loads(FINAL.only("VOLUME"))):
        assert folder in owned


def test_it_is_a_service_that_is_ended_by_the_signal_gatecam_answers():
    assert FINAL.only("STOPSIGNAL") == "SIGTERM"
    assert "RUNTIME_DIRECTORY=/run/gatecam" in FINAL.only("ENV").split()


def test_the_health_check_asks_the_program_and_only_says_well_or_not():
    options, command = FINAL.only("HEALTHCHECK").split(" CMD ")
    assert command == "gatecam status || exit 1"  # the exit code 2 is reserved there
    assert set(re.findall(r"--([a-z-]+)=\d+s", options)) == {"interval", "timeout", "start-period"}


@pytest.mark.parametrize("variant", ["cpu", "cuda"])
def test_both_variants_are_stages_that_install_torch(variant):
    assert ARGUMENTS["VARIANT"] in ("cpu", "cuda")
    assert "torch-${VARIANT}" in [stage.base for stage in STAGES]
    (stage,) = [stage for stage in STAGES if stage.name == f"torch-{variant}"]
    assert stage.only("RUN").endswith("torch torchvision")


def test_the_image_holds_what_was_built_and_not_how():
    built = [stage.name for stage in STAGES if any("pip install" in run for run in stage.all("RUN"))]
    assert FINAL.name == ""
    assert not any("pip" in run for run in FINAL.all("RUN"))
    (copied,) = [rest for rest in FINAL.all("COPY") if rest.startswith("--from=")]
    assert copied.removeprefix("--from=").split()[0] in built


def test_all_that_is_copied_is_in_the_repository_and_sent():
    for stage in STAGES:
        for copied in stage.all("COPY"):
            *sources, _ = shlex.split(copied)
            for source in sources if not sources[0].startswith("--from") else []:
                assert (ROOT / source).exists()
                assert is_sent(source)


FAKE_PYTHON = """#!/bin/sh
mkdir -p .venv
echo "$@" >> asked
case "$*" in *+cpu*) exit $HAS_NO_PAIR ;; esac
"""


@pytest.mark.parametrize("has_pair", [True, False])
def test_make_installs_torch_for_cpus_if_there_is_such_a_pair(tmp_path, has_pair):
    (tmp_path / "pyproject.toml").touch()
    python = tmp_path / "python"
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)
    words = ["make", "-f", str(ROOT / "Makefile"), "PROFILE=cpu", f"PYTHON={python}", f"BIN={tmp_path}"]
    made = subprocess.run(
        [*words, ".venv/.ready"],
        cwd=tmp_path,
        env={**os.environ, "HAS_NO_PAIR": str(int(not has_pair))},
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    pair, gatecam = [line for line in (tmp_path / "asked").read_text().splitlines() if "install" in line][-2:]
    assert re.search(r"torch==\S+\+cpu torchvision==\S+\+cpu$", pair)
    assert "--editable" in gatecam
    assert ("no builds for CPUs" in made.stdout) is not has_pair


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("gatecam/cli/main.py", True),
        ("models/gatecam-faces.safetensors", True),
        ("pyproject.toml", True),
        ("gatecam/__pycache__/main.pyc", False),
        ("gatecam/cli/__pycache__/run.pyc", False),
        (".git/config", False),
        (".venv/bin/python", False),
        ("runs/1/weights.pt", False),
        ("tests/conftest.py", False),
        (".env", False),
    ],
)
def test_nothing_is_sent_that_the_image_has_no_use_for(path, sent):
    assert is_sent(path) is sent


def test_its_command_is_one_of_gatecams_and_its_settings_are_there():
    assert json.loads(FINAL.only("ENTRYPOINT")) == ["gatecam"]
    words = json.loads(FINAL.only("CMD"))
    assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0
    assert f"COPY config.yaml {words[-1]}" in [" ".join(step) for step in FINAL.steps]
    assert load(ROOT / "config.yaml", env={}).config == Config()
