"""A model card in words and in rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from falx.reporting.card.model_card import model_card
from falx.reporting.pages.rendering import fill


@pytest.fixture(scope="session")
def markdown() -> Callable[..., str]:
    """A function that writes the card of a report as Markdown, with plain blanks."""

    def write(report) -> str:
        return fill("document.md.j2", document=model_card(report)).replace(
            "\N{NARROW NO-BREAK SPACE}", " "
        )

    return write


@pytest.fixture(scope="session")
def row() -> Callable[[str, str], list[str]]:
    """A function that gives the cells of the first table row that starts so."""

    def find(text, start):
        (found, *_) = [line for line in text.splitlines() if line.startswith(f"| {start} |")]
        return [cell.strip() for cell in found.strip("|").split(" | ")][1:]

    return find
