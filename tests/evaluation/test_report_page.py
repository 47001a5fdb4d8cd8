"""A report must say what its numbers say, no more, and need nothing beside it."""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml

from falx.data.audit import Audit
from falx.data.catalog import Catalog
from falx.data.foreign import Foreign
from falx.data.label_check import Doubt, LabelCheck
from falx.data.shortcuts import Shortcut
from falx.detect.rules import Rules
from falx.evaluation import report_page as module
from falx.evaluation.intervals import Estimate, wilson_interval
from falx.evaluation.metrics import Scores, score
from falx.evaluation.report import Figure, Mistake, PartCounts, Report
from falx.evaluation.report_page import write_report
from falx.evaluation.trust import SliceRules, Trust, score_trust
from falx.evaluation.weighted import METRICS
from falx.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from pathlib import Path

TWO, FOUR = ("no", "yes"), ("glioma", "meningioma", "notumor", "pituitary")
HOSTILE = "yes/<script>alert('1')</script> & \"more\".png"
DISCLAIMER = "Decision support for research, not a medical device."


@dataclass
class Page(HTMLParser):
    """What a reader sees: text, tables by caption, and the tags with their attributes."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    preformatted: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)
    _caption: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in {"meta", "img", "br"}:
            self._open.append(tag)
        if tag == "pre":
            self.preformatted.append("")
        if tag == "caption":
            self._caption = ""
        if tag == "tr":
            self.tables.setdefault(plain(self._caption), []).append([])
        if tag in {"td", "th"}:
            list(self.tables.values())[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, "tags must nest"

    def handle_data(self, data: str) -> None:
        if {"style", "title"} & set(self._open):
            return
        self.words.append(data)
        if "pre" in self._open:
            self.preformatted[-1] += data
        if "caption" in self._open:
            self._caption += data
        elif {"td", "th"} & set(self._open):
            cell = list(self.tables.values())[-1][-1]
            cell[-1] = plain(f"{cell[-1]} {data}")

    @property
    def text(self) -> str:
        return plain(" ".join(self.words))

    def table(self, start: str) -> dict[str, list[str]]:
        """The rows of the table whose caption starts so, by the first words of their first cell."""
        found = [rows for caption, rows in self.tables.items() if caption.startswith(start)]
        assert len(found) == 1
        return {row[0]: row[1:] for row in found[0]}

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def plain(text: str) -> str:
    return " ".join(text.replace("\N{NARROW NO-BREAK SPACE}", " ").split())


def scored(
    right: int, of: int, classes: tuple[str, ...] = TWO, groups: int | None = None
) -> Scores:
    """Scores of `of` slices, the classes in turn, the first `right` of them called right."""
    labels = np.arange(of) % len(classes)
    given = np.where(np.arange(of) < right, labels, (labels + 1) % len(classes))
    rng = np.random.default_rng(0)
    p = rng.uniform(0, 0.2, size=(of, len(classes))) + np.eye(len(classes))[given]
    p /= p.sum(axis=1, keepdims=True)
    return score(labels, p, np.arange(of) % (groups or of), classes, resamples=200)


def audited(root: Path, **changes: Any) -> Audit:
    """An audit of twelve slices, six of each class, with nothing wrong but what is asked for."""
    table = pd.DataFrame(
        {
            "path": [f"{name}/{i}.png" for name in TWO for i in range(6)],
            "label": np.repeat(TWO, 6),
            "index": 0,
            "patient": [f"p{i}" for i in range(12)],
            "problem": "",
            "group": np.arange(12),
        }
    )
    table["patient"] = changes.pop("patient", table["patient"])
    found = Audit(Catalog(root, TWO, table), {"no": 6, "yes": 6}, (), (), (), 12, (), (), (), ())
    return replace(found, **changes)


def trusted() -> Trust:
    """Eight of ten slices of each class found possible, one in ten referred, none refused."""
    labels = np.arange(20) % 2
    certain = np.array([0.9] * 16 + [0.5] * 2 + [0.05] * 2)
    chances = np.where(labels[:, None] == [0, 1], certain[:, None], 1 - certain[:, None])
    rules = SliceRules.of([Rules(temperature=2.0, inclusion=0.4, limit=3.0)] * 20)
    return score_trust(
        labels,
        [chances],
        [np.ones(20)],
        np.arange(20),
        ("no", "yes"),
        [rules],
        score(labels, chances, np.arange(20), ("no", "yes")),
        error=0.1,
    )


@pytest.fixture
def made(tmp_path: Path) -> Report:
    """A report of a leak-free training: 34 of 38 test slices right."""
    picture = tmp_path / "roc.png"
    cv2.imwrite(str(picture), np.zeros((32, 48), np.uint8))
    return Report(
        title="paper on navoneel",
        audit=audited(tmp_path),
        recipe=load_recipe("paper"),
        scores=scored(34, 38, groups=30),
        trust=trusted(),
        split="leak-free 70/15/15",
        parts=(
            PartCounts("train", {"no": 68, "yes": 108}, 140),
            PartCounts("test", {"no": 19, "yes": 19}, 30),
        ),
        twins=0,
        blind=None,
        blind_twins=0,
        figures=(Figure("ROC", "Sensitivity against false alarms.", picture),),
        errors=(Mistake("yes/Y9.jpg", "yes", "no", 0.04), Mistake("no/N1.jpg", "no", "yes", 0.76)),
        parameters=10_286_913,
        seconds=192.4,
        environment={"python": "3.11.7", "seed": 7, "weights": {"name": "imagenet", "sha256": None},
                     "versions": {"keras": "3.12.0"}, "cpu_features": ["avx2", "amx_bf16"]},
        command="falx train navoneel --recipe paper --seed 7",
        next_steps=(("Classify images", "falx predict RUN IMAGE..."),),
    )  # fmt: skip


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(report: Report) -> Page:
        path = tmp_path / "report.html"
        write_report(report, path)
        page = Page()
        page.feed(path.read_text("utf-8"))
        page.close()
        return page

    return write


def test_headline_is_the_numbers_with_intervals_in_words(made: Report, written: Any) -> None:
    text = written(made).text
    headline = text[: text.index("The data, and what is wrong")]
    for metric in ("accuracy", "roc_auc", "log_loss"):
        found = made.scores.estimates[metric]
        span = f"{found.value:.2f} 95 % interval {found.low:.2f} to {found.high:.2f}"
        assert f"{METRICS[metric]} {span}" in headline
    (_, alarms), (missed, _) = made.scores.confusion.tolist()
    assert (
        f"34 of 38 test slices called right: of 19 “yes” it misses {missed}, "
        f"of 19 “no” it calls {alarms} “yes”." in headline
    )
    assert "Always answering “no” would be right in 50 %" in headline
    assert "it rests on 38 slices in 30 groups, too few to say more" in headline


def test_headline_has_the_digits_that_keep_its_numbers_apart(made: Report, written: Any) -> None:
    text = written(replace(made, scores=scored(999, 1000))).text
    assert "Accuracy 0.999 95 % interval 0.997 to 1.000" in text


def test_interval_that_holds_the_baseline_is_said_to(made: Report, written: Any) -> None:
    assert (
        "which the interval does not rule out" in written(replace(made, scores=scored(20, 38))).text
    )
    assert "rule out" not in written(made).text


def test_leak_free_split_says_so_and_warns_of_nothing(made: Report, written: Any) -> None:
    text = written(made).text
    assert "None of 38 test slices has a twin in training." in text
    assert "Not independent" not in text


@pytest.mark.parametrize(
    ("twins", "verb"), [(1, "1 of 38 test slices has"), (11, "11 of 38 test slices have")]
)
def test_twins_in_training_are_warned_of_before_the_numbers(
    made: Report, written: Any, twins: int, verb: str
) -> None:
    text = written(replace(made, twins=twins, split="random 70/15/15, blind to copies")).text
    warning = text.index(f"Not independent: {verb} a twin in training.")
    assert warning < text.index("Accuracy not independent 0.89")


def test_random_split_without_twins_is_called_luck(made: Report, written: Any) -> None:
    text = written(replace(made, split="random 70/15/15, blind to copies")).text
    assert "The split was random." in text
    assert "by luck" in text


def test_evaluation_has_no_split_and_speaks_of_another_dataset(made: Report, written: Any) -> None:
    page = written(replace(made, parts=(), split="all of msoud", parameters=0))
    assert "How they were split" not in page.text
    assert "This is another dataset than the one trained on" in page.text
    assert "None of 38 slices is known to have a twin in training." in page.text
    assert "parameters; trained" not in page.text


def test_every_estimate_stands_in_the_table_beside_the_paper(made: Report, written: Any) -> None:
    page = written(made)
    rows = page.table("Every estimate")
    assert rows["Metric"][:-1] == [
        "This report leak-free 70/15/15, n = 38", "The paper as published, n = 32"
    ]  # fmt: skip
    for metric, name in METRICS.items():
        found = made.scores.estimates[metric]
        own = next(cells for first, cells in rows.items() if first.startswith(f"{name} "))[0]
        assert own == f"{found.value:.3f} {found.low:.3f} to {found.high:.3f}".replace("-", "−")
    published = {first: cells[1] for first, cells in rows.items()}
    paper = wilson_interval(29, 32)
    assert published["Accuracy share of slices called right"] == (
        f"0.9062 {paper.low:.3f} to {paper.high:.3f}"
    )
    assert published["ROC AUC 0.5 is a coin toss, 1 is perfect order"] == "0.9909"
    assert published["Log loss lower is better"] == "0.2775"
    assert sum(cell == "–" for cell in published.values()) == len(METRICS) - 3
    assert "29 of 32 right, from which 76 % to 97 % follows by Wilson's score interval" in page.text


def test_several_classes_have_no_paper_and_a_row_each(made: Report, written: Any) -> None:
    scores = scored(50, 60, FOUR)
    page = written(replace(made, scores=scores))
    assert "The paper" not in page.text
    assert "50 of 60 test slices called right, in 4 classes." in page.text
    rows = page.table("Support is the number")
    for name in FOUR:
        found = [
            f"{e.value:.3f} {e.low:.3f} to {e.high:.3f}" for e in scores.by_class[name].values()
        ]
        assert rows[name] == [*found, "15"]


def test_random_split_stands_beside_with_what_copies_are_worth(made: Report, written: Any) -> None:
    blind = scored(37, 38)
    page = written(replace(made, blind=blind, blind_twins=11))
    cells = page.table("Every estimate")["Accuracy share of slices called right"]
    assert [cell.split()[0] for cell in cells[:3]] == ["0.895", "0.974", "+0.079"]
    assert "11 of 38 test slices have a twin in training" in page.text
    assert "0.079 more than here. The intervals overlap" in page.text


def test_no_gain_from_a_random_split_is_not_called_one(made: Report, written: Any) -> None:
    text = written(replace(made, blind=scored(32, 38), blind_twins=11)).text
    assert "that is no gain (−0.053)" in text
    assert "are worth" not in text


def test_intervals_far_apart_leave_no_room_for_chance(made: Report, written: Any) -> None:
    text = written(replace(made, scores=scored(600, 1000), blind=scored(990, 1000))).text
    assert "0.390 more than here." in text
    assert "overlap" not in text


def test_what_is_undefined_is_a_dash(made: Report, written: Any) -> None:
    one_class = score([1, 1, 1], [[0.1, 0.9]] * 3, [0, 1, 2], TWO)
    page = written(replace(made, scores=one_class, seconds=3))
    rows = page.table("Every estimate")
    assert rows["ROC AUC 0.5 is a coin toss, 1 is perfect order"][0] == "–"
    assert rows["Specificity share of the negative that is left alone"][0] == "–"
    assert "ROC AUC – no interval can be given Undefined" in page.text
    assert not re.search(r"\bnan\b", page.text, re.IGNORECASE)


def test_split_table_counts_classes_slices_and_groups(made: Report, written: Any) -> None:
    rows = written(made).table("Leak-free 70/15/15.")
    assert rows["Part"] == ["no", "yes", "Slices", "Groups"]
    assert rows["train"] == ["68", "108", "176", "140"]


def test_mistakes_keep_their_order(made: Report, written: Any) -> None:
    rows = written(made).table("Every misclassified slice")
    assert list(rows.items()) == [
        ("Slice", ["Label", "Predicted", "Probability of “yes”"]),
        ("yes/Y9.jpg", ["yes", "no", "0.040"]),
        ("no/N1.jpg", ["no", "yes", "0.760"]),
    ]


def test_mistakes_beyond_a_page_are_counted(
    made: Report, written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MISTAKES_SHOWN", 1)
    page = written(made)
    assert len(page.table("Every misclassified slice")) == 2
    assert "1 more are in errors.csv" in page.text


def test_no_mistakes_is_said(made: Report, written: Any) -> None:
    assert "None: every slice was called right." in written(replace(made, errors=())).text


def test_doubted_labels_are_listed_with_their_group(made: Report, written: Any) -> None:
    check = LabelCheck((Doubt(9, "no", 0.021, 1), Doubt(0, "yes", 0.3, 1)), checked=12, repeats=1)
    found = replace(made, audit=replace(made.audit, groups=((6, 7, 8, 9, 10),), label_check=check))
    page = written(found)
    assert list(page.table("Slices whose label is doubted").items()) == [
        ("Slice", ["Label", "Suggested", "Probability of the label", "Others of its group"]),
        ("yes/3.png", ["yes", "no", "0.021", "yes/0.png, yes/1.png, yes/2.png and 1 more"]),
        ("no/0.png", ["no", "yes", "0.300", ""]),
    ]
    assert "A doubt is no proof: somebody who can read the scan has to look." in page.text
    assert "All numbers are on the labels as they are." in page.text


def test_doubts_of_repeats_say_in_how_many(made: Report, written: Any) -> None:
    check = LabelCheck((Doubt(9, "no", 0.021, 4),), checked=12, repeats=5)
    found = replace(
        made,
        audit=replace(made.audit, label_check=check),
        scores=replace(made.scores, repeats=5),
    )
    rows = written(found).table("Slices whose label is doubted")
    assert rows["yes/3.png"] == ["yes", "no", "0.021", "4 of 5", ""]


def test_doubts_beyond_a_page_are_counted(
    made: Report, written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DOUBTS_SHOWN", 1)
    check = LabelCheck((Doubt(9, "no", 0.02, 1), Doubt(0, "yes", 0.3, 1)), checked=12, repeats=1)
    page = written(replace(made, audit=replace(made.audit, label_check=check)))
    assert len(page.table("Slices whose label is doubted")) == 2
    assert "1 more are in doubts.csv" in page.text


def test_labels_are_said_to_be_doubted_only_where_they_were_checked(
    made: Report, written: Any
) -> None:
    assert "doubt" not in written(made).text
    check = LabelCheck((), checked=12, repeats=1)
    text = written(replace(made, audit=replace(made.audit, label_check=check))).text
    assert "Labels that the networks doubt None." in text
    assert "Of 12 labels that a cross-validation checked, its networks doubt none." in text


def test_numbers_by_study(made: Report, written: Any) -> None:
    found = {"share": 0.1, "refused": 1, "n": 12, "accuracy": {"value": 0.75, "low": 0.5, "high": 1.0},
             "roc_auc": {"value": None, "low": None, "high": None}}  # fmt: skip
    rows = written(replace(made, study=found)).table(
        "12 studies of two slices or more; 1 more, of foreign slices alone, got no answer."
    )
    assert rows["Accuracy"] == ["0.750 0.500 to 1.000"]
    assert rows["ROC AUC"] == ["–"]


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ({}, "found no alarming shortcut", "No slice has a patient number"),
        ({"patient": ""}, "No slice has a patient number", "slices lack a patient"),
        ({"patient": ["", "", *"abcdefghij"]}, "2 slices lack a patient number", "No slice has"),
        ({"shortcuts": ()}, "Shortcuts were not probed", "alarming shortcut"),
        ({"shortcuts": (Shortcut("facts of the file", 0.85, 0.8, 0.9),)},
         "told without the brain, from facts of the file (AUC 0.85)", "no alarming shortcut"),
        ({"conflicts": ((0, 6),)}, "with contradicting labels, left in", "No slice has"),
        ({"foreign": (Foreign(3, 2.0, "darker"),)}, "1 slice unlike the rest, left in", "No slice"),
    ],
)  # fmt: skip
def test_limits_follow_from_the_data(
    made: Report, written: Any, tmp_path: Path, changes: dict[str, Any], said: str, unsaid: str
) -> None:
    quiet = (Shortcut("facts of the file", 0.5, 0.4, 0.6),)
    page = written(replace(made, audit=audited(tmp_path, **{"shortcuts": quiet, **changes})))
    limits = page.text[page.text.index("What these numbers can't tell") :]
    assert said in limits
    assert unsaid not in limits


def test_limits_follow_from_the_size_of_the_test(made: Report, written: Any) -> None:
    small = written(made).text
    assert "The test is small: 38 slices in 30 groups." in small
    assert "moves accuracy by 2.6 points" in small
    large = written(replace(made, scores=scored(900, 1000))).text
    assert "The test is small" not in large
    rare = written(replace(made, scores=scored(8, 12))).text
    assert "The test holds only 6 of “no” and 6 of “yes”" in rare


def test_the_audit_is_told_in_sentences(made: Report, written: Any, tmp_path: Path) -> None:
    found = audited(tmp_path, identical=((0, 1, 2),), groups=((0, 1, 2),), distinct=10)
    text = written(replace(made, audit=found)).text
    assert "2 slices are byte for byte the copy of another." in text
    assert "10 of 12, with copies" in text
    assert "falx audit DATA --html audit.html" in text


def test_it_can_be_repeated(made: Report, written: Any) -> None:
    page = written(made)
    recipe, command, _ = page.preformatted
    assert Recipe.model_validate(yaml.safe_load(recipe)) == made.recipe
    assert command == made.command
    rows = page.table("What it ran on")
    assert rows["seed"] == ["7"]
    assert rows["weights name"] == ["imagenet"]
    assert rows["weights sha256"] == ["–"]
    assert rows["keras"] == ["3.12.0"]
    assert rows["cpu features"] == ["avx2, amx_bf16"]
    assert "10,286,913 parameters; trained in 3 min 12 s." in page.text
    assert "Classify images falx predict RUN IMAGE..." in page.text


def test_hostile_names_stay_text(made: Report, written: Any) -> None:
    bad = Mistake(HOSTILE, "yes", "no", 0.1)
    page = written(replace(made, title=HOSTILE, errors=(bad,), command=HOSTILE))
    assert not page.all("script")
    assert HOSTILE in page.table("Every misclassified slice")
    assert page.preformatted[1] == HOSTILE


def test_name_that_is_not_unicode_does_not_stop_it(made: Report, written: Any) -> None:
    page = written(replace(made, errors=(Mistake("yes/\udcff.png", "yes", "no", 0.1),)))
    assert "yes/?.png" in page.table("Every misclassified slice")


def test_nothing_beside_the_file_is_needed(made: Report, written: Any, tmp_path: Path) -> None:
    page = written(made)
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object"}
        for name in ("src", "href", "srcset", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    source = (tmp_path / "report.html").read_text("utf-8")
    assert "url(" not in source
    assert "@import" not in source
    assert "default-src 'none'" in source
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "roc.png"]


def test_figures_are_embedded_with_words_for_who_cannot_see_them(
    made: Report, written: Any
) -> None:
    (image,) = written(made).all("img")
    kind, content = image["src"].split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content) == made.figures[0].path.read_bytes()
    assert image["alt"] == "ROC: Sensitivity against false alarms."
    assert math.isclose(int(image["width"]) / int(image["height"]), 48 / 32, rel_tol=0.1)


def test_it_can_be_read_without_eyes_on_it(made: Report, written: Any) -> None:
    page = written(replace(made, blind=made.scores, study={"share": 0, "refused": 0, "n": 2}))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(cell["scope"] in {"row", "col"} for cell in page.all("th"))
    assert all(drawing["aria-label"] for drawing in page.all("svg"))
    links = {link["href"].removeprefix("#") for link in page.all("a")}
    assert links <= {attributes.get("id") for _, attributes in page.tags}


def test_it_is_no_medical_device_and_says_so_once(made: Report, written: Any) -> None:
    assert written(made).text.count(DISCLAIMER) == 1


def test_intervals_are_drawn_where_they_are(made: Report, written: Any) -> None:
    accuracy: Estimate = made.scores.estimates["accuracy"]
    page = written(made)
    reach = next(line for line in page.all("line") if line["class"] == "reach")
    assert float(reach["x1"].rstrip("%")) == pytest.approx(100 * accuracy.low, abs=0.01)
    assert float(reach["x2"].rstrip("%")) == pytest.approx(100 * accuracy.high, abs=0.01)
    assert float(page.all("circle")[0]["cx"].rstrip("%")) == pytest.approx(
        100 * accuracy.value, abs=0.01
    )


def test_same_report_same_bytes(made: Report, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_report(made, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
