"""Hide the secrets in addresses wherever they are shown: in messages, logs, pages and settings.

An address may hold a password as `user:password@`, in its query, or in its path, as many cameras require.
Only the host, the port and the parts of the path that cannot be secret are shown.
"""

from __future__ import annotations

import re

HIDDEN = "***"
ENCODE = "write the characters # / ? @ of a password as %23 %2F %3F %40"

URL_SCHEMES = ("rtsp://", "rtsps://", "http://", "https://", "udp://", "tcp://")

_SCHEME = re.compile(r"[A-Za-z][\w+.-]*://")
_IN_TEXT = re.compile(r"([A-Za-z][\w+.-]*://)(\S+?)(?=[)\]}>'\",.:;]*(?:\s|$))")
_PARTS = re.compile(r"([^/?#]*)([^?#]*)([?#]?)", re.DOTALL)  # host, path, first character of the query
_HOST = re.compile(r"(?:\[[\w:.%]*\]|[^:\[\]]*)(?::\d*)?")
_LONGEST_PART = 40
# Words that many makers use in paths, and numbers of up to three digits
_HARMLESS = re.compile(
    r"(?:live|stream(?:ing)?|channels?|ch|cam(?:era)?s?|video|media|main|sub|primary|secondary|first|second|third"
    r"|h26[45]|hevc|mpeg|mp|m3u8|mjpe?g|jpe?g|motion|image|img|snap(?:shot)?|preview|input|profile|onvif|axis"
    r"|cgi|bin|realmonitor|unicast|multicast|rtsp|rtp|sdp|smp|amp|ts|av|udp|tcp|track|quality|view|web|api|isapi"
    r"|high|low|hd|sd|door|entrance|gate|front|back|left|right|north|south|east|west|in|out|c|s"
    r"|[-_.]|(?<!\d)\d{1,3}(?!\d))+",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z][a-z]{0,11}(?:\.[a-z]{2,4})?")
_BEFORE_SECRET = re.compile(
    r"(?:user|usr|login|log_?in|account|admin|administrator|root|guest|viewer|operator|pass|passwd|passw(?:or[dt])?"
    r"|pwd?|psw|auth|token|(?:api[-_]?)?key|secret|session|sid|cred(?:ential)?|(?:web)?hook|service)"
    r"(?:name|id|s)?\d{0,3}",
    re.IGNORECASE,
)


def hide_secrets(text: str) -> str:
    """Return a text in which the addresses show no user, password, query or other secret.

    >>> hide_secrets("no answer from rtsp://admin:p@ss/w@10.0.0.5/live?token=1, trying again")
    'no answer from rtsp://***@10.0.0.5/live?***, trying again'
    """
    return _IN_TEXT.sub(lambda found: found[1] + _without_secrets(found[2]), text)


def hide_in_source(source: str) -> str:
    """Return a camera's source without secrets, even if it has no scheme or contains spaces.

    >>> hide_in_source("10.0.0.5/user=admin&password=s3cret&channel=1")
    '10.0.0.5/***'
    """
    if source.isdecimal() or source.startswith("/dev/"):
        return source
    found = _SCHEME.match(source)
    scheme = found[0] if found else ""
    return scheme + _without_secrets(source[len(scheme) :])


def hide_path(address: str) -> str:
    """Return a web address without user, path and query. Chat services put their secret into the path.

    >>> hide_path("https://hooks.example/services/T0/B0/s3cret?x=1")
    'https://hooks.example/***'
    """
    scheme, mark, rest = address.partition("://")
    host = _split(rest.rpartition("@")[2])[0]
    return f"{scheme}{mark}{host}/{HIDDEN}"


def is_url(source: str) -> bool:
    """Return whether a source is the address of a network stream."""
    return source.lower().startswith(URL_SCHEMES)


def source_problem(source: str) -> str | None:
    """Return what is wrong with a camera's source, judged from its text alone, or None.

    >>> source_problem("rtsp://")
    'expected the name or address of the camera after rtsp://'
    >>> source_problem("0")
    """
    if not (source.isdecimal() or source.startswith("/dev/") or is_url(source)):
        return (
            "expected an index (0), a device (/dev/video0) or an address (rtsp:// or http://); recorded "
            "files are for `gatecam replay`"
        )
    if is_url(source):
        scheme, rest = source.split("://", 1)
        if re.search(r"\s", source):
            return "expected no spaces in an address; write %20 for one"
        if not _split(rest.rpartition("@")[2])[0]:
            return f"expected the name or address of the camera after {scheme}://"
    return None


def has_raw_password(address: str) -> bool:
    """Return whether a password seems to contain a raw `#`, `/` or `?`, which ends the host's name."""
    rest = address.partition("://")[2]
    host, _, _ = _split(rest)
    return "@" in rest[len(host) :] or not _is_host(host)


def _split(rest: str) -> tuple[str, str, str]:
    found = _PARTS.match(rest)
    assert found is not None  # the pattern matches even the empty text
    return found[1], found[2], found[3]


def _is_host(text: str) -> bool:
    return _HOST.fullmatch(text.rpartition("@")[2]) is not None


def _without_secrets(rest: str) -> str:
    """Hide the secrets of an address without its scheme.

    Everything before the last @ may be a password with raw characters.
    """
    _, at, address = rest.rpartition("@")
    host, path, mark = _split(address)
    shown = host if _is_host(host) else HIDDEN
    return f"{HIDDEN + at if at else ''}{shown}{_safe_path(path)}{mark + HIDDEN if mark else ''}"


def _safe_path(path: str) -> str:
    shown, is_next, is_hiding = [], False, False
    for part in path.split("/"):
        is_harmless = len(part) <= _LONGEST_PART and bool(_HARMLESS.fullmatch(part))
        is_safe = not part or (not is_next and (is_harmless or (not is_hiding and _is_word(part))))
        shown.append(part if is_safe else HIDDEN)
        is_next = is_safe and bool(_BEFORE_SECRET.fullmatch(part))
        is_hiding = is_next or (is_hiding and not (is_safe and is_harmless))
    return "/".join(shown)


def _is_word(part: str) -> bool:
    """Return whether a part of a path is a plain word, such as `driveway` or `Door.cgi`."""
    return _WORD.fullmatch(part) is not None
