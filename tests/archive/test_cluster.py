"""A Ray cluster of a head and two workers on 127.0.0.1: whoever is killed, the tables are the same."""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gatecam.archive import run
from gatecam.archive.cluster import _QUIET, Cluster
from gatecam.archive.run import Archive
from gatecam.archive.sources import find_sources
from gatecam.archive.tables import Tables
from gatecam.archive.worker import Loaded, settings_hash
from gatecam.errors import DeviceError, ModelError, ServiceError
from gatecam.settings.schema import Config
from tests.archive.color_archive import DeadlyAnalyzer, analyzed, load
from tests.archive.conftest import RAY_WORDS, Alone

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="gc-") as folder:
        words = {**RAY_WORDS, "RAY_TMPDIR": folder, "PYTHONPATH": str(ROOT)}
        for name, value in words.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster as RayCluster

        cluster = RayCluster()
        for cores in (0, 1, 1):
            add_node(cluster, cores)
        yield cluster.address
        cluster.shutdown()


def add_node(cluster, cores: int) -> None:
    """Start a node. Skip the tests if the machine is so busy that Ray gives up after its 30 seconds twice."""
    for tries_left in (1, 0):
        try:
            cluster.add_node(num_cpus=cores, include_dashboard=False, object_store_memory=80 << 20)
            return
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
            if not tries_left:
                pytest.skip("Ray did not start within 30 s, because the machine is busy")


@pytest.fixture
def folder(recording, tmp_path) -> Path:
    """Two recordings and a damaged one."""
    nas = tmp_path / "nas"
    nas.mkdir()
    for name in ("20261124_075945.mkv", "long.mkv"):
        shutil.copy(recording, nas / name)
    (nas / "bad.mp4").write_bytes(b"no video")
    return nas


@pytest.fixture
def expected(folder, tmp_path) -> dict[str, bytes]:
    """The tables of one worker in this process, without cuts."""
    with Tables(tmp_path / "expected", "settings") as kept:
        Archive(find_sources([str(folder)], None, None), kept, Alone(), False).run(lambda done, note: None)
    return content(tmp_path / "expected")


def content(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.parquet")}


def test_a_worker_killed_in_mid_recording_changes_nothing(address, folder, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "LEAST_PART_S", 12.0)
    monkeypatch.setattr(run, "LARGE", 0.9)  # both recordings are cut
    marker = tmp_path / "killed"

    def deadly(config: Config) -> DeadlyAnalyzer:
        return DeadlyAnalyzer(marker)

    report = analyzed(address, folder, tmp_path / "out", deadly)
    assert marker.exists()
    assert (report.done, len(report.failed)) == (2, 1)
    assert content(tmp_path / "out") == expected != {}


def test_a_killed_driver_goes_on_where_it_was(address, folder, expected, tmp_path):
    out = tmp_path / "out"
    words = [sys.executable, "-m", "tests.archive.color_archive", address, str(folder), str(out)]
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.DEVNULL) as driver:
        while driver.poll() is None and not any((out / "files").glob("[0-9a-f]*.parquet")):
            with suppress(subprocess.TimeoutExpired):
                driver.wait(0.05)
        driver.kill()
    assert len(content(out)) < len(expected)
    analyzed(address, folder, out)
    assert content(out) == expected


def test_a_worker_that_cannot_load_the_networks_is_one_sentence(address):
    def fail(config: Config) -> None:
        raise ModelError("the weights are gone; get them back.")

    with pytest.raises(DeviceError, match="the weights are gone"), Cluster(Config(), address, 1, 0, fail):
        pass


def test_more_workers_than_cores_are_refused(address):
    with pytest.raises(DeviceError, match="2 cores and 0 GPUs"), Cluster(Config(), address, 3, 0, load):
        pass


@pytest.fixture
def alone(monkeypatch) -> None:
    """The environment of a Ray that is not started."""
    for name, value in {**RAY_WORDS, **_QUIET}.items():
        monkeypatch.setenv(name, value)


def test_an_address_without_a_cluster_is_one_sentence(alone):
    with (
        pytest.raises(ServiceError, match=r"Ray at 127.0.0.1:1 cannot be used"),
        Cluster(Config(), "127.0.0.1:1"),
    ):
        pass


def test_a_machine_too_busy_to_start_ray_is_one_sentence(alone, monkeypatch, caplog):
    tries = []
    caplog.set_level(logging.INFO)

    def fail(**options: object) -> None:
        tries.append(options)
        raise RuntimeError("The current node timed out during startup.")

    monkeypatch.setattr("ray.init", fail)
    with (
        pytest.raises(ServiceError, match=r"does not start on this machine \(.*: if other programs keep all"),
        Cluster(Config()),
    ):
        pass
    assert len(tries) == 5
    assert [said.rpartition("; ")[2] for said in caplog.messages] == [f"try {n} of 5…" for n in (2, 3, 4, 5)]


def test_ray_keeps_its_sockets_where_their_names_are_short(alone, monkeypatch, tmp_path):
    folders = []

    def begin(**options: object) -> None:
        folders.append(str(options["_temp_dir"]))
        raise KeyboardInterrupt

    monkeypatch.setattr("ray.init", begin)
    for folder in (str(tmp_path / ("long" * 9)), "/var/tmp"):
        monkeypatch.setattr(tempfile, "tempdir", folder)
        with pytest.raises(KeyboardInterrupt), Cluster(Config()):
            pass
    assert [name.rpartition("/gatecam-")[0] for name in folders] == ["/tmp", "/var/tmp"]


def test_ray_leaves_it_to_gatecam_how_sigterm_ends_an_archive(alone, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("ray.init", lambda **options: signal.signal(signal.SIGTERM, signal.SIG_IGN))
    cluster = Cluster(Config())
    cluster._connect()
    cluster._stack.close()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("workers", "gpus", "there", "seats"),
    [
        (2, 1, 1, 3),
        (0, 1, 1, 1),
        (0, None, 1, 1),
        (3, None, 2, 5),
        (1, 0, 1, 1),
        (0, None, 0, 0),
        (0, 0, 1, 0),
    ],
)
def test_a_ray_on_this_machine_has_room_for_all_workers(
    alone, monkeypatch, tmp_path, caplog, workers, gpus, there, seats
):
    caplog.set_level(logging.INFO)
    for number in range(there):
        (tmp_path / f"nvidia{number}").touch()
    monkeypatch.setattr("gatecam.archive.cluster.DEVICES", tmp_path)
    cores = []
    monkeypatch.setattr("ray.init", lambda **options: cores.append(options["num_cpus"]))
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": cores[0], "GPU": there})
    monkeypatch.setattr(Cluster, "_fill", lambda cluster, seat: None)
    monkeypatch.setattr("ray.wait", lambda tasks, timeout: ([], tasks))
    monkeypatch.setattr(Cluster, "_result", lambda cluster, task: (Loaded(), ""))
    monkeypatch.setattr(Cluster, "_note", lambda cluster, loaded: None)
    if not seats:
        with pytest.raises(DeviceError, match="there are no workers"), Cluster(Config(), None, workers, gpus):
            pass
        return
    with Cluster(Config(), None, workers, gpus) as cluster:
        assert cluster.size == seats
    (said,) = caplog.messages
    assert said == "no worker has started yet: the cluster may be busy with other work; waiting…"


def test_workers_that_take_the_first_ones_device_add_no_note(alone):
    cluster = Cluster(Config(), "127.0.0.1:1")
    for reason in ("it is the fastest here", "set by `device`"):
        cluster._note(Loaded("openvino", reason, settings_hash(Config())))
    assert cluster.notes == ["openvino: it is the fastest here"]
