"""The cores that a process may use: of its affinity, or fewer where a container grants less."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gatecam import cores


@pytest.mark.parametrize(
    ("own", "files", "granted"),
    [
        ("0::/\n", {}, None),
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b\n", {"cpu.max": "400000 100000", "a/cpu.max": "50000 50000", "a/b/cpu.max": "max 5"}, 1.0),
        (
            "3:cpuacct,cpu:/x\n",
            {"cpu/x/cpu.cfs_quota_us": "200000", "cpu/x/cpu.cfs_period_us": "100000"},
            2.0,
        ),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("4:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "5", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("0::/\n", {"cpu.max": "what 0"}, None),
    ],
)
def test_what_control_groups_grant_is_read(tmp_path, own, files, granted):
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    (tmp_path / "own").write_text(own)
    assert cores.granted_cores(tmp_path / "groups", tmp_path / "own") == granted


def test_without_control_groups_all_is_granted(tmp_path):
    assert cores.granted_cores(tmp_path, tmp_path / "none") is None


@pytest.mark.parametrize(("granted", "usable"), [(None, 8), (2.0, 2), (1.5, 2), (0.2, 1), (64.0, 8)])
def test_a_quota_makes_them_fewer_but_one_stays(monkeypatch, granted, usable):
    monkeypatch.setattr(cores, "allowed_cores", lambda: 8)
    monkeypatch.setattr(cores, "granted_cores", lambda: granted)
    assert cores.usable_cores() == usable


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system knows no affinity")
def test_all_libraries_get_as_many_threads_as_there_are_cores():
    code = (
        "import os\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from gatecam.app import build_analyzer\n"
        "from gatecam.config import Config\n"
        "from gatecam.telemetry import Telemetry\n"
        "analyzer = build_analyzer(Config(device='openvino'), Telemetry())\n"
        "import cv2, torch\n"
        "model = analyzer._classifier._network._requests[0].get_compiled_model()\n"
        "print(torch.get_num_threads(), cv2.getNumThreads(), model.get_property('INFERENCE_NUM_THREADS'))\n"
    )
    env = {name: value for name, value in os.environ.items() if "OMP_" not in name}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert run.stdout.split() == ["1", "1", "1"], run.stderr
