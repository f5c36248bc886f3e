"""Floor 4: the way in: a form, a session, and the way out."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from gatecam.web.failures import Failures
from gatecam.web.guard import Visitor
from gatecam.web.sessions import Sessions
from gatecam.web.static import Static
from gatecam.web.tokens import Role, Tokens

ROLE_ALERT = (b'role="alert" hidden', b'role="alert"')  # shows that the token was wrong
HOME = {Role.OPERATOR: "/", Role.DOOR: "/door"}


def login_router(tokens: Tokens, sessions: Sessions, failures: Failures, static: Static) -> APIRouter:
    """The routes `/login`, `/logout` and `/session`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    def form() -> Response:
        return static.page("login.html")

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        address = request.client.host if request.client else ""
        if (wait_s := failures.wait_s(address)) > 0:
            headers = {"Retry-After": str(int(wait_s) + 1)}
            return PlainTextResponse("Too many wrong tokens: wait.", 429, headers)
        fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=8)
        role = tokens.role_of(fields.get("token", [""])[0].strip())
        wanted = fields.get("next", [""])[0]
        if role not in HOME:
            failures.note(address)
            return static.page("login.html", 401, ROLE_ALERT)
        failures.forget(address)
        place = wanted if is_local(wanted) and wanted != "/" else HOME[role]
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
        return JSONResponse({"role": visitor.role.value, "csrf_token": token})

    return router


def is_local(path: str) -> bool:
    """Whether a path stays on this site, whatever browser follows it.

    >>> [is_local(path) for path in ("/door?camera=a", "//evil", "/\\\\evil", "https://evil", "/a\\r\\nb")]
    [True, False, False, False, False]
    """
    return re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", path) is not None
