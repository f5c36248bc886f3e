"""Write one HTML file with text, tables and embedded pictures, which needs no network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
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
.prose :is(th, td) { text-align: left; vertical-align: top; min-width: 8rem; overflow-wrap: anywhere }
img { max-width: 100% }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: 1rem }
:lang(ko) { word-break: keep-all; overflow-wrap: break-word }
tbody th { font-weight: normal } input + label { margin-right: 1rem }
figure { margin: 0 } figcaption { font-size: .8rem; overflow-wrap: anywhere }
@media (max-width: 30rem) { th, td { padding: .25rem .4rem } }
"""
# Choose the language: the one chosen last time, or else the one that the browser prefers.
_SCRIPT = """
const choices = [...document.getElementsByName("language")], KEPT = "gatecam-language";
let kept = null;
try { kept = localStorage.getItem(KEPT); } catch { /* the browser keeps nothing for files */ }
function choose(tag) {
  const choice = choices.find((one) => tag.startsWith(one.id));
  if (choice) { choice.checked = true; document.documentElement.lang = choice.id; }
  return choice;
}
for (const one of choices) one.onchange = () => {
  choose(one.id);
  try { localStorage.setItem(KEPT, one.id); } catch { /* as above */ }
};
[kept, ...navigator.languages].some((tag) => tag && choose(tag));
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

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]], is_prose: bool = False) -> None:
        """Add a table of numbers, or of words with `is_prose`.

        On a narrow screen the table scrolls by itself, not the whole page. Words are broken before that.
        """
        kind = "wide prose" if is_prose else "wide"
        # A part that has the focus can be scrolled by keys.
        self._parts.append(f'<div class="{kind}" tabindex="0">{table(header, rows)}</div>')

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

    def html(self) -> str:
        """Return what has been added, without the head of a file."""
        return "".join(self._parts)

    def write(self, path: Path) -> None:
        """Write the page in English. The file is replaced at once, so no reader sees half of it.

        Raises:
            OutputError: the file cannot be written.
        """
        write_output(path, _file(self._title, "", self.html()))


def write_languages(path: Path, title: str, pages: Mapping[str, tuple[str, Page]]) -> None:
    """Write one page in several languages into one file, with a switch that works without scripts.

    Args:
        path: the file.
        title: the title in every language.
        pages: the name of each language and its page, by tag. The first is shown without scripts.

    Raises:
        OutputError: the file cannot be written.
    """
    switch, body, hidden = "", "", ""
    for tag, (name, page) in pages.items():
        checked = "" if switch else " checked"
        switch += f'<input type="radio" name="language" id="{tag}"{checked}>'
        switch += f'<label for="{tag}" lang="{tag}">{escape(name)}</label>'
        body += f'<main lang="{tag}">{page.html()}</main>'
        hidden += f"#{tag}:not(:checked) ~ main:lang({tag}) {{ display: none }}\n"
    write_output(path, _file(title, hidden, f"{switch}{body}<script>{_SCRIPT}</script>"))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a `<table>` element. The first cell of a row is its label."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(
        f'<tr><th scope="row">{escape(str(label))}</th>'
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
        + "</tr>"
        for label, *cells in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _file(title: str, style: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}{style}</style></head>'
        f"<body>{body}</body></html>"
    )


def _image(data: bytes, alt: str) -> str:
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f'<img alt="{escape(alt)}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'
