"""Text that Markdown shows as it is."""

from __future__ import annotations

import re


def markdown(text: str) -> str:
    """Text that Markdown, in a table too, shows as it is (CommonMark 0.31, 2.4)."""
    return re.sub(r"[\\`*_\[\]<>|~$]|&(?=[#\w])", r"\\\g<0>", _on_one_line(text))


def markdown_code(text: str, *, in_table: bool = False) -> str:
    """Text in a code span, behind more backticks than it holds.

    In a table a bar needs a backslash even there, else it must have none (GitHub Flavored Markdown,
    4.10).
    """
    plain = _on_one_line(text)
    plain = plain.replace("|", r"\|") if in_table else plain
    fence = "`" * (_longest_run(plain) + 1)
    space = " " if "`" in plain else ""
    return f"{fence}{space}{plain}{space}{fence}"


def markdown_listing(text: str) -> str:
    """Text in a code block, behind longer fences than it holds."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"


def _on_one_line(text: str) -> str:
    return " ".join(text.split("\n")).replace("\r", " ")


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
