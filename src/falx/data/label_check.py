"""The label check: label issues by confident learning, from out-of-fold probabilities.

Confident learning (Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in
Dataset Labels", JAIR 70, 2021) estimates how many slices of each label belong to each other class,
and reports as many, the most confident first. A class counts as predicted if its probability is at
least its mean over the slices with that label, so a wrong label can be missed. Nothing is
relabeled, and a label issue is no proof.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog


@dataclass(frozen=True)
class LabelIssue:
    """A slice whose label may be wrong.

    Attributes:
        row: its row among the usable slices.
        suggested: the most probable label.
        probability: of its present label, in [0, 1], the mean over repeats.
        times: number of repeats in which another label was more probable.
    """

    row: int
    suggested: str
    probability: float
    times: int


@dataclass(frozen=True)
class LabelCheck:
    """The label issues of a dataset.

    Attributes:
        label_issues: by rising probability of the present label.
        checked: number of slices whose label was checked.
        repeats: of the cross-validation.
    """

    label_issues: tuple[LabelIssue, ...]
    checked: int
    repeats: int

    def as_table(self, usable: Catalog) -> pd.DataFrame:
        """One row per label issue: path, index, group, label, suggested, probability, times.

        Args:
            usable: the slices that were checked.
        """
        columns = ["path", "index", "group", "label"]
        table = usable.table[columns].iloc[[issue.row for issue in self.label_issues]]
        return table.reset_index(drop=True).assign(
            suggested=[issue.suggested for issue in self.label_issues],
            probability=[issue.probability for issue in self.label_issues],
            times=[issue.times for issue in self.label_issues],
        )


def check_labels(
    labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]
) -> LabelCheck:
    """The label issues of a dataset.

    Args:
        labels: class codes, int (n,), with two slices or more of each class.
        probabilities: out of fold, float (repeats, n, classes).
        classes: their names.
    """
    # Slow to import, and rarely needed.
    from cleanlab.filter import find_label_issues

    mean = probabilities.mean(axis=0)
    rows = find_label_issues(labels, mean, return_indices_ranked_by="self_confidence", n_jobs=1)
    disagreements = (probabilities.argmax(axis=2) != labels).sum(axis=0)
    label_issues = tuple(
        LabelIssue(
            row=int(row),
            suggested=classes[int(mean[row].argmax())],
            probability=float(mean[row, labels[row]]),
            times=int(disagreements[row]),
        )
        for row in rows
    )
    return LabelCheck(label_issues, checked=len(labels), repeats=len(probabilities))


def carry_over(check: LabelCheck, known: Catalog, usable: Catalog) -> LabelCheck:
    """The label issues that still apply to a dataset that has since been moved or changed.

    A slice is recognized by content and label; one that was relabeled counts as not checked. Of
    several copies, one with the same path keeps its own result; one with a new path has a label
    issue if any of them had.

    Args:
        known: the usable slices that were checked.
        usable: the present ones.
    """
    issue_of = {issue.row: issue for issue in check.label_issues}
    contents, locations = _contents(known), _locations(known)
    by_content = {content: row for row, content in enumerate(contents)}
    by_content |= {contents[row]: row for row in issue_of}
    by_location = {location: row for row, location in enumerate(locations)}
    pairs = zip(_locations(usable), _contents(usable), strict=True)
    known_rows = [by_location.get(where, by_content.get(content)) for where, content in pairs]
    label_issues = [
        replace(issue_of[known_row], row=row)
        for row, known_row in enumerate(known_rows)
        if known_row in issue_of
    ]
    return replace(
        check,
        label_issues=tuple(sorted(label_issues, key=lambda issue: issue.probability)),
        checked=sum(known_row is not None for known_row in known_rows),
    )


def _contents(usable: Catalog) -> list[tuple[str, int, str]]:
    """Content and label of each slice, independent of its path."""
    table = usable.table
    return list(zip(table["sha256"], table["index"], table["label"], strict=True))


def _locations(usable: Catalog) -> list[tuple[str, tuple[str, int, str]]]:
    """The same with the path, which distinguishes copies."""
    return list(zip(usable.table["path"], _contents(usable), strict=True))
