"""Write one HTML file with text, tables and embedded pictures, which needs no network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from gatecam.runtime.files import write_output

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
.wide { overflow-x: auto }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #8886; text-align: right }
th:first-child, td:first-child { text-align: left }
img { max-width: 100% }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: 1rem }
figure { margin: 0 } figcaption { font-size: .8rem; overflow-wrap: anywhere }
"""


class Page:
    """Builds a page from top to bottom and escapes all text."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts: list[str] = [f"<h1>{escape(title)}</h1>"]

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{escape(text)}</p>")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Add a table. On a narrow screen the table scrolls by itself, not the whole page."""
        head = "".join(f"<th>{escape(name)}</th>" for name in header)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        self._parts.append(f'<div class="wide" tabindex="0">{table}</div>')  # so that keys scroll it too

    def picture(self, data: bytes, alt: str) -> None:
        """Add a picture (PNG or JPEG bytes) with a description as alternative text."""
        self._parts.append(_image(data, alt))

    def svg(self, drawing: str) -> None:
        """Add a drawing. The `<svg>` element is not escaped."""
        self._parts.append(f"<figure>{drawing}</figure>")

    def grid(self, pictures: Iterable[tuple[bytes, str]]) -> None:
        """Add small pictures side by side, each with its caption."""
        cells = (
            f"<figure>{_image(data, text)}<figcaption>{escape(text)}</figcaption></figure>"
            for data, text in pictures
        )
        self._parts.append(f'<div class="grid">{"".join(cells)}</div>')

    def write(self, path: Path) -> None:
        """Write the page. The file is replaced at once, so no reader sees half of it.

        Raises:
            OutputError: the file cannot be written.
        """
        html = (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(self._title)}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
            f"<body>{''.join(self._parts)}</body></html>"
        )
        write_output(path, html)


def _image(data: bytes, alt: str) -> str:
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f'<img alt="{escape(alt)}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'
