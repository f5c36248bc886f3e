"""Choose the language of an answer: the one of the switch, or else the one that the browser prefers."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Request, Response
from starlette.requests import HTTPConnection

from gatecam.pictures.page_words import LANGUAGES

COOKIE = "gatecam-language"
KEPT_S = 400 * 86_400  # browsers keep no cookie for longer
DEFAULT = "en"


def language_of(request: HTTPConnection) -> str:
    """Return the language in which to answer a request."""
    for chosen in (_chosen(request), request.cookies.get(COOKIE, "")):
        if chosen in LANGUAGES:
            return chosen
    accepted = re.findall(
        r"([a-z]+)[^,;]*(?:;\s*q=(\d(?:\.\d+)?))?", request.headers.get("accept-language", "").lower()
    )
    weights = [(float(weight or 1), tag) for tag, weight in accepted if tag in LANGUAGES]
    best, tag = max(weights, key=lambda one: one[0], default=(0.0, DEFAULT))
    return tag if best > 0 else DEFAULT


def tags(language: str) -> dict[str, str]:
    """Return the tag of a page's language and of the one that its switch leads to."""
    (other,) = set(LANGUAGES) - {language}
    return {"language": language, "other": other}


def remember_language(request: Request, response: Response) -> None:
    """Set the cookie that keeps the language if the request chooses one."""
    if (chosen := _chosen(request)) in LANGUAGES:
        response.set_cookie(COOKIE, chosen, KEPT_S, httponly=True, samesite="lax")


def _chosen(request: HTTPConnection) -> str:
    return request.query_params.get("language", "")


Language = Annotated[str, Depends(language_of)]
