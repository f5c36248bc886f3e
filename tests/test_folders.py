"""The runtime folder is this user's alone, wherever it lies."""

from __future__ import annotations

import os

import pytest

from gatecam.folders import readable_folders, runtime_folder


@pytest.fixture
def private(monkeypatch, tmp_path):
    """The folder among temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path / f"gatecam-{os.getuid()}"


def test_it_is_the_services_the_sessions_or_a_private_temporary_one(private, tmp_path):
    assert runtime_folder({}) == private == runtime_folder({})
    assert private.stat().st_mode & 0o777 == 0o700
    session = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert runtime_folder(session) == tmp_path / "gatecam"
    service = {**session, "RUNTIME_DIRECTORY": f"{tmp_path / 'service'}:/run/other"}
    assert runtime_folder(service) == tmp_path / "service"


def test_one_that_cannot_be_made_gives_way_to_the_next(private, tmp_path):
    assert runtime_folder({"XDG_RUNTIME_DIR": str(tmp_path / "missing")}) == private


def test_one_that_others_may_read_is_closed_and_a_link_is_not_followed(private, tmp_path):
    private.mkdir()
    private.chmod(0o777)
    assert runtime_folder({}).stat().st_mode & 0o777 == 0o700
    private.rmdir()
    private.symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="not this user's own folder"):
        runtime_folder({})
    assert private not in readable_folders({})


def test_all_folders_that_are_there_may_be_read(private, tmp_path):
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    runtime_folder(env)
    runtime_folder({})
    assert set(readable_folders(env)) >= {tmp_path / "gatecam", private}
