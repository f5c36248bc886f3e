"""Floor 4: the way in: a form, a session, and the way out."""

from __future__ import annotations

import math
import re
import secrets
from html import escape
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from gatecam.web.failures import Failures
from gatecam.web.guard import Visitor, may_see
from gatecam.web.sessions import Sessions
from gatecam.web.static import Static
from gatecam.web.tokens import Role, Tokens

WRONG = ("This token is wrong.", "토큰이 올바르지 않습니다.")
OTHERS = ("That page is the operator's: log in with the operator's token.", "운영자 토큰으로 로그인하세요.")
HOME = {Role.OPERATOR: "/", Role.DOOR: "/door"}


def login_router(tokens: Tokens, sessions: Sessions, failures: Failures, static: Static) -> APIRouter:
    """The routes `/login`, `/logout` and `/session`."""
    router = APIRouter(include_in_schema=False)
    run = secrets.token_hex(8)  # tells pages that gatecam was started anew: their words and scripts are old

    @router.get("/login")
    def form(request: Request, wanted: Annotated[str, Query(alias="next")] = "") -> Response:
        visitor: Visitor | None = request.state.visitor
        is_others = visitor is not None and is_local(wanted) and not may_see(visitor.role, _path(wanted))
        return _form(static, wanted, OTHERS if is_others else None)

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        address = request.client.host if request.client else ""
        fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=8)
        wanted = fields.get("next", [""])[0]
        if (wait_s := failures.wait_s(address)) > 0:
            headers = {"Retry-After": str(int(wait_s) + 1)}
            return _form(static, wanted, _wait(wait_s), 429, headers)
        role = tokens.role_of(fields.get("token", [""])[0].strip())
        if role not in HOME:
            failures.note(address)
            return _form(static, wanted, WRONG, 401)
        failures.forget(address)
        place = wanted if is_local(wanted) and may_see(role, _path(wanted)) else HOME[role]
        return Response(status_code=303, headers={"Location": place, "Set-Cookie": sessions.issue(role)})

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


def _form(
    static: Static,
    wanted: str,
    said: tuple[str, str] | None,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    """The form, which keeps where to go afterwards, under a sentence in English and Korean."""
    page = static.text("login.html").replace('name="next" value=""', f'name="next" value="{escape(wanted)}"')
    if said is not None:
        english, korean = said
        page = page.replace(" hidden><!-- said -->", f'>{english} <span lang="ko">{korean}</span>')
    return HTMLResponse(page, status, headers)


def _wait(wait_s: float) -> tuple[str, str]:
    seconds, minutes = int(wait_s) + 1, math.ceil(wait_s / 60)
    if seconds <= 90:
        return f"Too many wrong tokens: try again in {seconds} s.", f"{seconds}초 뒤에 다시 시도하세요."
    return f"Too many wrong tokens: try again in {minutes} minutes.", f"{minutes}분 뒤에 다시 시도하세요."


def _path(place: str) -> str:
    return urlsplit(place).path


def is_local(path: str) -> bool:
    """Whether a path stays on this site, whatever browser follows it.

    >>> [is_local(path) for path in ("/door?camera=a", "//evil", "/\\\\evil", "https://evil", "/a\\r\\nb")]
    [True, False, False, False, False]
    """
    return re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", path) is not None
