"""Users with passwords: who may do what, how sessions end, and how guessing is slowed down."""

from __future__ import annotations

import errno
import json
import logging
import time

import pytest

from gatecam.errors import OutputError
from gatecam.pictures.page_words import TEXTS
from gatecam.web.failures import FREE
from gatecam.web.passwords import FREE_OF_NAME, Passwords
from gatecam.web.tokens import Role
from gatecam.web.users import FILE, LEAST_LETTERS, User, UserError, UserProblem, Users
from tests.web.conftest import BEARER, TOKENS, Browser

pytestmark = pytest.mark.usefixtures("quick_hashes")
SECRET, OTHER = "correct-horse", "battery-staple"


@pytest.fixture
def users(tmp_path) -> Users:
    """The users of the site, as another program sees them."""
    return Users(tmp_path / FILE)


def logged_in(site, name: str, password: str = SECRET) -> Browser:
    browser = Browser(site)
    assert browser.log_in(password, user=name).status_code == 303
    return browser


def acts(behind) -> list[tuple[str, str, str, str, str]]:
    return [
        (one.actor.name, one.act, one.subject, one.before, one.after)
        for one in reversed(behind.store.audit.latest(100))
    ]


def test_the_file_is_this_users_alone_and_holds_no_password(users, tmp_path):
    users.add("kim", Role.ADMIN, SECRET)
    file = tmp_path / FILE
    assert file.stat().st_mode & 0o777 == 0o600
    (row,) = json.loads(file.read_text())
    assert row["hash"].startswith("$argon2id$")
    assert SECRET not in file.read_text()


def test_the_pages_tell_the_length_that_is_checked():
    assert all(str(LEAST_LETTERS) in text for text in TEXTS["users.password_rule"].values())


def test_hashes_are_costly_by_default(monkeypatch, tmp_path):
    monkeypatch.undo()
    made = Users(None).add("kim", Role.VIEWER, SECRET)
    assert "$m=65536,t=3,p=4$" in made.hash


@pytest.mark.parametrize(
    ("name", "password", "problem"),
    [
        ("", SECRET, UserProblem.NAME),
        ("token:operator", SECRET, UserProblem.NAME),
        ("a" * 41, SECRET, UserProblem.NAME),
        ("kim", SECRET, UserProblem.TAKEN),
        ("lee", "short", UserProblem.PASSWORD),
        ("lee", "x" * 257, UserProblem.PASSWORD),
        ("lee", "aaaaaaaaaaaa", UserProblem.PASSWORD),
        ("long-enough-name", "long-enough-name", UserProblem.PASSWORD),
    ],
)
def test_a_user_that_cannot_be_is_refused(users, name, password, problem):
    users.add("kim", Role.VIEWER, SECRET)
    with pytest.raises(UserError) as told:
        users.add(name, Role.VIEWER, password)
    assert str(told.value) == problem


def test_a_name_and_password_hold_however_the_keyboard_writes_hangul(users):
    users.add("김철수", Role.VIEWER, "비밀번호를알려주세요")
    decomposed = "".join(map(chr, (0x1100, 0x1175, 0x11B7, 0x110E, 0x1165, 0x11AF, 0x1109, 0x116E)))
    assert users.get(decomposed).name == "김철수"
    assert users.check(decomposed, "비밀번호를알려주세요")


def test_a_password_that_is_no_text_is_refused_and_wrong(users):
    users.add("kim", Role.VIEWER, SECRET)
    with pytest.raises(UserError) as told:
        users.change("kim", password="\udcff\udcfe\udcfd and more")
    assert str(told.value) == UserProblem.PASSWORD
    assert users.check("kim", "\ud800") is None


def test_a_damaged_file_lets_nobody_in_and_is_left_alone(users, tmp_path, caplog):
    (tmp_path / FILE).write_text("[{}]")
    with caplog.at_level(logging.WARNING):
        assert users.all() == []
    assert "holds no users" in caplog.text
    with pytest.raises(OutputError, match="delete it"):
        users.add("kim", Role.VIEWER, SECRET)
    assert (tmp_path / FILE).read_text() == "[{}]"


def test_a_passing_error_of_the_disk_locks_nobody_out_for_long(users, monkeypatch, caplog):
    users.add("kim", Role.VIEWER, SECRET)
    with monkeypatch.context() as broken:
        broken.setattr("gatecam.web.users.read_own", fails)
        assert users.all() == users.all() == []
    assert caplog.text.count("No user can log in") == 1
    assert [user.name for user in users.all()] == ["kim"]


def fails(*args: object) -> bytes:
    raise OSError(errno.EIO, "Input/output error")


