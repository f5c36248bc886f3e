"""Add, try out, change and remove cameras, and draw their zones, while gatecam runs."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from gatecam.capture.devices import cameras_seen
from gatecam.capture.onvif import FoundCamera, Stream, discover, streams
from gatecam.errors import ConfigError
from gatecam.live.control import Saving, require_same
from gatecam.live.parts import Live
from gatecam.live.reload import Reloading
from gatecam.live.sight import Sights
from gatecam.runtime.addresses import hide_in_source, is_url
from gatecam.runtime.locks import camera_identity
from gatecam.settings.saving import CAMERAS, Edits, camera_key
from gatecam.settings.schema import TRIAL, CameraConfig, Config, Geometry, Region, Regions
from gatecam.types import Round

FORM = ("name", "width", "height")  # settings that the page shows unchanged


class CameraSetup:
    """Lets the pages change which cameras gatecam watches. Any thread may use it."""

    def __init__(self, reloading: Reloading, live: Live) -> None:
        self._reloading, self._live, self._sights = reloading, live, Sights()
        reloading.viewers.append(self._sights.apply)

    def note(self, turn: Round) -> None:
        """Measure what the cameras see in a round. Only the live loop calls this."""
        self._sights.note(turn)

    def cameras(self) -> list[dict[str, Any]]:
        """Return each camera's settings without passwords, its zones, and what it sees, with advice.

        A camera that does not see has a `reason`, which is a `Blindness` or a sentence, and no advice.
        """
        return [self._described(one) for one in self._reloading.running.watched]

    def trial(self) -> dict[str, Any] | None:
        """Return what the camera that is tried out sees, or None. Each call keeps it open for `TRIAL_S`."""
        config = self._reloading.trial(time.monotonic())
        return None if config is None else self._described(config.watched[-1])

    def _described(self, one: Config) -> dict[str, Any]:
        name = one.camera.name
        state = next((it.state for it in self._live.cameras.cameras if it.name == name), None)
        sight = self._sights.of(name)
        reason = self._live.refused.get(name, "") if state is None else state.reason
        return {
            **_form(one),
            "is_url": is_url(one.camera.source),
            "region": one.detector.region,
            "ignore": one.detector.ignore,
            "reason": reason,
            "sight": None if sight is None else asdict(sight),
            "advice": [] if sight is None or reason else sight.advice(),
        }

    def draw(
        self,
        camera: str,
        region: Region | None,
        ignore: Regions,
        seen: Mapping[str, object] | None = None,
    ) -> Saving:
        """Change where faces of a camera count and where they are ignored.

        `seen` has the `region` and `ignore` that a person saw before, or is None to change any.

        Raises:
            ConfigError: there is no such camera, or a zone is not valid.
            ConflictError: the zones are not those that the person saw.
        """

        def edits(config: Config) -> Edits:
            old = known(config, camera).detector
            require_same(seen, {"region": old.region, "ignore": old.ignore})
            zones: dict[str, object] = {"region": region, "ignore": ignore}
            return {
                camera_key(config, camera, name): zone
                for name, zone in zones.items()
                if zone != getattr(old, name)
            }

        return self._reloading.edit(edits, is_of_camera=True)

    def put(
        self, camera: str | None, values: Mapping[str, Any], seen: Mapping[str, object] | None = None
    ) -> Saving:
        """Change a camera, or add a new one. The camera is opened at once.

        Args:
            camera: the current name of the camera, or None to add one.
            values: the new `name`, `source`, `user`, `password`, `width` and `height`, or some of them.
            seen: what `cameras` told a person about this camera before, or some of it. None changes any.

        Raises:
            ConfigError: a value is not valid, or the cameras come from the command line.
            ConflictError: the camera is not as the person saw it.
        """
        if values.get("name") == TRIAL:
            raise ConfigError(f"{TRIAL}: expected another name for the camera.")

        def edits(config: Config) -> Edits:
            if camera is not None:
                require_same(seen, _form(known(config, camera)))
            return put_edits(config, camera, values)

        return self._edit(edits)

    def remove(self, camera: str) -> Saving:
        """Stop watching a camera, and remove it from the settings.

        Raises:
            ConfigError: it is the only one, or there is no such camera.
        """

        def edits(config: Config) -> Edits:
            known(config, camera)
            if len(config.watched) == 1:
                raise ConfigError("This is the only camera: change it, or add another one first.")
            return {(CAMERAS, camera): None}

        return self._edit(edits)

    def attempt(self, camera: str | None, values: Mapping[str, Any]) -> None:
        """Try out a camera: open it without events, until nobody has asked for `trial` for a while.

        Args:
            camera: the camera whose values are completed, or None for a new one.
            values: as for `put`.

        Raises:
            ConfigError: a value is not valid, or a camera that is watched has the same source.
        """

        def edits(config: Config) -> Edits:
            old = None if camera is None else known(config, camera)
            own = {} if old is None else {key: getattr(old.camera, key) for key in ("source", *FORM)}
            return put_edits(config, None, {**own, **_entry(old, values), "name": TRIAL})

        self._require_own()
        self._reloading.attempt(edits, time.monotonic())

    def _edit(self, edits: Any) -> Saving:
        self._require_own()
        return self._reloading.edit(edits)

    def _require_own(self) -> None:
        if self._reloading.source is not None:
            raise ConfigError("The camera comes from --camera: start gatecam without it to change cameras.")

    def usb(self) -> list[str]:
        """Return the cameras that Linux lists, as `path (name)`."""
        return cameras_seen()

    def search(self) -> list[FoundCamera]:
        """Search the network for cameras. The errors are those of `discover`."""
        return discover()

    def streams(self, address: str, user: str, password: str) -> list[Stream]:
        """Return the streams of a camera by its ONVIF address. The errors are those of `onvif.streams`."""
        return streams(address, user, password)


def _form(one: Config) -> dict[str, Any]:
    """Return what the page's form shows of a camera."""
    shown = {key: getattr(one.camera, key) for key in FORM}
    return {**shown, "source": hide_in_source(one.camera.source)}


