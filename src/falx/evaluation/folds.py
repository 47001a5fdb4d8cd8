"""What a cross-validation found: every slice predicted, once a repeat, by who never saw it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.data.label_check import LabelCheck, check_labels
from falx.detect.rules import Rules, predicted_codes
from falx.evaluation.metrics import Scores, score, score_repeats
from falx.evaluation.report import FoldScores, Mistake
from falx.evaluation.results import Results
from falx.evaluation.trust import SliceRules, Trust, score_trust


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of a repeated cross-validation.

    Attributes:
        usable: the slices.
        probabilities: calibrated, float64 (repeats, n, classes).
        distances: from the slices that each one's network saw, float64 (repeats, n).
        folds: in which fold each was tested, from 1: int (repeats, n).
        rules: of each fold of each repeat, chosen on its validation slices.
        views: what the network was fed, uint8 (n, size, size).
    """

    usable: Catalog
    probabilities: np.ndarray
    distances: np.ndarray
    folds: np.ndarray
    rules: tuple[tuple[Rules, ...], ...]
    views: np.ndarray

    @property
    def repeats(self) -> int:
        return len(self.probabilities)

    @property
    def split_name(self) -> str:
        """How slices were tested, in words."""
        times = f", {self.repeats} times" if self.repeats > 1 else ""
        return f"leak-free {int(self.folds.max())}-fold cross-validation{times}"

    @cached_property
    def slice_rules(self) -> tuple[SliceRules, ...]:
        """The rules that each slice was answered by, a repeat."""
        return tuple(
            SliceRules.of([rules[fold - 1] for fold in folds])
            for rules, folds in zip(self.rules, self.folds, strict=True)
        )

    @property
    def thresholds(self) -> list[np.ndarray]:
        """Of each slice, a repeat: float (n,)."""
        return [each.threshold for each in self.slice_rules]

    @cached_property
    def predicted(self) -> np.ndarray:
        """Label given to each slice in each repeat: str (repeats, n)."""
        names = np.array(self.usable.classes, object)
        pairs = zip(self.probabilities, self.thresholds, strict=True)
        return np.stack([names[predicted_codes(given, line)] for given, line in pairs])

    @cached_property
    def wrong(self) -> np.ndarray:
        """In how many repeats each slice was called wrong: int (n,)."""
        truth = self.usable.table["label"].to_numpy(dtype=object)
        return (self.predicted != truth).sum(axis=0)

    def scores(self) -> Scores:
        """Numbers over all slices, with intervals over groups and repeats."""
        usable = self.usable
        return score_repeats(
            usable.labels, list(self.probabilities), usable.groups, usable.classes,
            threshold=self.thresholds,
        )  # fmt: skip

    def trust(self, scores: Scores) -> Trust:
        """What calibration, referral and refusal are worth over all slices, given their scores."""
        usable = self.usable
        return score_trust(
            usable.labels, list(self.probabilities), list(self.distances), usable.groups,
            usable.classes, self.slice_rules, scores, error=self.rules[0][0].error,
        )  # fmt: skip

    def label_check(self) -> LabelCheck:
        """The slices whose label is doubted."""
        return check_labels(self.usable.labels, self.probabilities, self.usable.classes)

    @cached_property
    def by_fold(self) -> tuple[FoldScores, ...]:
        """Numbers of each fold, in order; their intervals say nothing."""
        usable = self.usable
        found = []
        for repeat, (folds, probabilities) in enumerate(
            zip(self.folds, self.probabilities, strict=True), start=1
        ):
            for fold in np.unique(folds):
                rows = np.flatnonzero(folds == fold)
                scores = score(
                    usable.labels[rows], probabilities[rows], usable.groups[rows], usable.classes,
                    threshold=self.rules[repeat - 1][fold - 1].threshold, resamples=1,
                )  # fmt: skip
                found.append(FoldScores(repeat, int(fold), scores))
        return tuple(found)

    def results(self) -> Results:
        """All answers one after the other, a slice as often as it was tested; for figures."""
        n = len(self.usable)
        return Results.of(
            self.usable,
            np.tile(np.arange(n), self.repeats),
            np.full(n * self.repeats, "test"),
            self.probabilities.reshape(n * self.repeats, -1),
            self.distances.ravel(),
            rules=self.usual_rules,
            views=self.views,
        )

    @property
    def usual_rules(self) -> Rules:
        """The rules of the folds, each number the median; for figures."""
        every = [asdict(each) for repeat in self.rules for each in repeat]
        numbers = ("threshold", "temperature", "inclusion", "limit")
        return Rules(**every[0] | {name: _median([e[name] for e in every]) for name in numbers})

    def worst(self) -> np.ndarray:
        """Slices called wrong, those most often and most confidently first: int (wrong,)."""
        given = self.probabilities.mean(axis=0)[np.arange(len(self.usable)), self.usable.labels]
        rows = np.flatnonzero(self.wrong)
        return rows[np.lexsort((given[rows], -self.wrong[rows]))]

    def mistakes(self) -> tuple[Mistake, ...]:
        """Every slice called wrong, those most often and most confidently first.

        With the mean probability of the positive class where there are two, else of the wrong label
        that it was given most often.
        """
        return tuple(self._mistake(row) for row in self.worst())

    def _mistake(self, row: int) -> Mistake:
        table, classes = self.usable.table, self.usable.classes
        label = str(table["label"].iat[row])
        predicted = _commonest(self.predicted[:, row], label)
        shown = 1 if len(classes) == 2 else classes.index(predicted)
        return Mistake(
            path=str(table["path"].iat[row]),
            label=label,
            predicted=predicted,
            probability=float(self.probabilities[:, row, shown].mean()),
            times=int(self.wrong[row]),
        )

    def as_table(self) -> pd.DataFrame:
        """A row a slice and repeat.

        Columns path, index, group, label, repeat, fold, predicted, status, distance, p_CLASS.
        """
        parts = []
        for repeat, probabilities in enumerate(self.probabilities):
            part = self.usable.table[["path", "index", "group", "label"]].assign(
                repeat=repeat + 1,
                fold=self.folds[repeat],
                predicted=self.predicted[repeat],
                status=self.slice_rules[repeat].statuses(probabilities, self.distances[repeat]),
                distance=self.distances[repeat],
            )
            for code, name in enumerate(self.usable.classes):
                part[f"p_{name}"] = probabilities[:, code]
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def errors_table(self) -> pd.DataFrame:
        """A row a slice called wrong: path, index, label, predicted, mean probability, times."""
        columns = ["path", "label", "predicted", "probability", "times"]
        table = pd.DataFrame([vars(each) for each in self.mistakes()], columns=columns)
        table.insert(1, "index", self.usable.table["index"].to_numpy()[self.worst()])
        return table

    def metrics(self) -> dict[str, Any]:
        """What metrics.json says beside the scores: each fold's, in short."""
        names = ("accuracy", "roc_auc", "log_loss")
        return {
            "repeats": self.repeats,
            "folds": int(self.folds.max()),
            "by_fold": [
                {
                    "repeat": each.repeat,
                    "fold": each.fold,
                    "n": each.scores.n,
                    "groups": each.scores.groups,
                    **{name: each.scores.as_dict()[name]["value"] for name in names},
                    "rules": asdict(self.rules[each.repeat - 1][each.fold - 1]),
                }
                for each in self.by_fold
            ],
        }


def _commonest(predicted: np.ndarray, label: str) -> str:
    """The wrong label that a slice was given most often."""
    wrong = [name for name in predicted if name != label]
    return str(max(sorted(set(wrong)), key=wrong.count))


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
