"""The label check: slices whose label is doubted by networks that never saw them.

Confident learning (Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in
Dataset Labels", JAIR 70, 2021) estimates from out-of-fold probabilities how many slices of each
label belong to each other class, and names as many, those that the networks are surest of. Sure
means: at least as sure as they are of that class on average, so a wrong label can go unnamed. No
label is changed by it, and a doubt is no proof.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog


@dataclass(frozen=True)
class Doubt:
    """A slice whose label is doubted.

    Attributes:
        row: its row among the usable slices.
        suggested: the most probable label.
        probability: of the label that it has, in [0, 1], the mean over repeats.
        times: in how many repeats another label was more probable.
    """

    row: int
    suggested: str
    probability: float
    times: int


@dataclass(frozen=True)
class LabelCheck:
    """What a cross-validation makes of labels.

    Attributes:
        doubts: the least probable label first.
        checked: slices whose label was checked.
        repeats: of the cross-validation.
    """

    doubts: tuple[Doubt, ...]
    checked: int
    repeats: int

    def as_table(self, usable: Catalog) -> pd.DataFrame:
        """A row a doubt: path, index, group, label, suggested, probability, times.

        Args:
            usable: the slices that the doubts are about.
        """
        columns = ["path", "index", "group", "label"]
        table = usable.table[columns].iloc[[doubt.row for doubt in self.doubts]]
        return table.reset_index(drop=True).assign(
            suggested=[doubt.suggested for doubt in self.doubts],
            probability=[doubt.probability for doubt in self.doubts],
            times=[doubt.times for doubt in self.doubts],
        )


def check_labels(
    labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]
) -> LabelCheck:
    """The slices whose label is doubted.

    Args:
        labels: class codes, int (n,); every class has two slices or more.
        probabilities: out of fold, float (repeats, n, classes).
        classes: their names.
    """
    # Takes a while to import, and few need it.
    from cleanlab.filter import find_label_issues

    mean = probabilities.mean(axis=0)
    rows = find_label_issues(labels, mean, return_indices_ranked_by="self_confidence", n_jobs=1)
    otherwise = (probabilities.argmax(axis=2) != labels).sum(axis=0)
    doubts = tuple(
        Doubt(
            row=int(row),
            suggested=classes[int(mean[row].argmax())],
            probability=float(mean[row, labels[row]]),
            times=int(otherwise[row]),
        )
        for row in rows
    )
    return LabelCheck(doubts, checked=len(labels), repeats=len(probabilities))


def carry_over(check: LabelCheck, known: Catalog, usable: Catalog) -> LabelCheck:
    """The same doubts about the slices of a dataset that has moved, grown or shrunk since.

    Slices are the same that have the same content and the same label; one whose label was changed
    since counts as not checked. Of several copies, each keeps its own doubt while it keeps its
    path; one that is new there is doubted where any of them was.

    Args:
        known: the usable slices that were checked.
        usable: those to tell of.
    """
    doubted = {doubt.row: doubt for doubt in check.doubts}
    contents, places = _contents(known), _places(known)
    by_content = {key: row for row, key in enumerate(contents)}
    by_content |= {contents[row]: row for row in doubted}
    by_place = {place: row for row, place in enumerate(places)}
    pairs = zip(_places(usable), _contents(usable), strict=True)
    sources = [by_place.get(place, by_content.get(key)) for place, key in pairs]
    found = [
        replace(doubted[source], row=row) for row, source in enumerate(sources) if source in doubted
    ]
    return replace(
        check,
        doubts=tuple(sorted(found, key=lambda doubt: doubt.probability)),
        checked=sum(source is not None for source in sources),
    )


def _contents(usable: Catalog) -> list[tuple[str, int, str]]:
    """What makes a slice and its label the same, wherever it lies."""
    table = usable.table
    return list(zip(table["sha256"], table["index"], table["label"], strict=True))


def _places(usable: Catalog) -> list[tuple[str, tuple[str, int, str]]]:
    """The same, and where it lies, which tells copies apart."""
    return list(zip(usable.table["path"], _contents(usable), strict=True))
