"""HTML by which results show themselves in a notebook: small, without styles of their own."""

from __future__ import annotations

import base64
import webbrowser
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path


@dataclass(frozen=True)
class Page:
    """An HTML page that lies in a file; a notebook shows it where it is the value of a cell."""

    path: Path

    def open(self) -> None:
        """Open it in the browser."""
        webbrowser.open(self.path.absolute().as_uri())

    def __fspath__(self) -> str:
        return str(self.path)

    def _repr_html_(self) -> str:
        if not self.path.is_file():
            return sentence(f"There is no page {self.path}; the run was moved or is unfinished.")
        page = escape(self.path.read_text("utf-8"), quote=True)
        return f'<iframe srcdoc="{page}" style="width:100%;height:40em;border:0"></iframe>'


def block(heading: str, *parts: str) -> str:
    """A heading, and below it what is HTML already; empty parts are left out."""
    return f"<div><p><strong>{_escaped(heading)}</strong></p>{''.join(filter(None, parts))}</div>"


def sentence(text: str) -> str:
    """A paragraph of plain text; "" for none."""
    return f"<p>{_escaped(text)}</p>" if text else ""


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of plain text; "" without rows."""
    body = "".join(_row("td", row) for row in rows)
    if not body:
        return ""
    return f"<table><thead>{_row('th', headings)}</thead><tbody>{body}</tbody></table>"


def picture(png: bytes, text: str) -> str:
    """A PNG file inside the page, with the text that stands for it."""
    data = base64.b64encode(png).decode()
    style = "max-width:min(100%,40em)"
    return f'<img src="data:image/png;base64,{data}" alt="{escape(text)}" style="{style}">'


def _row(cell: str, values: Sequence[object]) -> str:
    cells = "".join(f"<{cell}>{_escaped(value)}</{cell}>" for value in values)
    return f"<tr>{cells}</tr>"


def _escaped(value: object) -> str:
    """Plain text as HTML; what is not valid Unicode, as in some file names, is spelled out."""
    return escape(str(value).encode("utf-8", "backslashreplace").decode())
