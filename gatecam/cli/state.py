"""Find the data that a command reads: the service's on this machine, or this user's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gatecam.app import has_store_file, open_store
from gatecam.errors import ConfigError, ServiceError
from gatecam.runtime import folders
from gatecam.runtime.logs import say
from gatecam.settings.loading import load
from gatecam.settings.schema import Config
from gatecam.store.events import EventStore

ALL = "all"
NAMED = 10  # doors that a message names


@dataclass(frozen=True, slots=True)
class State:
    """Holds the settings and the folder of tokens and, unless `store.path` is set, the store."""

    config: Config
    folder: Path


def find_state(path: Path | None, command: str) -> State:
    """Return the settings and the data folder that a command reads, and report if they are the service's.

    Root and the service's own user get the service's, unless `path` names another settings file. Everyone
    else gets their own.

    `path` is the value of `--config`. `command` names the command in a message, such as `gatecam events`.

    Raises:
        ConfigError: the settings are wrong.
        ServiceError: this user may not read the service's data, and has no data.
    """
    if path is not None and path.absolute() != folders.SERVICE_CONFIG:
        return State(load(path).config, folders.state_folder())
    if not folders.is_service_readable():
        state = State(load(path).config, folders.state_folder())
        if os.path.isdir(folders.SERVICE_STATE) and not (
            state.folder.is_dir() or state.config.store.url is not None or has_store_file(state.config)
        ):
            raise ServiceError(
                f"gatecam is a service here, and its data are in {folders.SERVICE_STATE}: ask as root, with "
                f"`sudo {command}`."
            )
        return state
    settings = folders.SERVICE_CONFIG if folders.SERVICE_CONFIG.is_file() else None
    say(
        f"answers for the service: data of {folders.SERVICE_STATE}, "
        f"{f'settings of {settings}' if settings else 'default settings'} (--config FILE: your own data)"
    )
    return State(_within(load(settings).config, folders.SERVICE_STATE), folders.SERVICE_STATE)


def open_door(config: Config, door: str | None) -> EventStore:
    """Open the store for queries: the database at `store.url` if it is set, else the file.

    Args:
        config: the settings.
        door: the door whose events are read, `all`, or None for the door of the settings.

    Raises:
        ConfigError: the database has no such door, or the settings name no database.
        OutputError: there is no file yet, or it cannot be opened.
        MissingExtraError: the library for PostgreSQL is not installed.
    """
    if config.store.url is None:
        if door is not None:
            raise ConfigError("--door: expected store.url in the settings, the database that doors share")
        return open_store(config)
    name = config.fleet.door_name if door is None else door
    store = open_store(config, "" if door == ALL else name)  # a door may have that name
    try:
        known = [] if door == ALL else store.door_names()
        if known and name not in known:
            some = ", ".join(known[:NAMED]) + (", …" if len(known) > NAMED else "")
            got = f"got {name!r}" if door else f"because {name!r} (fleet.door) has no events there"
            raise ConfigError(f"--door: expected one of {some} or {ALL}, {got}")
    except BaseException:
        store.close()
        raise
    return store


def expect_cameras(store: EventStore, names: Sequence[str]) -> None:
    """Reject names of cameras without events.

    Raises:
        ConfigError: a camera has no events. The message lists the cameras that have some.
    """
    known = store.cameras() if names else []
    for name in names:
        if name not in known:
            some = ", ".join(known) or "no camera yet"
            raise ConfigError(f"--camera: expected one that events tell of ({some}), got {name!r}")


def _within(config: Config, folder: Path) -> Config:
    """Make file names in the settings absolute, as the service works in its data folder."""
    store = config.store.model_copy(update={"path": os.fspath(folder / (config.store.path or folders.STORE))})
    log = config.notify.log and os.fspath(folder / config.notify.log)
    return config.model_copy(update={"store": store, "notify": config.notify.model_copy(update={"log": log})})
