"""What a cross-validation found: every slice predicted, once a repeat, by who never saw it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.detect.finding import decide
from falx.evaluation.metrics import Scores, score, score_repeats
from falx.evaluation.report import FoldScores, Mistake
from falx.evaluation.results import Results

THRESHOLD = 0.5


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of a repeated cross-validation.

    Attributes:
        usable: the slices.
        probabilities: float64 (repeats, n, classes).
        folds: in which fold each was tested, from 1: int (repeats, n).
        views: what the network was fed, uint8 (n, size, size).
    """

    usable: Catalog
    probabilities: np.ndarray
    folds: np.ndarray
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
    def predicted(self) -> np.ndarray:
        """Label given to each slice in each repeat: str (repeats, n)."""
        classes = self.usable.classes
        return np.array(
            [[decide(row, classes, THRESHOLD)[0] for row in each] for each in self.probabilities],
            object,
        )

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
            threshold=THRESHOLD,
        )  # fmt: skip

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
                    threshold=THRESHOLD, resamples=1,
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
            threshold=THRESHOLD,
            views=self.views,
        )

    def worst(self) -> np.ndarray:
        """Slices called wrong, those most often and most confidently first: int (wrong,)."""
        given = self.probabilities.mean(axis=0)[np.arange(len(self.usable)), self.usable.labels]
        rows = np.flatnonzero(self.wrong)
        return rows[np.lexsort((given[rows], -self.wrong[rows]))]

    def mistakes(self) -> tuple[Mistake, ...]:
        """Every slice called wrong, those most often and most confidently first."""
        table, classes = self.usable.table, self.usable.classes
        mean = self.probabilities.mean(axis=0)
        return tuple(
            Mistake(
                path=str(table["path"].iat[row]),
                label=str(table["label"].iat[row]),
                predicted=_commonest(self.predicted[:, row], str(table["label"].iat[row])),
                probability=decide(mean[row], classes, THRESHOLD)[1],
                times=int(self.wrong[row]),
            )
            for row in self.worst()
        )

    def as_table(self) -> pd.DataFrame:
        """A row a slice and repeat: path, index, group, label, repeat, fold, predicted, p_CLASS."""
        parts = []
        for repeat, probabilities in enumerate(self.probabilities):
            part = self.usable.table[["path", "index", "group", "label"]].assign(
                repeat=repeat + 1, fold=self.folds[repeat], predicted=self.predicted[repeat]
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
                }
                for each in self.by_fold
            ],
        }


def _commonest(predicted: np.ndarray, label: str) -> str:
    """The wrong label that a slice was given most often."""
    wrong = [name for name in predicted if name != label]
    return str(max(sorted(set(wrong)), key=wrong.count))
