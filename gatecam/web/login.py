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
from gatecam.web.failures import Client, Failures
from gatecam.web.guard import Visitor, may_see
from gatecam.web.language import language_of, remember_language, tags
from gatecam.web.sessions import Sessions
from gatecam.web.static import Static
from gatecam.web.tokens import Role, Tokens

FORM_TYPE = "application/x-www-form-urlencoded"
MOST_FIELDS = 8
HOME = {Role.OPERATOR: "/", Role.DOOR: "/door"}


def login_router(tokens: Tokens, sessions: Sessions, failures: Failures, static: Static) -> APIRouter:
    """Build the routes `/login`, `/logout` and `/session`."""
    router, desk = APIRouter(include_in_schema=False), _Desk(tokens, sessions, failures, static)
    run = secrets.token_hex(8)  # tells open pages that gatecam has restarted, so that they reload

    @router.get("/login")
    def form(request: Request, wanted: Annotated[str, Query(alias="next")] = "") -> Response:
        visitor: Visitor | None = request.state.visitor
        is_others = visitor is not None and is_local(wanted) and not may_see(visitor.role, _path(wanted))
        answer = _form(static, request, wanted, "login.others" if is_others else None)
        remember_language(request, answer)
        return answer

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        given_type = request.headers.get("content-type", FORM_TYPE).partition(";")[0].strip().lower()
        if given_type != FORM_TYPE:
            return _form(static, request, "", "login.odd", status=415)
        try:
            fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=MOST_FIELDS)
        except ValueError:
            return _form(static, request, "", "login.odd", status=400)
        given = {name: values[0] for name, values in fields.items()}
        answer = desk.by_link if "link" in given else desk.by_form
        return await run_in_threadpool(answer, request, given)

    @router.post("/logout")
    def log_out(request: Request) -> Response:
        visitor: Visitor = request.state.visitor
        headers = {} if visitor.session is None else {"Set-Cookie": sessions.revoke(visitor.session)}
        return Response(status_code=204, headers=headers)

    @router.get("/session")
    def session(request: Request) -> Response:
        visitor: Visitor = request.state.visitor
        token = "" if visitor.session is None else sessions.csrf_token(visitor.session)
        return JSONResponse({"role": visitor.role.value, "csrf_token": token, "run": run})

    return router


@dataclass(frozen=True, slots=True)
class _Desk:
    """Checks tokens and issues sessions."""

    tokens: Tokens
    sessions: Sessions
    failures: Failures
    static: Static

    def by_form(self, request: Request, given: dict[str, str]) -> Response:
        """Log in by the form. This replaces any session of the browser."""
        client: Client = request.state.client
        wanted, role = given.get("next", ""), self.tokens.role_of(given.get("token", "").strip())
        if role not in HOME:
            if (wait_s := self.failures.note(client)) > 0:
                answer = _form(self.static, request, wanted, *_wait(wait_s), status=429)
                answer.headers["Retry-After"] = str(int(wait_s) + 1)
                return answer
            return _form(self.static, request, wanted, "login.wrong", status=401)
        self.failures.forget(client)
        headers = {"Location": _place(role, wanted), "Set-Cookie": self.sessions.issue(role)}
        return Response(status_code=303, headers=headers)

    def by_link(self, request: Request, given: dict[str, str]) -> Response:
        """Log in by a link. It never ends a session or lowers its role, because any page can open a link."""
        client: Client = request.state.client
        visitor: Visitor | None = request.state.visitor
        session = None if visitor is None else visitor.session
        wanted, role = given.get("next", ""), self.tokens.role_of(given.get("token", "").strip())
        if session is not None and role is not Role.OPERATOR:
            if role not in HOME:
                self.failures.note_link(client)
            told = {"role": role if role in HOME else None, "place": _place(session.role, wanted, role)}
            return JSONResponse(told)
        if role not in HOME:
            wait_s = self.failures.note(client)
            key, number = _wait(wait_s) if wait_s else ("login.wrong", 0)
            said = page_words(language_of(request))[key].format(n=number)
            return JSONResponse({"said": said}, 429 if wait_s else 401)
        self.failures.forget(client)
        headers = {"Set-Cookie": self.sessions.issue(role)}
        return JSONResponse({"role": role, "place": _place(role, wanted)}, headers=headers)


def _form(
    static: Static, request: Request, wanted: str, said: str | None, number: int = 0, *, status: int = 200
) -> Response:
    """Return the form below a message, given by its key. The form keeps where to go afterwards."""
    language = language_of(request)
    words = {**page_words(language), **tags(language)}
    words["query"] = urlencode({"next": wanted, "language": words["other"]})
    words["next"] = wanted
    words["said"] = "" if said is None else words[said].format(n=number)
    words["hidden"] = "hidden" if said is None else ""
    return HTMLResponse(static.page("login.html", words), status)


def _wait(wait_s: float) -> tuple[str, int]:
    """Return the key of the message about a wait, and the number in it."""
    seconds = int(wait_s) + 1
    return ("login.wait_s", seconds) if seconds <= 90 else ("login.wait_min", math.ceil(wait_s / 60))


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
