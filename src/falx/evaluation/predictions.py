"""Predictions on labeled slices: of a test set, once; of a cross-validation, once a repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.detect.rules import Rules, predicted_codes, statuses


@dataclass(frozen=True)
class Misclassification:
    """A misclassified slice.

    Attributes:
        path: of its file.
        label: its class.
        predicted: the class that it was given; of several, the most frequent.
        probability: of the positive class where there are two, else of `predicted`; the mean over
            repeats.
        times: in how many repeats it was misclassified.
    """

    path: str
    label: str
    predicted: str
    probability: float
    times: int = 1


@dataclass(frozen=True)
class SliceRules:
    """The rules that apply to each of n slices, float (n,) each; see falx.detect.rules.Rules.

    The OOD threshold is infinite where there is none.
    """

    temperature: np.ndarray
    threshold: np.ndarray
    conformal_threshold: np.ndarray
    ood_threshold: np.ndarray

    @classmethod
    def of(cls, rules: Sequence[Rules]) -> SliceRules:
        """From the rules of each slice."""
        limits = [np.inf if each.ood_threshold is None else each.ood_threshold for each in rules]
        return cls(
            temperature=np.array([each.temperature for each in rules]),
            threshold=np.array([each.threshold for each in rules]),
            conformal_threshold=np.array([each.conformal_threshold for each in rules]),
            ood_threshold=np.array(limits),
        )

    def statuses(self, probabilities: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """See falx.detect.rules.status_of, for n slices at once: str (n,)."""
        return statuses(
            probabilities, distances, self.threshold, self.conformal_threshold, self.ood_threshold
        )


@dataclass(frozen=True, eq=False)
class Predictions:
    """Labeled slices, and what detectors that had not seen them predicted.

    Each repeat predicts every slice once. Within a repeat, a slice belongs to the fold whose
    detector predicted it; a test set is one repeat of one fold.

    Attributes:
        table: rows of a catalog, n of them, with label and group.
        classes: names in the order of their codes; of two, the second is the positive one.
        rows: where each slice lies in the catalog of usable slices, int (n,).
        probabilities: calibrated, float64 (repeats, n, classes).
        distances: from the training slices, float64 (repeats, n).
        folds: number of the fold, from 1: int (repeats, n).
        rules: of the detector of each fold, by repeat.
        uncalibrated: probabilities before calibration, like `probabilities`; None where the
            temperature tells what they were.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]
    rows: np.ndarray
    probabilities: np.ndarray
    distances: np.ndarray
    folds: np.ndarray
    rules: tuple[tuple[Rules, ...], ...]
    uncalibrated: np.ndarray | None = None

    @classmethod
    def of_detector(
        cls,
        usable: Catalog,
        rows: np.ndarray,
        probabilities: np.ndarray,
        distances: np.ndarray,
        rules: Rules,
        *,
        uncalibrated: np.ndarray | None = None,
    ) -> Predictions:
        """One detector's predictions on some rows of a catalog, in that order.

        Args:
            rows: int (n,).
            probabilities: float (n, classes).
            distances: float (n,).
            uncalibrated: float (n, classes).
        """
        return cls(
            table=usable.table.iloc[rows].reset_index(drop=True),
            classes=usable.classes,
            rows=rows,
            probabilities=probabilities[None],
            distances=distances[None],
            folds=np.ones((1, len(rows)), np.int64),
            rules=((rules,),),
            uncalibrated=None if uncalibrated is None else uncalibrated[None],
        )

    def __len__(self) -> int:
        """Slices, each counted once however many repeats there are."""
        return len(self.table)

    @property
    def repeats(self) -> int:
        """How often each slice was predicted."""
        return len(self.probabilities)

    @property
    def is_cross_validated(self) -> bool:
        """Whether several detectors predicted the slices."""
        return self.repeats > 1 or int(self.folds.max()) > 1

    @cached_property
    def labels(self) -> np.ndarray:
        """Class code of each slice: int64 (n,)."""
        codes = {name: code for code, name in enumerate(self.classes)}
        return self.table["label"].map(codes).to_numpy(np.int64)

    @property
    def positive(self) -> np.ndarray:
        """Which slices are of any class but the first: bool (n,)."""
        above: np.ndarray = self.labels > 0
        return above

    @property
    def tumor_probabilities(self) -> np.ndarray:
        """Probability of any class but the first: float64 (repeats, n)."""
        rest: np.ndarray = self.probabilities[:, :, 1:].sum(axis=2)
        return rest

    @property
    def groups(self) -> np.ndarray:
        """Group of each slice: int64 (n,)."""
        return self.table["group"].to_numpy(np.int64)

    @cached_property
    def slice_rules(self) -> tuple[SliceRules, ...]:
        """The rules that apply to each slice, by repeat."""
        return tuple(
            SliceRules.of([rules[fold - 1] for fold in folds])
            for rules, folds in zip(self.rules, self.folds, strict=True)
        )

    @property
    def thresholds(self) -> list[np.ndarray]:
        """The operating point of each slice, by repeat: float (n,)."""
        return [rules.threshold for rules in self.slice_rules]

    @property
    def median_rules(self) -> Rules:
        """The rules of all folds, each number the median; of one detector, its own."""
        every = [rules for repeat in self.rules for rules in repeat]
        numbers = ("threshold", "temperature", "conformal_threshold", "ood_threshold")
        medians: dict[str, Any] = {
            name: _median([getattr(rules, name) for rules in every]) for name in numbers
        }
        return replace(every[0], **medians)

    @cached_property
    def predicted_codes(self) -> np.ndarray:
        """Class code predicted for each slice: int64 (repeats, n)."""
        pairs = zip(self.probabilities, self.thresholds, strict=True)
        return np.stack([predicted_codes(values, threshold) for values, threshold in pairs])

    @property
    def predicted(self) -> np.ndarray:
        """Class predicted for each slice: str (repeats, n)."""
        names: np.ndarray = np.array(self.classes, object)
        return names[self.predicted_codes]

    @cached_property
    def statuses(self) -> np.ndarray:
        """Status of each slice (see falx.detect.rules): str (repeats, n)."""
        each = zip(self.slice_rules, self.probabilities, self.distances, strict=True)
        found = np.stack([rules.statuses(values, distances) for rules, values, distances in each])
        # A plane that was not trained is referred, as falx predict does.
        return np.where((found == "answer") & self._untrained, "refer", found)

    @property
    def _untrained(self) -> np.ndarray:
        """Whether the plane of each slice was not trained: bool (repeats, n)."""
        planes, found = self.table["plane"].to_numpy(dtype=object), np.zeros(self.folds.shape, bool)
        for repeat, folds in enumerate(self.folds):
            for fold in np.unique(folds):
                rules = self.rules[repeat][fold - 1]
                untrained = [name for name in set(planes) if rules.why_untrained(name)]
                found[repeat] |= (folds == fold) & np.isin(planes, untrained)
        return found

    @cached_property
    def times_wrong(self) -> np.ndarray:
        """In how many repeats each slice was misclassified: int (n,)."""
        wrong: np.ndarray = (self.predicted_codes != self.labels).sum(axis=0)
        return wrong

    @cached_property
    def wrong(self) -> np.ndarray:
        """Misclassified slices, the most often and most confidently so first: int (wrong,)."""
        of_label = self.probabilities.mean(axis=0)[np.arange(len(self)), self.labels]
        rows = np.flatnonzero(self.times_wrong)
        return rows[np.lexsort((of_label[rows], -self.times_wrong[rows]))]

    def misclassifications(self) -> tuple[Misclassification, ...]:
        """Every misclassified slice, in the order of `wrong`."""
        return tuple(self._misclassification(row) for row in self.wrong)

    def take(self, rows: np.ndarray) -> Predictions:
        """The predictions on some of the slices, int (rows,), in that order."""
        return replace(
            self,
            table=self.table.iloc[rows].reset_index(drop=True),
            rows=self.rows[rows],
            probabilities=self.probabilities[:, rows],
            distances=self.distances[:, rows],
            folds=self.folds[:, rows],
            uncalibrated=None if self.uncalibrated is None else self.uncalibrated[:, rows],
        )

    def frame(self) -> pd.DataFrame:
        """A row a slice and repeat.

        Columns path, index, source, group, label, repeat, fold, predicted, status, distance,
        p_CLASS; and uncalibrated_CLASS where the temperature does not tell what these were.
        """
        return pd.concat([self._frame(repeat) for repeat in range(self.repeats)], ignore_index=True)

    def _frame(self, repeat: int) -> pd.DataFrame:
        frame = self.table[["path", "index", "source", "group", "label"]].assign(
            repeat=repeat + 1,
            fold=self.folds[repeat],
            predicted=self.predicted[repeat],
            status=self.statuses[repeat],
            distance=self.distances[repeat],
        )
        for code, name in enumerate(self.classes):
            frame[f"p_{name}"] = self.probabilities[repeat, :, code]
        if self.uncalibrated is not None:
            for code, name in enumerate(self.classes):
                frame[f"uncalibrated_{name}"] = self.uncalibrated[repeat, :, code]
        return frame

    def _misclassification(self, row: int) -> Misclassification:
        code = _commonest_other(self.predicted_codes[:, row], self.labels[row])
        shown = 1 if len(self.classes) == 2 else code
        return Misclassification(
            path=str(self.table["path"].iat[row]),
            label=self.classes[self.labels[row]],
            predicted=self.classes[code],
            probability=float(self.probabilities[:, row, shown].mean()),
            times=int(self.times_wrong[row]),
        )


def _commonest_other(codes: np.ndarray, label: int) -> int:
    """The class code that is not the label and was predicted most often."""
    return int(np.bincount(codes[codes != label]).argmax())


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
