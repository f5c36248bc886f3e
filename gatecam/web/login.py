"""Log in by a form or a link, report the session, and log out."""

from __future__ import annotations

import math
import re
import secrets
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.concurrency import run_in_threadpool

from gatecam.pictures.page_words import page_words
from gatecam.store.audit import Act, Actor, AuditLog
from gatecam.web.failures import Client, Failures
from gatecam.web.guard import Visitor, actor_of, is_for_admin, may_see
from gatecam.web.language import language_of, remember_language, tags
from gatecam.web.passwords import Passwords
from gatecam.web.sessions import Sessions
from gatecam.web.static import Static
from gatecam.web.tokens import Role, Tokens
from gatecam.web.users import User, Users

FORM_TYPE = "application/x-www-form-urlencoded"
MOST_FIELDS = 8
HOME = {Role.VIEWER: "/", Role.OPERATOR: "/", Role.ADMIN: "/", Role.DOOR: "/door"}


@dataclass(frozen=True, slots=True)
class Access:
    """Holds all that decides who gets in, and the log of who did."""

    tokens: Tokens
    users: Users
    passwords: Passwords
    sessions: Sessions
    failures: Failures
    audit: AuditLog


def login_router(access: Access, static: Static) -> APIRouter:
    """Build the routes `/login`, `/logout` and `/session`."""
    router, desk, sessions = APIRouter(include_in_schema=False), _Desk(access, static), access.sessions
    run = secrets.token_hex(8)  # tells open pages that gatecam has restarted, so that they reload

    @router.get("/login")
    def form(request: Request, wanted: Annotated[str, Query(alias="next")] = "") -> Response:
        visitor: Visitor | None = request.state.visitor
        is_others = visitor is not None and is_local(wanted) and not may_see(visitor.role, _path(wanted))
        whose = "login.admins" if is_for_admin(_path(wanted)) else "login.others"
        answer = desk.form(request, wanted, whose if is_others else None)
        remember_language(request, answer)
        return answer

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        given_type = request.headers.get("content-type", FORM_TYPE).partition(";")[0].strip().lower()
        if given_type != FORM_TYPE:
            return desk.form(request, "", "login.odd", status=415)
        try:
            fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=MOST_FIELDS)
        except ValueError:
            return desk.form(request, "", "login.odd", status=400)
        given = {name: values[0] for name, values in fields.items()}
        answer = desk.by_link if "link" in given else desk.by_form
        return await run_in_threadpool(answer, request, given)

    @router.post("/logout")
    def log_out(request: Request) -> Response:
        visitor: Visitor = request.state.visitor
        if visitor.session is None:
            return Response(status_code=204)
        access.audit.note(actor_of(request), Act.LOGOUT)
        return Response(status_code=204, headers={"Set-Cookie": sessions.revoke(visitor.session)})

    @router.get("/session")
    def session(request: Request) -> Response:
        visitor: Visitor = request.state.visitor
        token = "" if visitor.session is None else sessions.csrf_token(visitor.session)
        user = "" if visitor.session is None else visitor.session.user
        return JSONResponse({"role": visitor.role.value, "user": user, "csrf_token": token, "run": run})

    return router


