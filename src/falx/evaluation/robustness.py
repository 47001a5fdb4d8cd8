"""Robustness: what a detector predicts where slices are corrupted.

Every corruption of falx.image.corruptions is applied at every strength to the slices as their files
hold them, so that the head is found in the corrupted slice (after Hendrycks and Dietterich,
ICLR 2019).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.data.read import read_slices
from falx.data.slices import Slice
from falx.detect.rules import Rules, statuses
from falx.evaluation.faithfulness import sample_groups
from falx.evaluation.metrics import score
from falx.image.corruptions import CORRUPTIONS, corrupt
from falx.image.render import render
from falx.parallel import in_parallel
from falx.progress import Listener, Progress, silent
from falx.recipe import Rendering
from falx.statistics import Estimate, mean_interval

Predictor = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Probabilities, float (n, classes), and distances, float (n,), of views uint8 (n, size, size)."""

MAX_SLICES = 500
"""Slices at most that are corrupted."""

TASK = "Robustness"

_CHUNK = 16
"""Slices whose corrupted views are in memory at a time."""
_UNKNOWN = Estimate(np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class RobustnessRow:
    """The scores of slices under one corruption.

    Attributes:
        corruption: of falx.image.corruptions.CORRUPTIONS; "none" for the slices as they are.
        strength: from 1; 0 for the slices as they are.
        amount: what the strength stands for, such as "quality 100 - 50".
        roc_auc, sensitivity, specificity: of all slices, rejected or not; of more than two classes,
            macro averages, one versus the rest.
        out_of_distribution: fraction rejected as out-of-distribution.
        referred: fraction of the others that are to be referred.
        roc_auc_change, out_of_distribution_change: from the slices as they are.
    """

    corruption: str
    strength: int
    amount: str
    roc_auc: Estimate
    sensitivity: Estimate
    specificity: Estimate
    out_of_distribution: Estimate
    referred: Estimate
    roc_auc_change: float
    out_of_distribution_change: float


@dataclass(frozen=True)
class RobustnessScores:
    """The scores of a sample of slices under all corruptions.

    Attributes:
        n: slices sampled.
        eligible: slices to sample from.
        uncorrupted: the same slices as they are.
        rows: one for each corruption and strength.
    """

    n: int
    eligible: int
    uncorrupted: RobustnessRow
    rows: tuple[RobustnessRow, ...]

    def at(self, strength: int) -> tuple[RobustnessRow, ...]:
        """The rows of one strength."""
        return tuple(row for row in self.rows if row.strength == strength)

    @property
    def table(self) -> pd.DataFrame:
        """A row for each corruption and strength, the slices as they are first."""
        return pd.DataFrame([_flat(row) for row in (self.uncorrupted, *self.rows)])


def score_robustness(
    predict: Predictor,
    usable: Catalog,
    rendering: Rendering,
    rules: Rules,
    *,
    max_slices: int = MAX_SLICES,
    seed: int = 0,
    listener: Listener = silent,
) -> RobustnessScores | None:
    """Corrupt some slices in every way and predict them; None where a class has none.

    Every slice is cropped by itself, also where it is of a volume.

    Args:
        usable: of these slices, at most `max_slices` are sampled, one of each group before a second
            of any.
        rules: of the detector.
        seed: of the sample, and of what is random in corruptions.

    Raises:
        UnreadableImage: a file can't be read any more.
    """
    if len(np.unique(usable.labels)) < len(usable.classes):
        return None
    sample = sample_groups(usable.groups, max_slices, np.random.default_rng(seed))
    rows = sample[np.argsort(usable.table["path"].to_numpy()[sample], kind="stable")]
    variants = [("none", 0), *_variants()]
    found = [
        predict(views)
        for views in corrupted_views(
            usable, rows, variants, rendering, seed=seed, listener=listener
        )
    ]
    probabilities = np.concatenate([each for each, _ in found])
    distances = np.concatenate([each for _, each in found])
    n = len(variants)
    uncorrupted, *corrupted = (
        _row(usable, rows, variant, probabilities[i::n], distances[i::n], rules)
        for i, variant in enumerate(variants)
    )
    return RobustnessScores(
        len(rows), len(usable), uncorrupted, tuple(_compared(row, uncorrupted) for row in corrupted)
    )


def corrupted_views(
    usable: Catalog,
    rows: np.ndarray,
    variants: Sequence[tuple[str, int]],
    rendering: Rendering,
    *,
    seed: int = 0,
    listener: Listener = silent,
) -> Iterator[np.ndarray]:
    """Views of a few slices at a time, each in all variants: uint8 (slices * variants, size, size).

    Args:
        rows: in the order of the result, int (n,); those of one file together.
        variants: name and strength of corruptions; strength 0 is the slice as it is.
        seed: of what is random in corruptions.
    """

    def views_of(named: tuple[str, np.ndarray]) -> np.ndarray:
        content, pixels = named
        corrupted = (_variant(pixels, *variant, f"{seed}:{content}") for variant in variants)
        return np.stack([render(each, rendering) for each in corrupted])

    done = 0
    for chunk in _chunks(_pixels(usable, rows)):
        # Without progress of its own: the sample is what is counted.
        views = list(in_parallel(views_of, chunk, TASK, silent))
        done += len(chunk)
        listener(Progress(TASK, done, len(rows)))
        yield np.concatenate(views)


def _variants() -> Iterator[tuple[str, int]]:
    """Name and strength of every corruption."""
    for name, corruption in CORRUPTIONS.items():
        for strength in range(1, len(corruption.amounts) + 1):
            yield name, strength


def _pixels(usable: Catalog, rows: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """A name of each slice's content, and its pixels; a file is read once."""
    paths = usable.table["path"].to_numpy()[rows]
    indices = usable.table["index"].to_numpy(np.int64)[rows]
    hashes = usable.table["sha256"].to_numpy()[rows]
    slices: dict[int, Slice] = {}
    for i, row in enumerate(rows.tolist()):
        if not i or paths[i] != paths[i - 1]:
            slices = {each.index: each for each in read_slices(usable.file(row))}
        yield f"{hashes[i]}:{indices[i]}", slices[int(indices[i])].pixels


def _chunks(slices: Iterable[tuple[str, np.ndarray]]) -> Iterator[list[tuple[str, np.ndarray]]]:
    remaining = iter(slices)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk


def _variant(pixels: np.ndarray, name: str, strength: int, content: str) -> np.ndarray:
    """A slice in one variant; what is random depends on its content, not on its place."""
    if not strength:
        return pixels
    return corrupt(pixels, name, strength, zlib.crc32(f"{content}:{name}:{strength}".encode()))


def _row(
    usable: Catalog,
    rows: np.ndarray,
    variant: tuple[str, int],
    probabilities: np.ndarray,
    distances: np.ndarray,
    rules: Rules,
) -> RobustnessRow:
    name, strength = variant
    labels, groups = usable.labels[rows], usable.groups[rows]
    limit = np.inf if rules.ood_threshold is None else rules.ood_threshold
    found = statuses(probabilities, distances, rules.threshold, rules.conformal_threshold, limit)
    known = found != "out_of_distribution"
    scores = score(
        labels, probabilities, groups, usable.classes, threshold=rules.threshold
    ).estimates
    referred = mean_interval(found[known] == "refer", groups[known]) if known.any() else _UNKNOWN
    return RobustnessRow(
        corruption=name,
        strength=strength,
        amount=CORRUPTIONS[name].described(strength) if strength else "",
        roc_auc=scores["roc_auc"],
        sensitivity=scores["sensitivity"],
        specificity=scores["specificity"],
        out_of_distribution=mean_interval(~known, groups),
        referred=referred,
        roc_auc_change=0.0,
        out_of_distribution_change=0.0,
    )


def _compared(row: RobustnessRow, uncorrupted: RobustnessRow) -> RobustnessRow:
    rejected = row.out_of_distribution.value - uncorrupted.out_of_distribution.value
    return replace(
        row,
        roc_auc_change=row.roc_auc.value - uncorrupted.roc_auc.value,
        out_of_distribution_change=rejected,
    )


def _flat(row: RobustnessRow) -> dict[str, object]:
    """Values by column; an estimate has three."""
    cells: dict[str, object] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        if isinstance(value, Estimate):
            cells |= {field.name: value.value, f"{field.name}_low": value.low,
                      f"{field.name}_high": value.high}  # fmt: skip
        else:
            cells[field.name] = value
    return cells
