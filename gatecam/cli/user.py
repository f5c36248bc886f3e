"""Run `gatecam user`, which manages the users of the web pages."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatecam.cli.options import StateConfigOption
from gatecam.web.tokens import Role

if TYPE_CHECKING:
    from gatecam.cli.state import State
    from gatecam.store.audit import Act
    from gatecam.web.users import Users

app = typer.Typer(no_args_is_help=True, help="Manage the users of the web pages, who log in with a password.")


class UserRole(StrEnum):
    """Lists the roles of users."""

    VIEWER = Role.VIEWER.value
    OPERATOR = Role.OPERATOR.value
    ADMIN = Role.ADMIN.value


NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.", show_default=False)]


@app.command()
def add(
    name: NameArgument,
    role: Annotated[
        UserRole, typer.Option("--role", help="What the user may do: look, change settings, or manage users.")
    ] = UserRole.VIEWER,
    config: StateConfigOption = None,
) -> None:
    """Add a user. The password is asked for, or read from standard input if that is no terminal."""
    from gatecam.store.audit import Act

    state, users = _users(config, "gatecam user add")
    made = users.add(name, Role(role), _password())
    _note(state, Act.USER_ADDED, made.name, after=made.role.value)
    typer.echo(f"{made.name}: added as {made.role}.")


@app.command(name="list")
def list_users(config: StateConfigOption = None) -> None:
    """Print all users with their roles."""
    _, users = _users(config, "gatecam user list")
    found = users.all()
    for user in found:
        typer.echo(f"{user.name}\t{user.role}")
    if not found:
        typer.echo("There are no users. `gatecam user add NAME --role admin` adds one.")


@app.command()
def role(
    name: NameArgument,
    role: Annotated[UserRole, typer.Argument(help="The new role.", show_default=False)],
    config: StateConfigOption = None,
) -> None:
    """Change a user's role. This ends the user's sessions."""
    from gatecam.store.audit import Act

    state, users = _users(config, "gatecam user role")
    before = users.get(name)
    made = users.change(name, Role(role))
    _note(state, Act.ROLE, made.name, "" if before is None else before.role.value, made.role.value)
    typer.echo(f"{made.name}: is {made.role} now.")


@app.command()
def password(name: NameArgument, config: StateConfigOption = None) -> None:
    """Change a user's password. This ends the user's sessions. The password is read as by `add`."""
    from gatecam.store.audit import Act
    from gatecam.web.users import UserError, UserProblem

    state, users = _users(config, "gatecam user password")
    if users.get(name) is None:
        raise UserError(UserProblem.UNKNOWN)
    made = users.change(name, password=_password())
    _note(state, Act.PASSWORD, made.name)
    typer.echo(f"{made.name}: has a new password.")


@app.command()
def remove(name: NameArgument, config: StateConfigOption = None) -> None:
    """Remove a user. This ends the user's sessions."""
    from gatecam.store.audit import Act

    state, users = _users(config, "gatecam user remove")
    gone = users.remove(name)
    _note(state, Act.USER_REMOVED, gone.name, before=gone.role.value)
    typer.echo(f"{gone.name}: removed.")


def _users(config: Path | None, command: str) -> tuple[State, Users]:
    from gatecam.cli.state import find_state
    from gatecam.web.users import FILE, Users

    state = find_state(config, command)
    return state, Users(state.folder / FILE)


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def _note(state: State, act: Act, name: str, before: str = "", after: str = "") -> None:
    """Write what was done into the audit log, and begin a store if there is none yet."""
    from contextlib import closing

    from gatecam.app import open_file
    from gatecam.store.audit import command_actor

    store = open_file(state.config, create=True)
    assert store is not None
    with closing(store):
        store.audit.note(command_actor(), act, name, before, after)
