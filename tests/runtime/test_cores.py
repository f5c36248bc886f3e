"""The cores that a process may use: of its affinity, or fewer where a container grants less."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gatecam.runtime import cores


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
        "from gatecam.settings.schema import Config\n"
        "from gatecam.runtime.telemetry import Telemetry\n"
        "analyzer = build_analyzer(Config(device='openvino'), Telemetry())\n"
        "import cv2, torch\n"
        "model = analyzer._classifier._network._requests[0].get_compiled_model()\n"
        "print(torch.get_num_threads(), cv2.getNumThreads(), model.get_property('INFERENCE_NUM_THREADS'))\n"
    )
    env = {name: value for name, value in os.environ.items() if "OMP_" not in name}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert run.stdout.split() == ["1", "1", "1"], run.stderr


CORE = "cpu{core} {user} 0 0 {idle} {waiting} 0 0 0 0 0\n"


@pytest.fixture
def cores_in_use(tmp_path, monkeypatch):
    """The share of two cores in use, from the ticks and the own seconds of ten seconds."""

    def measure(busy: tuple[int, int], own_s: float, granted: int = 2) -> float | None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
        monkeypatch.setattr(cores, "usable_cores", lambda: granted)
        stat, own = tmp_path / "stat", iter((3.0, 3.0 + own_s))
        use = cores.CoresInUse(stat, lambda: next(own))
        for now_s, ticks in ((100.0, (0, 0)), (102.0, None), (110.0, busy)):
            if ticks is not None:
                lines = [
                    CORE.format(core=core, user=500 + user, idle=10 * int(now_s - 100) * 10 - user, waiting=7)
                    for core, user in enumerate((*ticks, 1000))  # the third is another program's
                ]
                stat.write_text("cpu 9 9 9 9 9 9 9 9 9 9\n" + "".join(lines) + "intr 1 2\n")
            use.note(now_s)
            assert use.share is None or now_s == 110.0
        return use.share

    return measure


@pytest.mark.parametrize(
    ("busy", "own_s", "granted", "share"),
    [
        ((0, 0), 0.0, 2, 0.0),
        ((1000, 0), 8.0, 2, 0.5),
        ((1000, 1000), 1.0, 2, 1.0),  # others keep the cores busy
        ((500, 500), 10.0, 1, 1.0),  # all of the one core that the container grants
        ((500, 500), 10.7, 1, 1.0),  # clocks that differ never give more than all
    ],
)
def test_the_share_of_the_cores_in_use_is_at_most_all_of_them(cores_in_use, busy, own_s, granted, share):
    assert cores_in_use(busy, own_s, granted) == pytest.approx(share)


def test_without_the_systems_times_the_own_ones_count(tmp_path, monkeypatch):
    own = iter((0.0, 5.0))
    monkeypatch.setattr(cores, "usable_cores", lambda: 2)
    use = cores.CoresInUse(tmp_path / "missing", lambda: next(own))
    use.note(0.0)
    use.note(10.0)
    assert use.share == pytest.approx(0.25)
