"""The folders for sockets and for data: whose they are, who may write to them, and what lies in them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from gatecam.errors import OutputError
from gatecam.runtime import folders
from gatecam.runtime.folders import (
    close_to_others,
    create_own,
    open_lock,
    own_folder,
    read_own,
    readable_folders,
    replace_own,
    runtime_folder,
    state_folder,
)

STRANGER = 4711


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
    private.chmod(0o755)
    assert runtime_folder({}).stat().st_mode & 0o777 == 0o700


def test_a_runtime_folder_that_others_could_write_is_refused(bare):
    private = bare / f"gatecam-{os.getuid()}"
    private.mkdir()
    private.chmod(0o777)
    with pytest.raises(PermissionError, match=r"other users can write to it \(mode 777\).*`chmod go-w "):
        runtime_folder({})
    assert private.stat().st_mode & 0o777 == 0o777


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


@pytest.fixture
def seen_as(monkeypatch):
    """Makes a folder look as if it had another owner or mode."""
    real, changed = Path.stat, {}

    def stat_of(path, *, follow_symlinks=True):
        fields = list(real(path, follow_symlinks=follow_symlinks)[:10])
        uid, mode = changed.get(path, (None, None))
        fields[0] = fields[0] if mode is None else stat.S_IFDIR | mode
        fields[4] = fields[4] if uid is None else uid
        return os.stat_result(fields)

    monkeypatch.setattr(Path, "stat", stat_of)
    return lambda path, uid=None, mode=None: changed.update({path: (uid, mode)})


def test_a_folder_for_data_is_made_with_all_above_it_for_this_user_alone(tmp_path, no_umask):
    own_folder(tmp_path / "share" / "gatecam")
    assert [mode_of(tmp_path / name) for name in ("share", "share/gatecam")] == [0o700, 0o700]


@pytest.mark.parametrize("mode", [0o777, 0o707, 0o1777])
def test_a_folder_for_data_that_others_can_write_is_refused(tmp_path, mode):
    tmp_path.chmod(mode)
    said = rf"other users can write to it \(mode {mode:o}\).*`chmod go-w {tmp_path}`"
    with pytest.raises(OutputError, match=said):
        own_folder(tmp_path)
    assert mode_of(tmp_path) == mode


def test_a_folder_for_data_that_others_can_only_read_will_do(tmp_path):
    tmp_path.chmod(0o755)
    own_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "members", "is_refused"),
    [("door", [], False), ("door", ["door"], False), ("door", ["door", "eve"], True), ("staff", [], True)],
)
def test_a_group_may_write_where_it_is_its_users_alone(tmp_path, monkeypatch, name, members, is_refused):
    tmp_path.chmod(0o775)
    monkeypatch.setattr("pwd.getpwuid", lambda number: SimpleNamespace(pw_name="door"))
    monkeypatch.setattr("grp.getgrgid", lambda number: SimpleNamespace(gr_name=name, gr_mem=members))
    assert (folders._danger(tmp_path) is not None) is is_refused


def test_a_volume_of_another_user_is_refused_with_what_to_do(tmp_path, seen_as, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 900)
    seen_as(tmp_path, uid=STRANGER)
    said = rf"belongs to user 4711, and gatecam runs as user 900.*`chown -R 900 {tmp_path}` \(a container's"
    with pytest.raises(OutputError, match=said):
        own_folder(tmp_path)


def test_root_may_use_the_folder_of_a_service(tmp_path, seen_as, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 0)
    for folder in tmp_path.parents:  # which are a developer's, not root's
        seen_as(folder, uid=0)
    seen_as(tmp_path, uid=STRANGER)
    own_folder(tmp_path)


@pytest.mark.parametrize(
    ("uid", "mode", "is_refused"),
    [(0, 0o777, True), (0, 0o1777, False), (0, 0o775, False), (STRANGER, 0o755, True), (None, 0o755, False)],
)
def test_a_folder_is_refused_where_others_could_replace_one_above(tmp_path, seen_as, uid, mode, is_refused):
    folder = tmp_path / "share" / "gatecam"
    folder.mkdir(parents=True)
    seen_as(folder.parent, uid, mode)
    danger = folders._danger(folder)
    assert (danger is not None and danger.startswith(f"{folder.parent}: ")) is is_refused


def test_a_link_of_another_user_to_the_folder_is_refused(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir(0o700)
    link = tmp_path / "gatecam"
    link.symlink_to(tmp_path / "there")
    own_folder(link)
    theirs = os.stat_result((os.lstat(link).st_mode, 0, 0, 1, STRANGER, STRANGER, 0, 0, 0, 0))
    monkeypatch.setattr(Path, "lstat", lambda path: theirs if path == link else os.lstat(path))
    with pytest.raises(OutputError, match="is a link that user 4711 made: delete it"):
        own_folder(link)


@pytest.mark.parametrize("use", [create_own, close_to_others, open_lock, lambda path: read_own(path, 10)])
def test_a_link_in_place_of_a_file_is_refused_and_what_it_names_left_alone(tmp_path, use):
    shadow = tmp_path / "shadow"
    shadow.touch(0o644)
    (tmp_path / "trap").symlink_to(shadow)
    with pytest.raises(OSError, match=r"link|symbolic|exists"):
        use(tmp_path / "trap")
    assert mode_of(shadow) == 0o644


def test_a_pipe_in_place_of_a_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no ordinary file"):
        read_own(tmp_path / "pipe", 10)


def test_a_file_system_without_modes_is_told_of(tmp_path, monkeypatch, caplog):
    def refuse(*words, **names):
        raise PermissionError(1, "Operation not permitted")

    (tmp_path / "store").touch(0o644)
    monkeypatch.setattr(Path, "chmod", refuse)
    assert close_to_others(tmp_path / "store")
    assert "store: other users can read it, and its mode cannot be changed (Operation not" in caplog.text


def test_a_file_is_replaced_whole_and_no_link_is_followed(tmp_path, no_umask):
    (tmp_path / "shadow").write_text("x")
    (tmp_path / "starts.json").symlink_to(tmp_path / "shadow")
    replace_own(tmp_path / "starts.json", b"new")
    assert read_own(tmp_path / "starts.json", 10) == b"new"
    assert (tmp_path / "shadow").read_text() == "x"
    assert mode_of(tmp_path / "starts.json") == 0o600
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_own(tmp_path / "folder", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "shadow", "starts.json"]


def test_what_root_makes_in_a_services_folder_is_the_services(tmp_path, seen_as, monkeypatch):
    given = []
    seen_as(tmp_path, uid=997)
    monkeypatch.setattr(os, "chown", lambda path, uid, gid, **names: given.append((path.parent, uid)))
    for user in (0, STRANGER):
        monkeypatch.setattr(os, "getuid", lambda user=user: user)
        create_own(tmp_path / f"store{user}")
        replace_own(tmp_path / "tokens", b"{}")
    assert given == [(tmp_path, 997), (tmp_path, 997)]


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_a_user_without_a_home_keeps_no_data_in_a_folder_named_after_it(monkeypatch, tmp_path):
    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert state_folder({"XDG_DATA_HOME": str(tmp_path)}) == tmp_path / "gatecam"
    with pytest.raises(OutputError, match="no home for gatecam's data: set STATE_DIRECTORY"):
        state_folder({})
