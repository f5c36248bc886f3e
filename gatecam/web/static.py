"""Serve the files of the pages from memory, by their exact names only."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from gatecam.pictures.page_words import page_words
from gatecam.web.language import Language, remember_language, tags

FOLDER = Path(__file__).parent / "static"
FONT = Path(__file__).parents[1] / "assets" / "fonts" / "NanumSquareB.ttf"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
}
CACHED = "private, max-age=0, must-revalidate"


class Static:
    """Holds all files of the pages in memory."""

    def __init__(self, nav: str = "nav.html") -> None:
        """Read the files. `nav` is the file with the links to all pages."""
        paths = [*FOLDER.iterdir(), FONT]
        self._files = {path.name: path.read_bytes() for path in paths if path.suffix in TYPES}
        self._files["nav.html"] = self._files[nav]
        self._tags = {
            name: f'"{hashlib.sha256(data).hexdigest()[:16]}"' for name, data in self._files.items()
        }

    def page(self, name: str, words: Mapping[str, str], more: object = None) -> str:
        """Return the HTML of a page.

        `{{key}}` is replaced by words, `{{table}}` by `more` as JSON, and `{{>NAME}}` by another file.
        """
        table = json.dumps(more, ensure_ascii=False).replace("<", "\\u003c")  # it must not end the element
        texts = {key: escape(word) for key, word in words.items()} | {"table": table}
        texts.setdefault("root", "")  # the way from the page to the first folder, such as `../`
        html = re.sub(r"{{>(.+?)}}", lambda found: self._files[found[1]].decode(), self._files[name].decode())
        return re.sub(r"{{(.+?)}}", lambda found: texts[found[1]], html)

    def file(self, name: str, known_tag: str | None) -> Response:
        """Return a file other than a page, or 304 if the browser's copy is current.

        Any other name gives 404.
        """
        data, suffix = self._files.get(name), Path(name).suffix
        if data is None or suffix == ".html":
            return Response(status_code=404)
        headers = {"ETag": self._tags[name], "Cache-Control": CACHED}
        if known_tag == self._tags[name]:
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=TYPES[suffix], headers=headers)


def add_page(router: APIRouter, static: Static, path: str, name: str) -> None:
    """Add the route of one of the operator's pages, in the reader's language."""

    def page(request: Request, language: Language) -> Response:
        words = page_words(language)
        answer = HTMLResponse(static.page(name, {**words, **tags(language)}, words))
        remember_language(request, answer)
        return answer

    router.add_api_route(path, page, include_in_schema=False)


def static_router(static: Static) -> APIRouter:
    """Build the route `/static/NAME`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/static/{name}")
    def file(name: str, request: Request) -> Response:
        return static.file(name, request.headers.get("if-none-match"))

    return router