ROLES = {
    Role.VIEWER: (200, 403, 403, 403),
    Role.OPERATOR: (200, 422, 403, 403),
    Role.ADMIN: (200, 422, 200, 200),
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_its_pages_and_no_others(site, users, role):
    users.add("kim", role, SECRET)
    browser = logged_in(site, "kim")
    told = browser.ask("GET", "/session").json()
    assert (told["role"], told["user"]) == (role, "kim")
    found = (
        browser.ask("GET", "/api/events").status_code,
        browser.change("POST", "/api/settings", {"name": "none", "value": 1}).status_code,
        browser.ask("GET", "/api/users").status_code,
        browser.ask("GET", "/api/audit").status_code,
    )
    assert found == ROLES[role]
    assert browser.change("POST", "/logout").status_code == 204


def test_every_change_is_refused_to_a_viewer(site, users):
    from tests.web.test_guard import routes

    users.add("kim", Role.VIEWER, SECRET)
    browser = logged_in(site, "kim")
    for method, path in routes(site):
        if method in ("POST", "PUT", "PATCH", "DELETE") and path not in ("/login", "/logout"):
            is_own = path.startswith("/api/account")
            assert (browser.change(method, path).status_code == 403) is not is_own, (method, path)


def test_the_operators_token_manages_no_users(site):
    for path in ("/users", "/api/users", "/api/audit"):
        assert Browser(site).ask("GET", path, headers=BEARER).status_code == 403


def test_the_form_asks_for_a_name_once_there_are_users(site, users):
    assert '<div class="field" hidden><label for="user">' in Browser(site).ask("GET", "/login").text
    users.add("kim", Role.VIEWER, SECRET)
    assert '<div class="field" ><label for="user">' in Browser(site).ask("GET", "/login").text
    assert Browser(site).log_in(TOKENS.operator, user="").status_code == 303


@pytest.mark.parametrize("how", ["remove", "role", "password"])
def test_sessions_of_a_user_end_at_once_when_another_program_changes_the_user(site, users, how):
    users.add("kim", Role.OPERATOR, SECRET)
    users.add("lee", Role.OPERATOR, SECRET)
    kim, lee, token = logged_in(site, "kim"), logged_in(site, "lee"), Browser(site)
    token.log_in()
    if how == "remove":
        users.remove("kim")
    else:
        users.change("kim", **{how: Role.VIEWER if how == "role" else OTHER})
    assert kim.ask("GET", "/api/events").status_code == 401
    assert lee.ask("GET", "/api/events").status_code == token.ask("GET", "/api/events").status_code == 200


def test_a_session_of_a_user_survives_a_restart(behind, users, tmp_path):
    from gatecam.settings.schema import Config
    from gatecam.web.site import build_app

    users.add("kim", Role.VIEWER, SECRET)
    kim = logged_in(build_app(Config(), TOKENS, behind, tmp_path), "kim")
    kim._app = build_app(Config(), TOKENS, behind, tmp_path)
    assert kim.ask("GET", "/session").json()["user"] == "kim"
    users.change("kim", password=OTHER)
    kim._app = build_app(Config(), TOKENS, behind, tmp_path)
    assert kim.ask("GET", "/session").status_code == 401


def test_a_users_session_is_kept_when_a_page_opens_a_link_with_the_operators_token(site, users):
    users.add("kim", Role.ADMIN, SECRET)
    kim = logged_in(site, "kim")
    assert kim.log_in(TOKENS.operator, link="1").status_code == 200
    assert kim.ask("GET", "/session").json()["user"] == "kim"


def test_an_admin_manages_users_and_the_audit_log_tells_all_of_it(site, behind, users):
    users.add("kim", Role.ADMIN, SECRET)
    kim = logged_in(site, "kim")
    new = {"name": "lee", "role": "viewer", "password": SECRET}
    assert kim.change("POST", "/api/users", new).status_code == 200
    assert kim.change("POST", "/api/users", new).status_code == 422
    lee = logged_in(site, "lee")
    assert kim.change("PATCH", "/api/users/lee", {"role": "operator"}).status_code == 200
    assert lee.ask("GET", "/api/events").status_code == 401
    kim.change("PATCH", "/api/users/lee", {"password": OTHER})
    told = kim.change("DELETE", "/api/users/lee").json()
    assert [one["name"] for one in told["users"]] == ["kim"]
    kim.change("POST", "/logout")
    assert acts(behind) == [
        ("kim", "login", "", "", "admin"),
        ("kim", "user_added", "lee", "", "viewer"),
        ("lee", "login", "", "", "viewer"),
        ("kim", "role", "lee", "viewer", "operator"),
        ("kim", "password", "lee", "", ""),
        ("kim", "user_removed", "lee", "operator", ""),
        ("kim", "logout", "", "", ""),
    ]


def test_an_empty_change_of_a_user_is_refused_and_ends_no_session(site, users):
    users.add("kim", Role.ADMIN, SECRET)
    kim = logged_in(site, "kim")
    refused = kim.change("PATCH", "/api/users/kim")
    assert (refused.status_code, refused.json()["detail"][:24]) == (422, "Nothing is given to chan")
    assert kim.ask("GET", "/api/users").status_code == 200


def test_a_role_that_another_admin_has_changed_meanwhile_stays(site, users):
    users.add("kim", Role.ADMIN, SECRET)
    users.add("lee", Role.OPERATOR, SECRET)
    kim = logged_in(site, "kim")
    wanted = {"role": "viewer", "seen": {"role": "viewer"}}
    assert kim.change("PATCH", "/api/users/lee", wanted).status_code == 409
    wanted["seen"]["role"] = "operator"
    assert kim.change("PATCH", "/api/users/lee", wanted).status_code == 200


def test_the_audit_log_is_read_page_by_page(site, users):
    users.add("kim", Role.ADMIN, SECRET)
    kim = logged_in(site, "kim")
    for _ in range(2):
        kim.log_in(SECRET, user="kim")
    first = kim.ask("GET", "/api/audit?limit=2").json()
    assert (len(first["entries"]), first["more"], first["entries"][0]["what"]) == (2, True, "login")
    rest = kim.ask("GET", f"/api/audit?before_id={first['entries'][-1]['id']}&act=login").json()
    assert (len(rest["entries"]), rest["more"]) == (1, False)
    assert rest["entries"][0]["address"] == "127.0.0.1"


def test_the_page_keeps_the_last_admin_and_the_command_does_not(site, users):
    users.add("kim", Role.ADMIN, SECRET)
    kim = logged_in(site, "kim")
    assert kim.change("DELETE", "/api/users/kim").status_code == 422
    refused = kim.ask(
        "PATCH",
        "/api/users/kim",
        json={"role": "viewer"},
        headers={**kim.csrf(), "Accept-Language": "ko"},
    )
    assert "마지막 관리자" in refused.json()["detail"]
    assert users.remove("kim").name == "kim"


def test_a_user_changes_the_own_password_and_stays_logged_in_only_here(site, users, behind):
    users.add("kim", Role.VIEWER, SECRET)
    here, elsewhere = logged_in(site, "kim"), logged_in(site, "kim")
    wrong = here.change("POST", "/api/account/password", {"old": "wrong", "new": OTHER})
    assert (wrong.status_code, wrong.json()["detail"]) == (422, "The current password is wrong.")
    assert here.change("POST", "/api/account/password", {"old": SECRET, "new": "short"}).status_code == 422
    assert here.change("POST", "/api/account/password", {"old": SECRET, "new": OTHER}).status_code == 200
    assert here.ask("GET", "/api/events").status_code == 200
    assert elsewhere.ask("GET", "/api/events").status_code == 401
    assert logged_in(site, "kim", OTHER)
    token = Browser(site)
    token.log_in()
    assert token.change("POST", "/api/account/password", {"old": SECRET, "new": OTHER}).status_code == 403


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def guarded(users) -> tuple[Passwords, Clock]:
    """Passwords of a user `kim`, and their clock."""
    users.add("kim", Role.VIEWER, SECRET)
    clock = Clock()
    return Passwords(users, clock, lambda *line: None), clock


def test_even_a_right_password_waits_after_five_wrong_ones_from_its_address(guarded):
    passwords, clock = guarded
    for _ in range(FREE):
        assert passwords.check("kim", "wrong", "192.0.2.1") == 0
    assert passwords.check("kim", SECRET, "192.0.2.1") == 15
    assert isinstance(passwords.check("kim", SECRET, "192.0.2.2"), User)
    clock.now_s = 16
    assert isinstance(passwords.check("kim", SECRET, "192.0.2.1"), User)


def test_many_addresses_do_not_help_to_guess_and_lock_no_user_out_where_known(guarded):
    passwords, _ = guarded
    assert isinstance(passwords.check("kim", SECRET, "192.0.2.1"), User)
    for number in range(FREE_OF_NAME):
        assert passwords.check("kim", "wrong", f"198.51.100.{number}") == 0
    assert passwords.check("kim", SECRET, "198.51.100.99") > 0
    assert isinstance(passwords.check("kim", SECRET, "192.0.2.1"), User)


def test_wrong_passwords_are_told_in_the_form_in_the_log_and_in_the_audit_log(site, users, behind, caplog):
    users.add("kim", Role.VIEWER, SECRET)
    browser = Browser(site, "192.0.2.7")
    with caplog.at_level(logging.WARNING):
        for name in ("kim", "a-secret-typed-as-name"):
            answer = browser.log_in("wrong-secret", user=name)
            assert (answer.status_code, "name or the password" in answer.text) == (401, True)
        for _ in range(FREE - 2):
            browser.log_in("wrong-secret", user="kim")
        answer = browser.log_in(SECRET, user="kim")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "15")
        assert "try again in" in answer.text
    assert "A wrong password of kim came from 192.0.2.7." in caplog.text
    assert "secret" not in caplog.text
    end_s = time.monotonic() + 10
    while not (found := behind.store.audit.latest(10)):
        assert time.monotonic() < end_s
    (entry,) = found
    assert (entry.act, entry.subject, entry.after) == ("login_failed", "password of kim", "1")
    assert entry.actor.address == "192.0.2.7"
