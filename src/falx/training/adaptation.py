"""Last layers for another place: the old ones as the prior of those fitted to a few local patients.

Maximum a posteriori estimates with a normal prior around the old head (Chelba and Acero, EMNLP
2004): without local evidence, nothing changes. Slices of one
group are alike, so m of them count as the square root of m: between one, if they were copies, and
m, if they were independent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.model_selection import GroupKFold

from falx.exporting.arrays import Convolution
from falx.exporting.direct import LinearHead
from falx.training.map_adaptation import LocalCells, evidence_of, refit_map

Candidate = Literal["rules", "wide", "map", "head"]

MAX_FOLDS = 5

NARROW, WIDE = 0.25, 2.5
"""Standard deviations of the prior on the log slope and on each intercept: that of temperature
scaling (see falx.evaluation.calibration), and one that lets go of a detector that is far off."""
_HEAD_L2 = (1e4, 1e3, 1e2, 1e1, 1e0)
"""Penalties on half the squared change of the kernel, of standardized features; the first of the
best is taken."""
_MAP_L2 = 0.3
"""The same for the last layer of a localization head, of features divided by the root of their mean
variance (see falx.training.map_adaptation). One: with one choice more, five patients tell less."""


@dataclass(frozen=True, eq=False)
class LocalSlices:
    """Labeled slices of a place, as a linear head sees them.

    Attributes:
        features: that the head is applied to, float64 (n, depth).
        labels: class codes, int (n,).
        groups: int (n,).
        cells: of a localization head; None of other detectors.
    """

    features: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    cells: LocalCells | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def weights(self) -> np.ndarray:
        """Of the losses, float (n,): a group of m slices counts as the square root of m."""
        _, codes, counts = np.unique(self.groups, return_inverse=True, return_counts=True)
        weights: np.ndarray = 1 / np.sqrt(counts[codes])
        return weights

    def take(self, rows: np.ndarray) -> LocalSlices:
        """Some of the slices, int (rows,)."""
        cells = self.cells and self.cells.take(rows)
        return LocalSlices(self.features[rows], self.labels[rows], self.groups[rows], cells)


@dataclass(frozen=True, eq=False)
class Layers:
    """The last layers of a detector.

    Attributes:
        tumor_map: the last of a localization head; None where that stays as it is.
    """

    head: LinearHead
    tumor_map: Convolution | None = None

    def logits(self, slices: LocalSlices) -> np.ndarray:
        """Of local slices, float64 (n, k)."""
        if self.tumor_map is None or slices.cells is None:
            return logits_of(self.head, slices.features)
        return logits_of(self.head, evidence_of(self.tumor_map, slices.cells))


@dataclass(frozen=True, eq=False)
class AdaptedLayers:
    """Layers, and what layers fitted alike give for slices of other groups.

    Attributes:
        layers: fitted to all of the slices.
        logits: of the same slices, out of fold, float (n, k).
    """

    layers: Layers
    logits: np.ndarray


def adapt_layers(candidate: Candidate, old: LinearHead, slices: LocalSlices) -> AdaptedLayers:
    """Fit the last layers to local slices of at least two groups, by one of the candidates.

    "rules" changes slope and intercept of the logits (Platt, 1999), "wide" too, with a wider prior.
    "map" changes the last layer of a localization head as well, and "head" every weight of a linear
    head, with the penalty that is best out of fold.
    """
    penalties = _HEAD_L2 if candidate == "head" else (None,)
    fits = [_out_of_fold(partial(fit_layers, candidate, old, l2=l2), slices) for l2 in penalties]
    return min(fits, key=lambda fit: group_losses(fit.logits, slices.labels, slices.groups).mean())


def fit_layers(
    candidate: Candidate, old: LinearHead, slices: LocalSlices, *, l2: float | None = None
) -> Layers:
    """The last layers that fit local slices best, by one of the candidates.

    Args:
        l2: penalty of "head"; by default the one in the middle.
    """
    if candidate == "head":
        return Layers(refitted(old, slices, l2=l2 or _HEAD_L2[len(_HEAD_L2) // 2]))
    if candidate == "map":
        if slices.cells is None:
            raise ValueError("Only a localization head has a map.")
        layers = refit_map(
            old, slices.cells, slices.labels, slices.weights,
            l2=_MAP_L2, deviation=NARROW,
        )  # fmt: skip
        return Layers(*layers)
    return Layers(rescaled(old, slices, deviation=WIDE if candidate == "wide" else NARROW))


def fold_pairs(groups: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows to fit to and rows to test on, of each of up to `MAX_FOLDS` folds of whole groups."""
    count = min(MAX_FOLDS, len(np.unique(groups)))
    return list(GroupKFold(count).split(groups, groups=groups))


