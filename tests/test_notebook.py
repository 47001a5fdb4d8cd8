"""Pieces of HTML: text is escaped, and what is empty is left out."""

import base64
import os
import webbrowser

from falx.notebook import Page, block, picture, sentence, table


def test_a_block_escapes_its_heading_and_not_its_parts():
    assert block("a < b", "<p>c</p>", "", "<p>d</p>") == (
        "<div><p><strong>a &lt; b</strong></p><p>c</p><p>d</p></div>"
    )


def test_a_sentence_is_a_paragraph_or_nothing():
    assert sentence("a & b") == "<p>a &amp; b</p>"
    assert sentence("") == ""


def test_a_table_has_a_row_each_and_nothing_without_rows():
    assert table(("n",), [["<b>"], [2]]) == (
        "<table><thead><tr><th>n</th></tr></thead>"
        "<tbody><tr><td>&lt;b&gt;</td></tr><tr><td>2</td></tr></tbody></table>"
    )
    assert table(("n",), []) == ""


def test_a_picture_lies_in_the_page():
    html = picture(b"\x89PNG", 'a "quoted" text')
    assert base64.b64encode(b"\x89PNG").decode() in html
    assert html.startswith('<img src="data:image/png;base64,')
    assert 'alt="a &quot;quoted&quot; text"' in html


def test_a_page_opens_in_the_browser_and_shows_itself_in_a_frame(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.html").write_text('<p class="a">é</p>', "utf-8")
    page = Page((tmp_path / "report.html").relative_to(tmp_path))
    page.open()
    assert opened == [(tmp_path / "report.html").as_uri()]
    assert 'srcdoc="&lt;p class=&quot;a&quot;&gt;é&lt;/p&gt;"' in page._repr_html_()
    assert os.fspath(page) == "report.html"
