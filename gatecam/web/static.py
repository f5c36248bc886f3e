"""The files of the pages, read once, served by their exact names and nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fastapi import APIRouter, Request, Response

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
    """All files in memory."""

    def __init__(self) -> None:
        paths = [*FOLDER.iterdir(), FONT]
        self._files = {path.name: path.read_bytes() for path in paths if path.suffix in TYPES}
        self._tags = {
            name: f'"{hashlib.sha256(data).hexdigest()[:16]}"' for name, data in self._files.items()
        }

    def page(self, name: str) -> Response:
        """A page, which browsers do not keep."""
        return Response(self._files[name], media_type=TYPES[".html"])

    def text(self, name: str) -> str:
        """A page's text, for who fills it in."""
        return self._files[name].decode()

    def file(self, name: str, known_tag: str | None) -> Response:
        """A file that is no page, or that it has not changed; 404 for any other name."""
        data, suffix = self._files.get(name), Path(name).suffix
        if data is None or suffix == ".html":
            return Response(status_code=404)
        headers = {"ETag": self._tags[name], "Cache-Control": CACHED}
        if known_tag == self._tags[name]:
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=TYPES[suffix], headers=headers)


def static_router(static: Static) -> APIRouter:
    """The route `/static/NAME`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/static/{name}")
    def file(name: str, request: Request) -> Response:
        return static.file(name, request.headers.get("if-none-match"))

    return router
