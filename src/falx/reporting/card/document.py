"""A document as plain data, written as Markdown and as HTML, so that both say the same.

A document is sections, a section is blocks, a block is lines, and a line is spans of text. Two
templates walk through them; what is shown is decided before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from falx.errors import BadInput
from falx.reporting.pages.rendering import fill
from falx.serialization import write_whole

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Span:
    """A stretch of text of one kind.

    Attributes:
        kind: "code" for literal text; "aside" for what is less important; "open" for what a person
            must fill in; "link" for the title of a section.
    """

    text: str
    kind: Literal["text", "code", "aside", "open", "link"] = "text"

    @property
    def anchor(self) -> str:
        """The anchor of the section that a link names."""
        return anchor(self.text)


Line = tuple[Span, ...]


def line(*parts: str | Span) -> Line:
    """A line of spans, strings being plain text."""
    return tuple(Span(part) if isinstance(part, str) else part for part in parts)


def code(text: str) -> Span:
    """Literal text: a path, a hash, a command."""
    return Span(text, "code")


def aside(text: str) -> Span:
    """Less important than what it follows, such as the interval of a number."""
    return Span(text, "aside")


def to_fill_in(what: str) -> Line:
    """A gap that falx can't fill, and a person must."""
    return (Span("To be filled in", "open"), Span(f" {what}"))


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    line: Line
    kind: Literal["paragraph"] = "paragraph"


@dataclass(frozen=True)
class Bullets:
    """A list with bullets."""

    lines: tuple[Line, ...]
    kind: Literal["bullets"] = "bullets"


@dataclass(frozen=True)
class Table:
    """A table with a caption and a head.

    Attributes:
        rows: as many lines each as `head` has names.
        counts: numbers of the columns that hold counts, which are aligned right.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    counts: tuple[int, ...] = ()
    kind: Literal["table"] = "table"

    def __post_init__(self) -> None:
        if any(len(row) != len(self.head) for row in self.rows):
            raise ValueError(f"Every row of '{self.caption}' must have {len(self.head)} cells.")


@dataclass(frozen=True)
class Listing:
    """Preformatted text."""

    text: str
    kind: Literal["listing"] = "listing"


Block = Paragraph | Bullets | Table | Listing


@dataclass(frozen=True)
class Section:
    """Blocks under a title of letters and spaces, which no other section has."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def anchor(self) -> str:
        """Its name in links, the same that Markdown renderers derive from its heading."""
        return anchor(self.title)


@dataclass(frozen=True)
class Document:
    """The content of a file.

    Attributes:
        kind: such as "model card".
        lede: the first sentence.
        state: of the notice: "fine", "look" or "act".
        notice: its heading and its text.
    """

    kind: str
    title: str
    lede: str
    state: str
    notice: tuple[str, str]
    sections: tuple[Section, ...]


def anchor(title: str) -> str:
    """The name of a section within its document."""
    return title.lower().replace(" ", "-")


def write_document(document: Document, folder: Path, name: str) -> tuple[Path, Path]:
    """Write `<name>.md` and `<name>.html`, each whole or not at all.

    Raises:
        BadInput: one exists with other content, for example filled in by a person.
    """
    pages = {
        folder / f"{name}.{suffix}": fill(f"document.{suffix}.j2", document=document)
        for suffix in ("md", "html")
    }
    for path, page in pages.items():
        if path.exists() and path.read_text("utf-8", "replace") != page:
            raise BadInput(
                f"'{path}' exists with other content; it may have been filled in by hand: name "
                "another folder with --out, or remove it."
            )
    for path, page in pages.items():
        write_whole(path, page)
    markdown, html = pages
    return markdown, html