def rescaled(old: LinearHead, slices: LocalSlices, *, deviation: float = NARROW) -> LinearHead:
    """The head with the slope and the intercepts that fit the slices best (Platt, 1999).

    Args:
        deviation: standard deviation of the prior on the log slope and on each intercept.
    """
    l2 = 1 / deviation**2
    logits = logits_of(old, slices.features)

    def loss(change: np.ndarray) -> tuple[float, np.ndarray]:
        slope = np.exp(change[0])
        value, gradient = _weighted_loss(slope * logits + change[1:], slices)
        by_change = np.concatenate([[(gradient * slope * logits).sum()], gradient.sum(axis=0)])
        penalty = l2 / 2 * (change**2).sum()
        return value + penalty, by_change + l2 * change

    best = minimize(loss, np.zeros(1 + logits.shape[1]), jac=True, method="L-BFGS-B").x
    slope = np.exp(best[0])
    return _as_head(old.kernel * slope, old.bias * slope + best[1:])


def refitted(old: LinearHead, slices: LocalSlices, *, l2: float) -> LinearHead:
    """The head whose weights fit the slices best, with a normal prior around the old ones.

    Args:
        l2: penalty on half the squared change of the kernel, of standardized features.
    """
    center, scale = slices.features.mean(axis=0), slices.features.std(axis=0)
    # A feature that is constant here tells nothing, and its weight stays.
    standardized = (slices.features - center) / np.where(scale > 0, scale, np.inf)
    logits, shape = logits_of(old, slices.features), old.kernel.shape
    penalties = np.append(np.full(shape[0], l2), 1 / WIDE**2)[:, None]
    inputs = np.column_stack([standardized, np.ones(len(slices))])

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        change = flat.reshape(shape[0] + 1, shape[1])
        value, gradient = _weighted_loss(logits + inputs @ change, slices)
        by_change = inputs.T @ gradient + penalties * change
        return value + float((penalties * change**2).sum()) / 2, by_change.ravel()

    start = np.zeros((shape[0] + 1) * shape[1])
    change = minimize(loss, start, jac=True, method="L-BFGS-B").x.reshape(-1, shape[1])
    kernel = change[:-1] / np.where(scale > 0, scale, np.inf)[:, None]
    return _as_head(old.kernel + kernel, old.bias + change[-1] - center @ kernel)


def logits_of(head: LinearHead, features: np.ndarray) -> np.ndarray:
    """Logits float64 (n, k) of features (n, depth)."""
    return features.astype(np.float64) @ head.kernel.astype(np.float64) + head.bias


def group_losses(logits: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean log loss of the slices of each group, in order of the groups: float (groups,)."""
    codes = np.unique(groups, return_inverse=True)[1]
    losses = -log_softmax(_by_class(logits), axis=1)[np.arange(len(labels)), labels]
    means: np.ndarray = np.bincount(codes, losses) / np.bincount(codes)
    return means


def _out_of_fold(fit: Callable[[LocalSlices], Layers], slices: LocalSlices) -> AdaptedLayers:
    layers = fit(slices)
    logits = np.empty((len(slices), len(layers.head.bias)))
    for rest, tested in fold_pairs(slices.groups):
        logits[tested] = fit(slices.take(rest)).logits(slices.take(tested))
    return AdaptedLayers(layers, logits)


def _weighted_loss(logits: np.ndarray, slices: LocalSlices) -> tuple[float, np.ndarray]:
    """Weighted sum of log losses, and its gradient by the logits, float (n, k)."""
    scores, rows = _by_class(logits), np.arange(len(slices))
    weights = slices.weights
    value = -(weights * log_softmax(scores, axis=1)[rows, slices.labels]).sum()
    gradient = softmax(scores, axis=1)
    gradient[rows, slices.labels] -= 1
    gradient *= weights[:, None]
    return float(value), gradient[:, -logits.shape[1] :]


def _by_class(logits: np.ndarray) -> np.ndarray:
    """A logit a class, float (n, classes): of two, that of the first is 0."""
    if logits.shape[1] > 1:
        return logits
    return np.column_stack([np.zeros(len(logits)), logits])


def _as_head(kernel: np.ndarray, bias: np.ndarray) -> LinearHead:
    return LinearHead(kernel.astype(np.float32), bias.astype(np.float32))
