"""Predictions on known slices, and the files that a run keeps of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.data.class_names import has_negative
from falx.data.split import Split
from falx.detect.rules import Rules, decide, predicted_codes
from falx.evaluation import figures
from falx.evaluation.comparison import comparison
from falx.evaluation.contact_sheet import contact_sheet
from falx.evaluation.map_figures import deletion_insertion
from falx.evaluation.metrics import Scores, score
from falx.evaluation.report import Figure, Mistake, PartCounts
from falx.evaluation.studies import find_studies, score_studies
from falx.evaluation.training_curves import training_curves
from falx.evaluation.trust import SliceRules, Trust, score_trust

if TYPE_CHECKING:
    from falx.data.label_check import LabelCheck
    from falx.evaluation.map_checks import MapChecks

_SHOWN = 24


@dataclass(frozen=True)
class Results:
    """What a detector said of slices whose label is known.

    Attributes:
        table: their rows of a catalog, with label and group.
        labels: class codes, int64 (n,).
        parts: "validation" or "test" of each, str (n,).
        probabilities: calibrated, float64 (n, classes).
        distances: from training slices, float (n,).
        classes: names in order.
        rules: that it answers by.
        views: what the network was fed of all slices, uint8 (slices, size, size), perhaps a file.
        rows: where each is in `views`, int (n,).
        raw: probabilities before calibration, where the temperature does not say what they were.
    """

    table: pd.DataFrame
    labels: np.ndarray
    parts: np.ndarray
    probabilities: np.ndarray
    distances: np.ndarray
    classes: tuple[str, ...]
    rules: Rules
    views: np.ndarray
    rows: np.ndarray
    raw: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        usable: Catalog,
        rows: np.ndarray,
        parts: np.ndarray,
        probabilities: np.ndarray,
        distances: np.ndarray,
        *,
        rules: Rules,
        views: np.ndarray,
    ) -> Results:
        """Results for some rows of a catalog, in that order; `views` are those of all its rows."""
        table = usable.table.iloc[rows].reset_index(drop=True)
        labels, classes = usable.labels[rows], usable.classes
        return cls(table, labels, parts, probabilities, distances, classes, rules, views, rows)

    @property
    def threshold(self) -> float:
        """The operating point."""
        return self.rules.threshold

    @property
    def groups(self) -> np.ndarray:
        """Group of each slice: int64 (n,)."""
        return self.table["group"].to_numpy(np.int64)

    @property
    def predicted(self) -> np.ndarray:
        """Label given to each slice: str (n,)."""
        names: np.ndarray = np.array(self.classes, object)
        return names[predicted_codes(self.probabilities, self.threshold)]

    @property
    def statuses(self) -> np.ndarray:
        """Whether each slice is answered, to be referred, or foreign: str (n,)."""
        return self._slice_rules().statuses(self.probabilities, self.distances)

    @property
    def wrong(self) -> np.ndarray:
        """Misclassified slices, the most confident mistake first: int (errors,)."""
        errors = np.flatnonzero(self.predicted != self.table["label"].to_numpy(dtype=object))
        given = self.probabilities[errors, self.labels[errors]]
        return errors[np.argsort(given, kind="stable")]

    def part(self, name: str) -> Results:
        """The slices of one part."""
        return self._rows(np.flatnonzero(self.parts == name))

    def _rows(self, rows: np.ndarray) -> Results:
        return replace(
            self,
            table=self.table.iloc[rows].reset_index(drop=True),
            labels=self.labels[rows],
            parts=self.parts[rows],
            probabilities=self.probabilities[rows],
            distances=self.distances[rows],
            rows=self.rows[rows],
            raw=None if self.raw is None else self.raw[rows],
        )

    def scores(self) -> Scores:
        """Numbers with intervals over groups."""
        return score(
            self.labels, self.probabilities, self.groups, self.classes, threshold=self.threshold
        )

    def scores_without(self, left_out: np.ndarray) -> Scores | None:
        """Numbers without some slices, bool (n,); None where that is none or loses a class."""
        kept = np.flatnonzero(~left_out)
        if not left_out.any() or len(np.unique(self.labels[kept])) < len(np.unique(self.labels)):
            return None
        return self._rows(kept).scores()

    def trust(self, scores: Scores) -> Trust:
        """What the rules are worth on these slices, whose scores are at hand."""
        return score_trust(
            self.labels, [self.probabilities], [self.distances], self.groups, self.classes,
            [self._slice_rules()], scores, error=self.rules.error,
            raw=None if self.raw is None else [self.raw],
        )  # fmt: skip

    def _slice_rules(self) -> SliceRules:
        return SliceRules.of([self.rules] * len(self.labels))

    def study_scores(self) -> dict[str, Any] | None:
        """The same a study, or None where no study of several slices has an answer."""
        studies = find_studies(self.table, self.labels, negative=has_negative(self.classes))
        return score_studies(
            studies, self.probabilities, self.groups, share=self.rules.study_share,
            threshold=self.threshold, classes=self.classes, foreign=self.statuses == "foreign",
        )  # fmt: skip

    def as_table(self) -> pd.DataFrame:
        """A row a slice: path, index, group, label, part, predicted, status, distance, p_CLASS."""
        table = self.table[["path", "index", "group", "label"]].assign(
            part=self.parts,
            predicted=self.predicted,
            status=self.statuses,
            distance=self.distances,
        )
        for code, name in enumerate(self.classes):
            table[f"p_{name}"] = self.probabilities[:, code]
        return table

    def mistakes(self) -> tuple[Mistake, ...]:
        """Every misclassified slice, the most confident mistake first."""
        predicted = self.predicted
        return tuple(
            Mistake(
                path=str(self.table["path"].iat[row]),
                label=str(self.table["label"].iat[row]),
                predicted=str(predicted[row]),
                probability=decide(self.probabilities[row], self.classes, self.threshold)[1],
            )
            for row in self.wrong
        )


def count_parts(usable: Catalog, split: Split) -> tuple[PartCounts, ...]:
    """Slices and groups of each part."""
    labels, groups = usable.labels, usable.groups
    return tuple(
        PartCounts(
            part=name,
            counts={c: int((labels[rows] == code).sum()) for code, c in enumerate(usable.classes)},
            groups=len(np.unique(groups[rows])),
        )
        for name, rows in vars(split).items()
    )


def write_results(folder: Path, results: Results, test: Scores, trust: Trust, **more: Any) -> None:
    """Write predictions.csv, errors.csv and metrics.json.

    Args:
        results: of all parts.
        test: scores of the part "test".
        trust: likewise.
        more: further entries of metrics.json, left out where None.
    """
    results.as_table().to_csv(folder / "predictions.csv", index=False)
    wrong = results.part("test")
    wrong.as_table().iloc[wrong.wrong].to_csv(folder / "errors.csv", index=False)
    content = {"split": "test", **test.as_dict(), "trust": trust.as_dict()}
    content |= {name: value for name, value in more.items() if value is not None}
    (folder / "metrics.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def draw_figures(folder: Path, test: Results, scores: Scores) -> tuple[Figure, ...]:
    """Draw what any set of predictions gives, and return it in the order of the report."""
    folder.mkdir(exist_ok=True)
    truth, chances, classes = test.labels, test.probabilities, test.classes
    estimates = scores.estimates
    drawn = [
        (
            "Confusion matrix",
            "Slices by true and predicted class: counts, and shares of the true class.",
            figures.confusion_matrix(scores.confusion, classes),
        ),
        (
            "ROC",
            "Sensitivity against false alarms at every threshold.",
            figures.roc(truth, chances, classes, estimates["roc_auc"]),
        ),
        (
            "Precision recall",
            "Precision against sensitivity; the dashed line is what guessing would reach.",
            figures.precision_recall(truth, chances, classes, estimates["average_precision"]),
        ),
        (
            "Probabilities",
            "How the predicted probability is distributed in each true class.",
            figures.probabilities(truth, chances, classes, test.threshold),
        ),
        (
            "Calibration",
            "Whether a predicted probability is the share that it claims to be.",
            figures.calibration(truth, chances, classes),
        ),
        (
            "Samples",
            "Tested slices with label and prediction, as the network sees them.",
            _samples(test),
        ),
    ]
    if len(test.wrong):
        drawn.append(
            ("Worst errors", "Misclassified slices, the most confident first.", _errors(test))
        )
    return tuple(_saved(folder, *item) for item in drawn)


def draw_training(folder: Path, history: pd.DataFrame, fed: list[np.ndarray]) -> tuple[Figure, ...]:
    """Draw what only a training gives: its curves, and the views that the network was fed."""
    folder.mkdir(exist_ok=True)
    sheet = contact_sheet(fed, [""] * len(fed), title="Views, as trained")
    return (
        _saved(
            folder,
            "Training",
            "Loss, accuracy and AUC by epoch, on training views and on validation slices.",
            training_curves(history),
        ),
        _saved(folder, "Views", "What the network was fed: augmented views of one batch.", sheet),
    )


def draw_repeated(
    folder: Path, views: np.ndarray, rows: np.ndarray, captions: Sequence[str]
) -> tuple[Figure, ...]:
    """Draw the first of some slices that were called wrong in several repeats."""
    shown = [views[row] for row in rows[:_SHOWN]]
    sheet = contact_sheet(
        shown, captions[:_SHOWN], marks=[False] * len(shown), title="Errors that repeat"
    )
    caption = "Misclassified slices, those wrong in most repeats first."
    return (_saved(folder, "Errors that repeat", caption, sheet),)


def draw_doubts(
    folder: Path, views: np.ndarray, check: LabelCheck, usable: Catalog
) -> tuple[Figure, ...]:
    """Draw the first of the slices whose label is doubted, where there are any.

    Args:
        views: what the network was fed of all slices, uint8 (slices, size, size).
        usable: the slices.
    """
    shown = check.doubts[:_SHOWN]
    if not shown:
        return ()
    folder.mkdir(exist_ok=True)
    labels = usable.table["label"]
    captions = [
        f"{labels.iat[doubt.row]} → {doubt.suggested}\n"
        f"p({labels.iat[doubt.row]}) {doubt.probability:.2f}"
        for doubt in shown
    ]
    title = "Doubted labels"
    sheet = contact_sheet([views[doubt.row] for doubt in shown], captions, title=title)
    caption = (
        "The label as it is, the one that the networks suggest, and the probability that they "
        "give to the label as it is, the least probable first."
    )
    return (_saved(folder, title, caption, sheet),)


def draw_map_checks(folder: Path, checks: MapChecks) -> tuple[Figure, ...]:
    """Draw deletion and insertion, where they could be done."""
    if checks.deletion is None:
        return ()
    folder.mkdir(exist_ok=True)
    caption = (
        "The probability of the answer while places of a slice give way to those of a slice that "
        "was answered otherwise, and while they come back; bands are 95 % intervals over groups."
    )
    drawn = deletion_insertion(checks.deletion)
    return (_saved(folder, "Deletion and insertion", caption, drawn),)


def draw_comparison(folder: Path, scores: Mapping[str, Scores]) -> tuple[Figure, ...]:
    """Draw sets of scores side by side."""
    drawn = comparison(scores, ("accuracy", "balanced_accuracy", "roc_auc"))
    return (_saved(folder, "Splits", "The same recipe, with and without copies.", drawn),)


def _saved(folder: Path, title: str, caption: str, figure: Any) -> Figure:
    path = folder / f"{title.lower().replace(' ', '_')}.png"
    figures.save(figure, path)
    return Figure(title, caption, path)


def _samples(test: Results) -> Any:
    """Slices at equal steps through the part, so that every class shows."""
    order = np.argsort(test.labels, kind="stable")
    places = np.linspace(0, len(order) - 1, min(_SHOWN, len(order))).round().astype(int)
    return _sheet(test, order[places], "Test slices")


def _errors(test: Results) -> Any:
    return _sheet(test, test.wrong[:_SHOWN], "Worst errors")


def _sheet(test: Results, rows: np.ndarray, title: str) -> Any:
    predicted = test.predicted
    asked = f"p({test.classes[1]})" if len(test.classes) == 2 else "p"
    captions, marks = [], []
    for row in rows:
        label, given = test.table["label"].iat[row], predicted[row]
        chance = decide(test.probabilities[row], test.classes, test.threshold)[1]
        captions.append(f"{label} → {given}, {asked} {chance:.2f}")
        marks.append(label == given)
    return contact_sheet(
        [test.views[test.rows[row]] for row in rows], captions, marks=marks, title=title
    )
