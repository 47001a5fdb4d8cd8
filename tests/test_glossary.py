"""One word for one thing: sources, documents, help and headings keep to the glossary."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.main import get_command

from falx.cli import app
from falx.evaluation.weighted_metrics import METRIC_NAMES

ROOT = Path(__file__).parents[1]
GLOSSARY = ROOT / "docs" / "glossary.md"
PLAIN = {
    # Headings in plain English, which need no definition.
    "by class", "by fold", "by patient", "by source", "by study", "classes and shortcuts", "data and audit", "figures",
    "heat maps", "limitations", "next steps", "performance", "reproducibility", "summary",
    "groups", "unusable files", "usable slices of each class",
    "what predicts the class without the brain",
}  # fmt: skip


@dataclass(frozen=True)
class Term:
    name: str
    meaning: str
    avoided: tuple[str, ...]


def terms() -> list[Term]:
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in GLOSSARY.read_text("utf-8").splitlines()
        if line.startswith("| ")
    ]
    return [
        Term(name, meaning, tuple(filter(None, (word.strip() for word in avoided.split(";")))))
        for name, meaning, _, avoided in rows[2:]
    ]


def headings() -> list[str]:
    """Headings of the report, the audit page and the model card."""
    reporting = ROOT / "src" / "falx" / "reporting"
    found = []
    for page in (reporting / "pages" / "templates").glob("*.html.j2"):
        found += re.findall(r"<h[23]>([^<{]+)</h[23]>", page.read_text("utf-8"))
    return found


def texts() -> dict[str, str]:
    """Everything that falx says: sources, documents, help."""
    files = [
        *(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.j2"),
        *(ROOT / "src").rglob("*.yaml"), *(ROOT / "src" / "falx" / "exporting" / "page").glob("*"),
        *(path for path in (ROOT / "docs").rglob("*.md") if path != GLOSSARY), ROOT / "README.md",
        *(ROOT / "benchmarks").glob("*.py"), ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", ROOT / "CITATION.cff",
    ]  # fmt: skip
    said = {str(file.relative_to(ROOT)): file.read_text("utf-8") for file in files}
    for name, command in get_command(app).commands.items():
        said[f"falx {name} --help"] = command.get_help(
            command.make_context(name, [], resilient_parsing=True)
        )
    return said


def test_each_term_is_defined_once_and_in_order():
    names = [term.name.lower() for term in terms()]
    assert len(names) > 60
    assert names == sorted(set(names), key=lambda name: name.replace("-", " "))
    assert all(term.meaning.endswith(".") for term in terms())


@pytest.mark.parametrize(
    ("word", "term"), [(word, term.name) for term in terms() for word in term.avoided]
)
def test_a_word_that_the_glossary_replaces_stands_nowhere(word, term):
    pattern = re.compile(rf"(?<![\w-]){re.escape(word)}(?!\w)", re.IGNORECASE)
    found = [place for place, text in texts().items() if pattern.search(text)]
    assert not found, f"'{word}' should be '{term}'"


@pytest.mark.parametrize("heading", sorted(set(headings())))
def test_a_heading_is_a_term_or_plain_english(heading):
    known = {word.strip().lower() for term in terms() for word in term.name.split(",")}
    words = heading.strip().lower()
    assert words in PLAIN or any(re.search(rf"\b{re.escape(name)}", words) for name in known)


@pytest.mark.parametrize("metric", METRIC_NAMES.values())
def test_every_metric_is_defined(metric):
    assert metric.lower() in {term.name.lower() for term in terms()}