@dataclass(frozen=True, slots=True)
class _Desk:
    """Checks tokens and passwords, and issues sessions."""

    access: Access
    static: Static

    def by_form(self, request: Request, given: dict[str, str]) -> Response:
        """Log in by the form, with a token or as a user. This replaces any session of the browser."""
        client: Client = request.state.client
        wanted, user = given.get("next", ""), None
        if name := given.get("user", "").strip():
            found = self.access.passwords.check(name, given.get("token", ""), client.address)
            if isinstance(found, float):
                return self._refused(request, wanted, "login.wrong_password", found)
            user, role = found, found.role
        else:
            of_token = self.access.tokens.role_of(given.get("token", "").strip())
            if of_token not in HOME:
                return self._refused(request, wanted, "login.wrong", self.access.failures.note(client))
            role = of_token
            self.access.failures.forget(client)
        headers = {"Location": _place(role, wanted), "Set-Cookie": self._begin(request, role, user)}
        return Response(status_code=303, headers=headers)

    def form(
        self, request: Request, wanted: str, said: str | None, number: int = 0, *, status: int = 200
    ) -> Response:
        """Return the form below a message, given by its key. The form keeps where to go afterwards.

        It asks for a name only if there are users.
        """
        language = language_of(request)
        words = {**page_words(language), **tags(language)}
        words["query"] = urlencode({"next": wanted, "language": words["other"]})
        words["next"] = wanted
        words["said"] = "" if said is None else words[said].format(n=number)
        words["hidden"] = "hidden" if said is None else ""
        has_users = bool(self.access.users.all())
        words["for_users"] = "" if has_users else "hidden"
        words["user"] = "name=user" if has_users else "value=gatecam"  # under which browsers keep the token
        words["hint"] = words["login.hint_users" if has_users else "login.hint"]
        words["secret"] = words["login.password_or_token" if has_users else "login.token"]
        return HTMLResponse(self.static.page("login.html", words), status)

    def _refused(self, request: Request, wanted: str, key: str, wait_s: float) -> Response:
        if wait_s == 0:
            return self.form(request, wanted, key, status=401)
        answer = self.form(request, wanted, *_wait(wait_s, key), status=429)
        answer.headers["Retry-After"] = str(int(wait_s) + 1)
        return answer

    def _begin(self, request: Request, role: Role, user: User | None = None) -> str:
        """Begin a session, note it in the audit log, and return the `Set-Cookie` header."""
        client: Client = request.state.client
        name = f"token:{role.value}" if user is None else user.name
        self.access.audit.note(Actor(name, client.address), Act.LOGIN, after=role.value)
        return self.access.sessions.issue(role, user)

    def by_link(self, request: Request, given: dict[str, str]) -> Response:
        """Log in by a link. It never ends a session or lowers its role, because any page can open a link."""
        client: Client = request.state.client
        visitor: Visitor | None = request.state.visitor
        session = None if visitor is None else visitor.session
        wanted, role = given.get("next", ""), self.access.tokens.role_of(given.get("token", "").strip())
        if session is not None and (role is not Role.OPERATOR or session.user):
            if role not in HOME:
                self.access.failures.note_link(client)
            told = {"role": role if role in HOME else None, "place": _place(session.role, wanted, role)}
            return JSONResponse(told)
        if role not in HOME:
            wait_s = self.access.failures.note(client)
            key, number = _wait(wait_s, "login.wrong") if wait_s else ("login.wrong", 0)
            said = page_words(language_of(request))[key].format(n=number)
            return JSONResponse({"said": said}, 429 if wait_s else 401)
        self.access.failures.forget(client)
        headers = {"Set-Cookie": self._begin(request, role)}
        return JSONResponse({"role": role, "place": _place(role, wanted)}, headers=headers)


def _wait(wait_s: float, key: str) -> tuple[str, int]:
    """Return the key of the message about a wait after failures of a kind, and the number in it."""
    wait = "login.wait" if key == "login.wrong" else "login.pause"
    seconds = int(wait_s) + 1
    return (f"{wait}_s", seconds) if seconds <= 90 else (f"{wait}_min", math.ceil(wait_s / 60))


def _place(role: Role, wanted: str, home: Role | None = None) -> str:
    """Return the wanted page if the role may see it, or else the start page of the link or session."""
    if is_local(wanted) and may_see(role, _path(wanted)):
        return wanted
    return HOME.get(home or role, HOME[role])


def _path(place: str) -> str:
    return urlsplit(place).path


def is_local(path: str) -> bool:
    """Check that a path leads to this site in every browser.

    >>> [is_local(path) for path in ("/door?camera=a", "//evil", "/\\\\evil", "https://evil", "/a\\r\\nb")]
    [True, False, False, False, False]
    """
    return re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", path) is not None
