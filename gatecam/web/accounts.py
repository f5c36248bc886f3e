"""Define the routes by which admins manage users and read the audit log, and users change their password."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from gatecam.errors import OutputError
from gatecam.live.control import require_same
from gatecam.pictures.page_words import page_words
from gatecam.store.audit import Act, Entry
from gatecam.web.guard import Visitor, actor_of
from gatecam.web.language import language_of
from gatecam.web.login import Access
from gatecam.web.static import Static, add_page
from gatecam.web.tokens import Role
from gatecam.web.users import User, UserError

MOST_ENTRIES = 500
Name = Annotated[str, Field(max_length=200)]
Secret = Annotated[str, Field(max_length=2000)]
UserRole = Literal["viewer", "operator", "admin"]


class NewUser(BaseModel):
    """Holds a user to add."""

    name: Name
    role: UserRole
    password: Secret


class SeenUser(BaseModel):
    """Holds the role that was shown for a user."""

    role: UserRole


class UserChange(BaseModel):
    """Holds a user's new role, or new password, or both.

    `seen` has the role that was shown before. The change is refused if it is another by now.
    """

    role: UserRole | None = None
    password: Secret | None = None
    seen: SeenUser | None = None


class PasswordChange(BaseModel):
    """Holds a visitor's own current and new password."""

    old: Secret
    new: Secret


def accounts_router(access: Access, static: Static) -> APIRouter:
    """Build the pages of users and of the visitor's own account, and the change of the own password."""
    router = APIRouter()
    add_page(router, static, "/users", "users.html")
    add_page(router, static, "/account", "account.html")

    @router.post("/api/account/password")
    def change_own(request: Request, wanted: PasswordChange) -> Response:
        """Change the visitor's own password, which ends all of the visitor's other sessions."""
        visitor: Visitor = request.state.visitor
        if visitor.session is None or not visitor.session.user:
            raise HTTPException(403, _words(request)["account.of_token"])
        actor = actor_of(request)
        found = access.passwords.check(visitor.session.user, wanted.old, actor.address)
        if isinstance(found, float):
            wait = {"Retry-After": str(int(found) + 1)} if found else None
            raise HTTPException(429 if found else 422, _words(request)["account.wrong"], wait)
        made = _answered(lambda: access.users.change(found.name, password=wanted.new))
        access.audit.note(actor, Act.PASSWORD, made.name)
        access.sessions.revoke(visitor.session)
        return JSONResponse({}, headers={"Set-Cookie": access.sessions.issue(made.role, made)})

    return router


def users_router(access: Access) -> APIRouter:
    """Build the routes by which an admin manages users and reads the audit log."""
    router = APIRouter()

    @router.get("/api/users")
    def users() -> Any:
        """Return all users with their roles. Only an admin may ask."""
        return {"users": [_user(one) for one in access.users.all()]}

    @router.post("/api/users")
    def add(request: Request, wanted: NewUser) -> Any:
        """Add a user and return all of them."""
        made = _answered(lambda: access.users.add(wanted.name, Role(wanted.role), wanted.password))
        access.audit.note(actor_of(request), Act.USER_ADDED, made.name, after=made.role.value)
        return users()

    @router.patch("/api/users/{name}")
    def change(request: Request, name: str, wanted: UserChange) -> Any:
        """Change a user's role or password, which ends the user's sessions. Return all users."""
        if wanted.role is None and wanted.password is None:
            raise HTTPException(422, "Nothing is given to change: give a role, a password or both.")
        before = access.users.get(name)
        if before is not None and wanted.seen is not None:
            require_same(wanted.seen.model_dump(), {"role": before.role.value})
        role = None if wanted.role is None else Role(wanted.role)
        made = _answered(lambda: access.users.change(name, role, wanted.password, keep_admin=True))
        if before is not None and role is not None:
            access.audit.note(actor_of(request), Act.ROLE, made.name, before.role.value, made.role.value)
        if wanted.password is not None:
            access.audit.note(actor_of(request), Act.PASSWORD, made.name)
        return users()

    @router.delete("/api/users/{name}")
    def remove(request: Request, name: str) -> Any:
        """Remove a user, which ends the user's sessions. Return all others."""
        gone = _answered(lambda: access.users.remove(name, keep_admin=True))
        access.audit.note(actor_of(request), Act.USER_REMOVED, gone.name, before=gone.role.value)
        return users()

    @router.get("/api/audit")
    def audit(
        act: Act | None = None,
        before_id: Annotated[int | None, Query(ge=0, le=2**62)] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = 100,
    ) -> Any:
        """Return the latest entries of the audit log, newest first. Only an admin may ask."""
        try:
            found = access.audit.latest(limit, before_id, () if act is None else (act,))
        except OutputError as error:
            raise HTTPException(503, str(error)) from None
        return {"entries": [_entry(one) for one in found], "more": len(found) == limit}

    return router


def _answered(change: Callable[[], User]) -> User:
    try:
        return change()
    except UserError as error:
        raise HTTPException(422, str(error)) from None
    except OutputError as error:
        raise HTTPException(503, str(error)) from None


def _words(request: Request) -> Mapping[str, str]:
    return page_words(language_of(request))


def _user(user: User) -> dict[str, Any]:
    return {"name": user.name, "role": user.role.value, "changed_ms": round(user.changed_s * 1000)}


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at_ms": entry.at_ms,
        "who": entry.actor.name,
        "address": entry.actor.address,
        "what": entry.act,
        "subject": entry.subject,
        "before": entry.before,
        "after": entry.after,
    }
