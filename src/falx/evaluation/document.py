"""A document as plain data, written as Markdown and as HTML, so that both say the same.

A document is sections, a section is blocks, a block is lines, and a line is spans of text. Two
templates walk through them; what is shown is decided before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from falx.errors import BadInput
from falx.evaluation.templates import fill, write_whole

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Span:
    """A stretch of text of one kind.

    Attributes:
        kind: "code" for what is to be taken by the letter; "aside" for what is less important;
            "open" for what a person must fill in; "link" for the title of a section.
    """

    text: str
    kind: Literal["text", "code", "aside", "open", "link"] = "text"

    @property
    def anchor(self) -> str:
        """Of the section that a link names."""
        return anchor(self.text)


Line = tuple[Span, ...]


def line(*parts: str | Span) -> Line:
    """A line of spans, strings being plain text."""
    return tuple(Span(part) if isinstance(part, str) else part for part in parts)


def code(text: str) -> Span:
    """Text to be taken by the letter: a path, a hash, a command."""
    return Span(text, "code")


def aside(text: str) -> Span:
    """What is less important than what it follows, as the interval of a number."""
    return Span(text, "aside")


def to_fill_in(what: str) -> Line:
    """What falx can't know, and a person must write."""
    return (Span("To be filled in", "open"), Span(f" {what}"))


@dataclass(frozen=True)
class Paragraph:
    """One line that runs on."""

    line: Line
    kind: Literal["paragraph"] = "paragraph"


@dataclass(frozen=True)
class Bullets:
    """Lines that stand below one another."""

    lines: tuple[Line, ...]
    kind: Literal["bullets"] = "bullets"


@dataclass(frozen=True)
class Table:
    """Rows under a head, with what they are about above.

    Attributes:
        rows: as many lines each as `head` has names.
        counts: columns, by number, that hold counts and are set right.
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
    """Text in which every space counts."""

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
        """What an address names it by; what renderers of Markdown make of its heading, too."""
        return anchor(self.title)


@dataclass(frozen=True)
class Document:
    """What a file says.

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
        BadInput: one is there and says something else, as when a person has filled it in.
    """
    pages = {
        folder / f"{name}.{suffix}": fill(f"document.{suffix}.j2", document=document)
        for suffix in ("md", "html")
    }
    for path, page in pages.items():
        if path.exists() and path.read_text("utf-8", "replace") != page:
            raise BadInput(
                f"'{path}' is there and says something else; it may have been filled in by hand: "
                "name another folder with --out, or remove it."
            )
    for path, page in pages.items():
        write_whole(path, page)
    markdown, html = pages
    return markdown, html
