"""The folder for sockets and locks: whose it is, that it is private, and whose folders may be read."""

from __future__ import annotations

import os

import pytest

from gatecam import folders
from gatecam.folders import readable_folders, runtime_folder


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without sessions and services, whose folder for temporary files is given back."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(folders, "SERVICE_FOLDER", tmp_path / "run")
    return tmp_path


def test_the_runtime_folder_is_the_services_the_sessions_or_a_private_temporary_one(bare):
    private = bare / f"gatecam-{os.getuid()}"
    assert runtime_folder({}) == private == runtime_folder({})
    assert private.stat().st_mode & 0o777 == 0o700
    session = {"XDG_RUNTIME_DIR": str(bare)}
    assert runtime_folder(session) == bare / "gatecam"
    both = {"RUNTIME_DIRECTORY": f"{bare}/service:{bare}/other", **session}
    assert runtime_folder(both) == bare / "service"


def test_the_environment_is_that_of_the_process_by_default(bare, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(bare / "mine"))
    assert runtime_folder() == bare / "mine"


def test_a_folder_that_cannot_be_made_is_passed_over(bare):
    env = {"RUNTIME_DIRECTORY": str(bare / "missing" / "gatecam"), "XDG_RUNTIME_DIR": str(bare / "gone")}
    assert runtime_folder(env) == bare / f"gatecam-{os.getuid()}"


def test_a_folder_that_others_may_read_is_closed_to_them(bare):
    private = bare / f"gatecam-{os.getuid()}"
    private.mkdir()
    private.chmod(0o777)
    assert runtime_folder({}).stat().st_mode & 0o777 == 0o700


def test_a_link_in_place_of_the_folder_is_not_followed(bare):
    (bare / "trap").mkdir(0o755)
    (bare / f"gatecam-{os.getuid()}").symlink_to(bare / "trap")
    with pytest.raises(PermissionError, match="not this user's own folder"):
        runtime_folder({})
    assert (bare / "trap").stat().st_mode & 0o777 == 0o755
    assert readable_folders({}) == []


def test_another_users_folder_is_neither_used_nor_read(bare, monkeypatch):
    private = runtime_folder({})
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    private.rename(bare / "gatecam-4711")
    with pytest.raises(PermissionError, match="not this user's own folder"):
        runtime_folder({})
    assert readable_folders({}) == []


def test_folders_that_are_there_and_private_are_read(bare):
    private, service = runtime_folder({}), bare / "service"
    service.mkdir(0o700)
    (bare / "gatecam").mkdir(0o700)
    (bare / "gatecam").chmod(0o770)  # whoever else is in the group may leave sockets there
    env = {"RUNTIME_DIRECTORY": str(service), "XDG_RUNTIME_DIR": str(bare)}
    assert readable_folders(env) == [service, private]


@pytest.mark.parametrize(("user", "read"), [(0, True), (4711, False)])
def test_only_root_reads_the_services_folder_of_another_user(bare, monkeypatch, user, read):
    service = bare / "run"
    service.mkdir(0o700)
    status = os.stat_result((0o40700, 0, 0, 2, 997, 997, 0, 0, 0, 0))
    monkeypatch.setattr("pathlib.Path.lstat", lambda path: status if path == service else os.lstat(path))
    monkeypatch.setattr(os, "getuid", lambda: user)
    assert (service in readable_folders({})) is read