def known(config: Config, camera: str) -> Config:
    """Return a camera's settings.

    Raises:
        ConfigError: there is no such camera.
    """
    found = {one.camera.name: one for one in config.watched}
    if camera not in found:
        raise ConfigError(f"{camera[:60]!r}: expected one of the cameras {', '.join(found)}")
    return found[camera]


def put_edits(config: Config, camera: str | None, values: Mapping[str, Any]) -> Edits:
    """Return the edits that change a camera, or that add one if `camera` is None.

    Raises:
        ConfigError: there is no such camera, a new one lacks its name or source, or another one has the same
            source.
    """
    if camera is not None:
        old = known(config, camera)
        entry = _entry(old, values)
        _require_free(config, entry.get("source", ""), camera)
        name = entry.pop("name", camera)
        edits: dict[tuple[str, ...], object] = {
            camera_key(config, camera, key): value
            for key, value in entry.items()
            if value != getattr(old.camera, key)
        }
        if name != camera:
            edits[camera_key(config, camera, "name")] = name  # last, because the other edits use the old name
        return edits
    entry = _entry(None, values)
    for key in ("name", "source"):
        if not entry.get(key):
            raise ConfigError(f"{key}: expected the camera's {key}.")
    _require_free(config, entry["source"])
    edits = {}
    if entry["name"] in {one.camera.name for one in config.watched}:
        raise ConfigError(f"name: there is a camera {entry['name']} already, choose another name.")
    if not config.cameras:  # the one so far becomes an entry too
        edits[CAMERAS, config.camera.name] = {"name": config.camera.name, "source": config.camera.source}
    common = {key: info.default for key, info in Geometry.model_fields.items() if key != "view_deg"}
    own = {key: value for key, value in common.items() if getattr(config.detector, key) != value}
    # Without `own`, the camera would take the zones and the door size that `detector` has for all cameras
    edits[CAMERAS, str(entry["name"])] = {**entry, **own}
    return edits


def _require_free(config: Config, source: str, camera: str | None = None) -> None:
    """Check that no other camera has this source, because each person there would be counted twice.

    The user and password in an address make no difference.

    Raises:
        ConfigError: another camera has this source.
    """
    for one in config.watched:
        if one.camera.name != camera and _identity(one.camera.source) == _identity(source):
            raise ConfigError(f"camera {one.camera.name} has this address, and is watched already.")


def _identity(source: str) -> str:
    """Return an address without its user and password, or the identity that all names of a device share."""
    scheme, _, rest = _parts(source)
    return f"{scheme.lower()}{rest}" if scheme else camera_identity(source)


def _entry(old: Config | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of the settings from a form. An empty source, user or password keeps the old one.

    A new source on another host does not get the old user and password, because that host must not learn
    them.
    """
    keys = ("name", *CameraConfig.model_fields)
    entry = {key: values[key] for key in keys if values.get(key) not in (None, "")}
    before = "" if old is None else old.camera.source
    source = str(entry.get("source") or before)
    (_, old_login, old_rest), (scheme, login, rest) = _parts(before), _parts(source)
    if old_login and not login and _host(rest) == _host(old_rest):
        source = entry["source"] = scheme + old_login + rest
    if values.get("user") or values.get("password"):
        entry["source"] = with_login(source, values.get("user") or "", values.get("password") or "")
    return entry


def with_login(source: str, user: str, password: str) -> str:
    """Return the address of a camera with a user and password. If one is empty, that of the address stays.

    Raises:
        ConfigError: the source is not an address.

    >>> with_login("rtsp://10.0.0.5/live", "admin", "p@ss/w")
    'rtsp://admin:p%40ss%2Fw@10.0.0.5/live'
    """
    if not is_url(source):
        raise ConfigError("source: expected an address such as rtsp://10.0.0.5/live for a user and password.")
    scheme, login, rest = _parts(source)
    old_user, _, old_password = login.removesuffix("@").partition(":")
    name, secret = quote(user, safe="") or old_user, quote(password, safe="") or old_password
    return f"{scheme}{name}{secret and f':{secret}'}@{rest}"


def _parts(source: str) -> tuple[str, str, str]:
    """Split a source into its scheme, the user and password with their `@`, and the rest.

    >>> _parts("rtsp://admin:s3cret@10.0.0.5/live")
    ('rtsp://', 'admin:s3cret@', '10.0.0.5/live')
    """
    found = re.fullmatch(r"([A-Za-z]+://)([^/?#]*@)?(.*)", source, re.DOTALL)
    return ("", "", source) if found is None else (found[1], found[2] or "", found[3])


def _host(rest: str) -> str:
    return re.sub(r":\d*$", "", re.split(r"[/?#]", rest, maxsplit=1)[0]).lower()
