"""`gatecam user`: users are added, listed, changed and removed, and the audit log says who did it."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from gatecam.cli.main import app
from gatecam.errors import ConfigError
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventStore
from gatecam.web.users import FILE, UserError, Users

argon2 = pytest.importorskip("argon2")
SECRET = "correct-horse"


@pytest.fixture
def gatecam(tmp_path, monkeypatch):
    """Runs a command with a password on standard input, in a data folder of its own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr("gatecam.web.users._hasher", lambda: cheap)

    def run(*words: str, given: str = f"{SECRET}\n") -> str:
        result = CliRunner().invoke(app, ["user", *words], input=given, catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    return run


def test_a_user_is_added_changed_and_removed_and_the_audit_log_says_by_whom(gatecam, tmp_path):
    assert "There are no users" in gatecam("list")
    assert gatecam("add", "kim", "--role", "admin") == "kim: added as admin.\n"
    users = Users(tmp_path / "gatecam" / FILE)
    assert users.check("kim", SECRET)
    assert gatecam("role", "kim", "viewer") == "kim: is viewer now.\n"
    assert gatecam("password", "kim", given="battery-staple\n") == "kim: has a new password.\n"
    assert users.check("kim", "battery-staple")
    assert gatecam("list") == "kim\tviewer\n"
    assert gatecam("remove", "kim") == "kim: removed.\n"
    store = EventStore(SqliteDatabase(tmp_path / "gatecam" / "events.sqlite3"))
    entries = store.audit.latest(10)
    store.close()
    assert [entry.act for entry in entries] == ["user_removed", "password", "role", "user_added"]
    assert all(entry.actor.name.startswith("command:") for entry in entries)


@pytest.mark.parametrize(
    ("words", "given", "told"),
    [
        (("add", "lee"), "short\n", "at least 4 different"),
        (("password", "nobody"), "", "check the name"),
        (("role", "nobody", "admin"), "", "check the name"),
        (("remove", "nobody"), "", "check the name"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(gatecam, words, given, told):
    with pytest.raises(UserError, match=told) as error:
        gatecam(*words, given=given)
    assert isinstance(error.value, ConfigError)
