"""A page is one file that needs nothing beside it, is accessible, and shows hostile text as text."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from math import nan

import pandas as pd
import pytest
from jinja2 import UndefinedError

from falx.reporting.pages.rendering import mark, write_page
from falx.reporting.pages.run import write_report
from falx.statistics import Estimate

HOSTILE = "yes/<script>alert('1')</script> & \"more\".png"
DISCLAIMER = "Decision support for research, not a medical device."
ERRORS = "Every misclassified slice"


def test_hostile_names_stay_text(make_report, make_evaluation, written):
    paths = [*(f"{row}.png" for row in range(37)), HOSTILE]
    report = make_report(
        make_evaluation(37, 38, columns={"path": paths}),
        record={"title": HOSTILE, "arguments": [HOSTILE]},
    )
    page = written(report)
    assert not page.all("script")
    assert HOSTILE in page.table(ERRORS)
    assert page.preformatted[1] == report.record.command
    assert "<script>" in page.preformatted[1]


def test_a_name_that_is_not_unicode_does_not_stop_it(make_report, make_evaluation, written):
    # Only as an object: Arrow, which pandas keeps text in, refuses it.
    paths = pd.Series([*(f"{row}.png" for row in range(37)), "yes/\udcff.png"], dtype=object)
    page = written(make_report(make_evaluation(37, 38, columns={"path": paths})))
    assert "yes/?.png" in page.table(ERRORS)


def test_nothing_beside_the_file_is_needed(report, written, tmp_path):
    page = written(report)
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object"}
        for name in ("src", "href", "srcset", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    source = (tmp_path / "report.html").read_text("utf-8")
    assert "url(" not in source
    assert "@import" not in source
    assert "default-src 'none'" in source
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "roc.png"]


def test_the_page_is_accessible(make_report, make_evaluation, written):
    columns = {"patient": [f"p{row // 4}" for row in range(38)]}
    page = written(
        make_report(
            make_evaluation(34, 38, columns=columns), random_split=make_evaluation(36, 38, leaked=5)
        )
    )
    assert "By study" in page.text
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(page.all("caption")) == len(page.all("table")) > 5
    assert {cell["scope"] for cell in page.all("th")} == {"row", "col"}
    assert page.all("svg")
    assert all(mark["aria-label"] for mark in page.all("svg"))
    links = {link["href"].removeprefix("#") for link in page.all("a")}
    assert len(links) > 5
    assert links <= {attributes.get("id") for _, attributes in page.tags}


def test_it_is_no_medical_device_and_says_so_once(report, written):
    assert written(report).text.count(DISCLAIMER) == 1


def test_intervals_are_drawn_to_scale(report, written):
    accuracy = report.scores.estimates["accuracy"]
    page = written(report)
    reach = next(line for line in page.all("line") if line["class"] == "reach")
    assert float(reach["x1"].rstrip("%")) == pytest.approx(100 * accuracy.low, abs=0.01)
    assert float(reach["x2"].rstrip("%")) == pytest.approx(100 * accuracy.high, abs=0.01)
    assert float(page.all("circle")[0]["cx"].rstrip("%")) == pytest.approx(
        100 * accuracy.value, abs=0.01
    )


def test_the_same_report_gives_the_same_bytes(report, tmp_path):
    again = replace(report, run=replace(report.run))
    for name, each in (("a.html", report), ("b.html", again)):
        write_report(each, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


@pytest.mark.parametrize(
    "estimate", [Estimate(nan, nan, nan), Estimate(0.5, nan, nan), Estimate(1.2, 1.1, 1.3)]
)
def test_what_is_undefined_or_off_the_scale_has_no_mark(estimate):
    assert mark(estimate) is None


def test_a_mark_lies_at_percentages_of_the_width_and_is_described():
    drawn = mark(Estimate(0.9, 0.8, 1.0))
    assert (drawn.value, drawn.low, drawn.high) == (90, 80, 100)
    assert drawn.words == ("0.900, 95 % confidence interval 0.800 to 1.000, on a scale from 0 to 1")


def test_a_page_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("old")
    with pytest.raises(UndefinedError, match="'record' is undefined"):
        write_page(path, "report.html.j2")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
