"""A document says the same as Markdown and as HTML, whatever is in its text."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from falx.errors import BadInput
from falx.reporting.card.document import (
    Bullets,
    Document,
    Listing,
    Paragraph,
    Section,
    Span,
    Table,
    aside,
    code,
    line,
    to_fill_in,
    write_document,
)
from falx.reporting.pages.rendering import fill

HOSTILE = "yes/<script>alert(1)</script> | `a``b` \\ *x* _y_ [z](#q) &lt; $1$ ~~s~~.png"


class Text(HTMLParser):
    """What a reader sees of some elements, one entry each."""

    def __init__(self, *tags):
        super().__init__()
        self.wanted, self.open, self.found = tags, [], []

    def handle_starttag(self, tag, attrs):
        if tag in self.wanted:
            self.open.append(tag)
            self.found.append("")

    def handle_endtag(self, tag):
        if self.open and tag == self.open[-1]:
            self.open.pop()

    def handle_data(self, data):
        if self.open:
            self.found[-1] += data


def texts_in(page, *tags):
    reader = Text(*tags)
    reader.feed(page)
    return [" ".join(text.split()) for text in reader.found]


def rendered(document):
    """The document's HTML, and what a renderer of GitHub's Markdown makes of the other."""
    html = fill("document.html.j2", document=document)
    markdown = MarkdownIt("commonmark").enable("table")
    return html[html.index("<main") :], markdown.render(fill("document.md.j2", document=document))


def document(*blocks, title="lite on data"):
    notice = ("All is well.", "Nothing to see.")
    return Document("model card", title, "Some words.", "fine", notice, (Section("One", blocks),))


def test_every_kind_of_block_is_in_both():
    html, markdown = rendered(
        document(
            Paragraph(line("See ", Span("One", "link"), ", and ", code("a.png"), ".")),
            Bullets((line("first"), to_fill_in("a name."))),
            Table("What is here.", ("Name", "n"), ((line("x"), line("3")),), (1,)),
            Listing("falx train data\n  --seed 0"),
            Paragraph(line("The end.")),
        )
    )
    for page in (html, markdown):
        assert texts_in(page, "h2") == ["One"]
        assert texts_in(page, "a") == ["One"]
        assert 'href="#one"' in page
        assert texts_in(page, "th")[:2] == ["Name", "n"]
        assert "The end." in texts_in(page, "p")
        assert "falx train data\n  --seed 0" in page
    assert texts_in(html, "li") == ["first", "To be filled in a name."]
    assert texts_in(markdown, "li") == ["first", "To be filled in: a name."]
    assert texts_in(html, "th", "td") == ["Name", "n", "x", "3"] == texts_in(markdown, "th", "td")


@pytest.mark.parametrize("span", [Span(HOSTILE), code(HOSTILE)], ids=["text", "code"])
def test_hostile_text_stays_text(span):
    html, markdown = rendered(
        document(
            Paragraph(line("It is ", span, " indeed.")),
            Bullets((line(span),)),
            Table("Files.", ("File", "n"), ((line("first"), line(span)),)),
        )
    )
    for page in (html, markdown):
        assert "<script>" not in page
        assert f"It is {HOSTILE} indeed." in texts_in(page, "p")
        assert texts_in(page, "li") == [HOSTILE]
        assert texts_in(page, "td")[-1] == HOSTILE


PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)


@given(PRINTABLE, PRINTABLE)
def test_cells_hold_any_text_unaltered(text, letters):
    row = (line("name ", text), line(code(letters)))
    html, markdown = rendered(document(Table("Any.", ("Text", "Code"), (row,))))
    for page in (html, markdown):
        cells = texts_in(page, "th", "td")
        assert cells[2:] == [f"name {text}", letters]


def test_an_interval_stands_in_brackets_where_there_is_no_small_print():
    cell = line("0.900", aside("0.800 to 1.000"))
    html, markdown = rendered(document(Table("N.", ("a", "b"), ((line("x"), cell),))))
    assert "<td>0.900<small>0.800 to 1.000</small></td>" in html
    assert texts_in(markdown, "td")[-1] == "0.900 (0.800 to 1.000)"


def test_a_code_block_ends_at_no_fence_in_it():
    text = "a\n```\n# no heading\n````\nb"
    _, markdown = rendered(document(Listing(text), Paragraph(line("after"))))
    assert text in markdown
    assert texts_in(markdown, "h2") == ["One"]


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="must have 2 cells"):
        Table("N.", ("a", "b"), ((line("x"),),))


def test_both_files_are_written_and_nothing_else(tmp_path):
    one = document(Paragraph(line("text")))
    markdown, html = write_document(one, tmp_path / "new", "card")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"card.md", "card.html"}
    before = markdown.read_bytes(), html.read_bytes()
    write_document(one, tmp_path / "new", "card")
    assert (markdown.read_bytes(), html.read_bytes()) == before


def test_what_a_person_has_filled_in_is_not_overwritten(tmp_path):
    one = document(Bullets((to_fill_in("who."),)))
    markdown, _ = write_document(one, tmp_path, "card")
    filled = re.sub(r"\*\*To be filled in:\*\* who\.", "Ada.", markdown.read_text())
    markdown.write_text(filled)
    with pytest.raises(BadInput, match="filled in by hand"):
        write_document(one, tmp_path, "card")
    assert markdown.read_text() == filled


def test_a_name_that_is_not_unicode_does_not_stop_it(tmp_path):
    markdown, html = write_document(
        document(Paragraph(line(code("caf\udce9.png")))), tmp_path, "card"
    )
    assert "`caf?.png`" in markdown.read_text("utf-8")
    assert "<code>caf?.png</code>" in html.read_text("utf-8")
