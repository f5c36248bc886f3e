"""Known holes: that no floor lets them in, and what `make audit` says of pip-audit's answers."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests import audit

# The latest version with a known hole below each floor's first safe one, as of November 2026.
HOLES = {
    "duckdb": ("1.0.0", "CVE-2024-41672"),
    "pyarrow": ("14.0.0", "CVE-2023-47248"),
    "ray": ("2.51.2", "CVE-2025-62593"),
    "certifi": ("2023.7.22", "CVE-2024-39689"),
    "fastapi": ("0.109.0", "CVE-2024-24762"),
    "filelock": ("3.20.2", "CVE-2026-22701"),
    "fonttools": ("4.60.1", "CVE-2025-66034"),
    "h11": ("0.15.0", "CVE-2025-43859"),
    "idna": ("3.6", "CVE-2024-3651"),
    "jinja2": ("3.1.5", "CVE-2025-27516"),
    "mako": ("1.3.11", "CVE-2026-44307"),
    "markdown": ("3.8", "CVE-2025-69534"),
    "opencv-python": ("4.11.0.86", "CVE-2025-53644"),
    "pillow": ("12.2.0", "CVE-2026-59205"),
    "pillow-heif": ("1.2.1", "CVE-2026-28231"),
    "playwright": ("1.55.0", "CVE-2025-59288"),
    "protobuf": ("6.33.4", "CVE-2026-0994"),
    "pydantic": ("2.3.0", "CVE-2024-3772"),
    "pygments": ("2.19.2", "CVE-2026-4539"),
    "pytest": ("9.0.2", "CVE-2025-71176"),
    "requests": ("2.32.5", "CVE-2026-25645"),
    "scikit-learn": ("1.4.2", "CVE-2024-5206"),
    "setuptools": ("78.1.0", "CVE-2025-47273"),
    "starlette": ("1.3.0", "CVE-2026-54283"),
    "torch": ("2.9.1", "CVE-2026-24747"),
    "urllib3": ("2.7.0", "CVE-2026-97689"),
    "websockets": ("9.0", "CVE-2021-33880"),
    "werkzeug": ("3.1.5", "CVE-2026-27199"),
}


def requirements() -> Iterator[Requirement]:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    for words in (project["dependencies"], *project["optional-dependencies"].values()):
        yield from map(Requirement, words)


def test_no_floor_lets_a_version_with_a_known_hole_in():
    given = [one for one in requirements() if one.name in HOLES]
    assert {one.name for one in given} == set(HOLES)
    assert [str(one) for one in given if one.specifier.contains(Version(HOLES[one.name][0]))] == []


def test_no_version_is_excluded_for_being_new():
    capped = [one.name for one in requirements() if any("<" in each.operator for each in one.specifier)]
    assert capped == []


def answer(*packages: dict[str, object]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


SAFE = {"name": "numpy", "version": "2.4.6", "vulns": []}
UNKNOWN = {"name": "gatecam", "skip_reason": "Dependency not found on PyPI"}
HOLED = {"name": "h11", "version": "0.14.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["0.16.0"]}]}


@pytest.mark.parametrize(
    ("out", "errors", "code", "said"),
    [
        (answer(SAFE, UNKNOWN), "", 0, "No known holes in 1 packages."),
        (
            answer(SAFE, HOLED),
            "Found 1 known vulnerability",
            1,
            "h11 0.14.0: PYSEC-1, fixed in 0.16.0\nRaise the",
        ),
        (answer(UNKNOWN), "", 0, "Audit skipped: the package index tells nothing of known holes."),
        ("", "WARNING: x\nERROR: no route to host\n", 0, "Audit skipped: ERROR: no route to host"),
        ("", "", 0, "Audit skipped: pip-audit said nothing"),
    ],
)
def test_known_holes_fail_and_an_index_that_tells_nothing_is_a_reason_to_skip(out, errors, code, said):
    ended, text = audit.verdict(out, errors)
    assert ended == code
    assert text.startswith(said)


def test_an_index_that_does_not_answer_is_not_waited_for(monkeypatch, capsys):
    def hang(words, **named):
        raise subprocess.TimeoutExpired(words, named["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    assert audit.main() == 0
    assert capsys.readouterr().out == "Audit skipped: the package index did not answer within 60 s.\n"
