"""The checks of `gatecam doctor`: every one gives a row, whatever is broken."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from gatecam.app import build_analyzer
from gatecam.errors import DeviceError, ModelError
from gatecam.live import checks as module
from gatecam.live.checks import Check, Row, checks, examine
from gatecam.runtime.telemetry import Telemetry


def rows_of(*rows: Row):
    return lambda: iter(rows)


def raising(error: Exception, *first: Row):
    def rows():
        yield from first
        raise error

    return rows


def build(config):
    return build_analyzer(config, Telemetry())


def test_a_check_that_raises_becomes_a_row_and_the_rest_goes_on():
    first, last = Row("a", True, "fine"), Row("c", True, "fine")
    rows = examine(
        (
            Check("b", raising(OSError("libGL.so.1:\n cannot open"), first), essential=True),
            Check("c", rows_of(last)),
        )
    )
    assert rows == [
        first,
        Row(
            "b",
            False,
            "OSError: libGL.so.1: cannot open",
            "fix what it names, or install gatecam again",
            True,
        ),
        last,
    ]


def test_an_error_that_says_what_to_do_is_left_as_it_is():
    (row,) = examine((Check("weights", raising(ModelError("hash differs, restore it")), essential=True),))
    assert row == Row("weights", False, "hash differs, restore it", essential=True)


def test_this_machine_gets_a_row_for_every_check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = examine(checks(None, build))
    assert {row.name for row in rows} >= {
        "gatecam",
        "Python",
        "torch",
        "OpenCV",
        "PyAV",
        "settings",
        "device",
        "display",
    }
    by_name = {row.name: row for row in rows}
    for name in (
        "Python",
        "torch",
        "torchvision",
        "facenet-pytorch",
        "OpenCV",
        "torch with torchvision",
        "MTCNN weights",
    ):
        assert by_name[name].ok, by_name[name]
    assert all(row.ok or row.advice or row.essential for row in rows)


def test_wrong_settings_have_a_row_each_and_the_device_row_stays(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("device: gpu\ncamera: {fps: 0}\n", encoding="utf-8")
    chosen = [check for check in checks(path, build) if check.name in ("settings", "device")]
    rows = [row for row in examine(tuple(chosen)) if row.name not in ("CUDA", "OpenVINO")]
    assert [(row.name, row.ok) for row in rows] == [
        ("settings", False),
        ("settings", False),
        ("device", True),
    ]
    assert "got 'gpu'" in rows[0].found


def test_a_file_that_settings_name_and_that_is_not_there_has_a_row(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("webhook: {url: 'https://example.org', secret_file: /nowhere/hook}\n", encoding="utf-8")
    good, bad = examine(tuple(check for check in checks(path, build) if check.name == "settings"))
    assert good.ok
    assert (bad.ok, bad.essential, bad.advice) == (False, True, "correct its path or its permissions")
    assert bad.found == "webhook.secret_file: /nowhere/hook cannot be read (No such file or directory)"


def test_the_device_is_told_that_runs_the_real_networks(tmp_path, monkeypatch):
    def filled(*given):
        raise ValueError("unknown operator")

    pytest.importorskip("openvino")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))  # where no compiled network is kept
    monkeypatch.setattr("gatecam.vision.device.describe_openvino", lambda: (True, "OpenVINO 1"))
    monkeypatch.setattr("gatecam.vision.device.describe_cuda", lambda: (False, "no GPU"))
    monkeypatch.setattr("gatecam.vision.openvino.filled_model", filled)
    (check,) = [check for check in checks(None, build) if check.name == "device"]
    *_, row = examine((check,))
    assert row.found.startswith("auto picks cpu: OpenVINO failed: ")
    assert "unknown operator" in row.found


def test_torch_and_torchvision_that_do_not_fit_are_told(monkeypatch):
    def unfit() -> None:
        raise DeviceError("torch and torchvision do not fit together, reinstall both")

    monkeypatch.setattr("gatecam.vision.device.check_cpu_ops", unfit)
    (check,) = [check for check in checks(None, build) if check.name == "torch with torchvision"]
    (row,) = examine((check,))
    assert (row.ok, row.essential) == (False, True)
    assert "do not fit together" in row.found


def test_a_library_that_is_not_installed_or_broken_is_told(monkeypatch):
    def version(name: str) -> str:
        if name == "torchvision":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setitem(sys.modules, "av", None)  # an import of it fails
    (check,) = [check for check in checks(None, build) if check.name == "libraries"]
    bad = {row.name: row for row in examine((check,)) if not row.ok}
    assert set(bad) == {"torchvision", "PyAV"}
    assert "install gatecam again" in bad["torchvision"].advice
    assert "pip install" in bad["PyAV"].advice


def test_an_extra_names_the_line_that_installs_it(monkeypatch):
    requires = [
        "torch>=2",
        "sounddevice>=0.4; extra == 'sound'",
        'no-such-thing; extra == "web"',
        "mypy; extra == 'dev'",
    ]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: requires)
    monkeypatch.setattr(module, "_version", lambda name: "1.0" if name == "sounddevice" else None)
    (check,) = [check for check in checks(None, build) if check.name == "extras"]
    assert examine((check,)) == [
        Row("extra [sound]", True, "sounddevice"),
        Row("extra [web]", False, "no-such-thing not installed", "optional: pip install 'gatecam[web]'"),
    ]


def test_facenet_weights_that_are_gone_are_told(monkeypatch, tmp_path):
    package = tmp_path / "facenet_pytorch"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "data" / "pnet.pt").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "facenet_pytorch", raising=False)
    (check,) = [check for check in checks(None, build) if check.name == "MTCNN weights"]
    (row,) = examine((check,))
    assert not row.ok
    assert row.found == f"rnet.pt, onet.pt not in {Path(package, 'data')}"
