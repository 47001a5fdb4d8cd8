"""Audits, evaluations, runs and reports of few slices, and what a reader sees of a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from falx.data.auditing import Audit
from falx.data.catalog import Catalog
from falx.data.split import Split
from falx.detect.detector import Settings
from falx.detect.rules import Rules
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.predictions import Predictions
from falx.recipe import load_recipe
from falx.reporting.report import Report
from falx.runs.run import Record, Run

TWO = ("no", "yes")
_RULES = Rules(temperature=2.0, conformal_threshold=0.4, ood_threshold=3.0)
_TRAINING_COUNTS, _TRAINING_GROUPS = {"no": 68, "yes": 108}, 140
_VALIDATION_COUNTS, _VALIDATION_GROUPS = {"no": 6, "yes": 6}, 12
_SPLITS = {
    "train": "leak-free 70/15/15",
    "crossval": "leak-free 5-fold cross-validation",
    "evaluate": "all of navoneel",
}


def _table(labels: list[str], groups: np.ndarray, first: int = 0, **columns) -> pd.DataFrame:
    """Rows of a catalog, all of them usable."""
    n = len(labels)
    rng = np.random.default_rng(first)
    content = {
        "path": [f"{label}/{first + row}.png" for row, label in enumerate(labels)],
        "index": 0,
        "label": labels,
        "split": "",
        "patient": "",
        "study": "",
        "series": "",
        "volume": "",
        "level": np.nan,
        "region": "",
        "contrast": False,
        "tumor_area": np.nan,
        "weak_label": False,
        "source": "navoneel",
        "plane": "",
        "problem": "",
        "group": groups,
        "sha256": [f"{first + row:064x}" for row in range(n)],
        "height": 96,
        "width": 96,
        "mean": rng.uniform(0.1, 0.5, n),
        "standard_deviation": rng.uniform(0.1, 0.3, n),
        "head_aspect": rng.normal(0, 0.2, n),
        "format": "png",
        "color": False,
    }
    return pd.DataFrame(content | columns)


@pytest.fixture(scope="session")
def make_evaluation() -> Callable[..., Evaluation]:
    """A function that makes an evaluation of n slices, the first `correct` classified correctly."""

    def make(
        correct,
        n,
        classes=TWO,
        *,
        groups=None,
        leaked=0,
        labels=None,
        distances=None,
        folds=1,
        rules=_RULES,
        columns=None,
        **measured,
    ) -> Evaluation:
        """Make an evaluation; classes come in turn, and so do groups and folds.

        Args:
            correct: a number, or one for each repeat.
            groups: how many; by default each slice is one.
            leaked: how many slices, the first, share a group with training; None: not known.
            labels: codes (n,), in place of classes in turn.
            distances: (n,), in place of 1.
            columns: of the table.
            measured: other fields of the evaluation.
        """
        each = correct if isinstance(correct, tuple) else (correct,)
        codes = np.arange(n) % len(classes) if labels is None else np.asarray(labels)
        probabilities = []
        for repeat, hits in enumerate(each):
            predicted = np.where(np.arange(n) < hits, codes, (codes + 1) % len(classes))
            noise = np.random.default_rng(repeat).uniform(0, 0.2, size=(n, len(classes)))
            p = noise + np.eye(len(classes))[predicted]
            probabilities.append(p / p.sum(axis=1, keepdims=True))
        names = [classes[code] for code in codes]
        predictions = Predictions(
            table=_table(names, np.arange(n) % (groups or n), **(columns or {})),
            classes=classes,
            rows=np.arange(n),
            probabilities=np.stack(probabilities),
            distances=np.tile(np.ones(n) if distances is None else distances, (len(each), 1)),
            folds=np.tile(1 + np.arange(n) % folds, (len(each), 1)),
            rules=((rules,) * folds,) * len(each),
        )
        known = None if leaked is None else np.arange(n) < leaked
        return Evaluation(predictions, known, **measured)

    return make


@pytest.fixture(scope="session")
def of_volumes(make_evaluation) -> Callable[..., Evaluation]:
    """A function that makes an evaluation of volumes of ten slices, one of each patient.

    The middle four have a tumor; levels, probabilities and errors are those of `make_evaluation`.
    """

    def make(patients=12, correct=0.8, **options) -> Evaluation:
        n = 10 * patients
        names = np.repeat([f"p{number:02}" for number in range(patients)], 10)
        index = np.arange(n) % 10
        columns = {
            "group": np.repeat(np.arange(patients), 10),
            "index": index,
            "path": [f"{name}.nii.gz" for name in names],
            "patient": names,
            "volume": names,
            "level": index / 9,
            "plane": "axial",
            "region": "brain",
            "contrast": False,
        }
        shares = correct if isinstance(correct, tuple) else (correct,)
        return make_evaluation(
            tuple(round(share * n) for share in shares),
            n,
            labels=((index > 3) & (index < 8)).astype(int),
            columns=columns,
            **options,
        )

    return make


@pytest.fixture
def make_audit(tmp_path) -> Callable[..., Audit]:
    """A function that makes an audit of twelve slices, with nothing wrong but what is asked for."""

    def make(*, patient=None, **findings) -> Audit:
        table = pd.DataFrame(
            {
                "path": [f"{name}/{i}.png" for name in TWO for i in range(6)],
                "label": np.repeat(TWO, 6),
                "index": 0,
                "patient": [f"p{i}" for i in range(12)] if patient is None else patient,
                "problem": "",
                "source": "navoneel",
                "group": np.arange(12),
            }
        )
        catalog = Catalog(tmp_path / "navoneel", TWO, table)
        clean = Audit(catalog, {"no": 6, "yes": 6}, (), (), (), 12, (), (), (), ())
        return replace(clean, **findings)

    return make


@pytest.fixture
def make_report(make_evaluation, make_audit, tmp_path) -> Callable[..., Report]:
    """A function that makes a report; by default of a training with 34 of 38 slices correct."""

    def make(
        evaluation=None, verb="train", *, audit=None, figures=(), record=None, **run
    ) -> Report:
        """Make a report.

        Args:
            audit: of the data; by default one that found nothing.
            record: fields of the record that differ.
            run: fields of the run that differ.
        """
        evaluation = evaluation or make_evaluation(34, 38, groups=30)
        trained = verb == "train" and evaluation.predictions.classes == TWO
        recipe = load_recipe("paper")
        values = {
            "folder": Path("runs/paper"),
            "record": _record(verb, **(record or {})),
            "catalog": Catalog(
                tmp_path / "navoneel", evaluation.predictions.classes, evaluation.predictions.table
            ),
            "evaluation": evaluation,
            "recipe": recipe,
        }
        if verb == "train":
            rules = evaluation.predictions.rules[0][0]
            values |= {
                "parameters": 10_286_913,
                "settings": Settings(
                    evaluation.predictions.classes,
                    recipe.rendering,
                    rules,
                    False,
                    "paper",
                    "f" * 64,
                ),
            }
        if trained:
            values |= _with_training_slices(evaluation, values["catalog"])
        return Report(Run(**values | run), audit or make_audit(), figures)

    return make


def _record(verb: str, **changes) -> Record:
    values = {
        "verb": verb,
        "arguments": ["RUN", "navoneel"] if verb == "evaluate" else ["navoneel"],
        "options": {} if verb == "evaluate" else {"recipe": "paper", "seed": 7},
        "title": "paper on navoneel",
        "split": _SPLITS[verb],
        "data": {"name": "navoneel", "sha256": "d" * 64},
        "weights": {"name": "imagenet", "sha256": None},
        "backend": "tensorflow",
        "training_seconds": None if verb == "evaluate" else 192.4,
        "finished": "2025-11-28T08:00:00+00:00",
        "environment": {
            "python": "3.11.7",
            "cores": 4,
            "versions": {"falx": "0.1.0", "keras": "3.12.0"},
            "cpu_features": ["avx2", "amx_bf16"],
        },
    }
    return Record(**values | changes)


def _with_training_slices(evaluation: Evaluation, tested: Catalog) -> dict:
    """The fields of a run whose catalog holds training and validation slices, too."""
    tables = [tested.table]
    for counts, groups in (
        (_TRAINING_COUNTS, _TRAINING_GROUPS),
        (_VALIDATION_COUNTS, _VALIDATION_GROUPS),
    ):
        labels = [name for name, count in counts.items() for _ in range(count)]
        first = sum(map(len, tables))
        tables.append(_table(labels, 10_000 + first + np.arange(len(labels)) % groups, first))
    starts = np.cumsum([0, *map(len, tables)])
    test, train, validation = (np.arange(*pair) for pair in pairwise(starts))
    return {
        "catalog": replace(tested, table=pd.concat(tables, ignore_index=True)),
        "split": Split(train, validation, test),
    }


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
            self.tables.setdefault(_plain(self._caption), []).append([])
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
            cell[-1] = _plain(f"{cell[-1]} {data}")

    @property
    def text(self) -> str:
        return _plain(" ".join(self.words))

    def table(self, start: str) -> dict[str, list[str]]:
        """The rows of the table whose caption starts so, by the text of their first cell."""
        found = [rows for caption, rows in self.tables.items() if caption.startswith(start)]
        assert len(found) == 1
        return {row[0]: row[1:] for row in found[0]}

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def section(self, start: str, end: str) -> str:
        """The text from one heading to the next; headings are also in the list of contents."""
        begin = self.text.rindex(start)
        return self.text[begin : self.text.index(end, begin)]


def _plain(text: str) -> str:
    return " ".join(text.replace("\N{NARROW NO-BREAK SPACE}", " ").split())


@pytest.fixture(scope="session")
def plain() -> Callable[[str], str]:
    """A function that makes all white space single blanks."""
    return _plain


@pytest.fixture(scope="session")
def read_page() -> Callable[[Path], Page]:
    """A function that reads a page."""

    def read(path: Path) -> Page:
        page = Page()
        page.feed(path.read_text("utf-8"))
        page.close()
        return page

    return read
