"""The last layer of a localization head, refitted to a few local patients around the old one.

What tells tumor from none in each cell are some fifty weights, the same for all cells. They are
fitted to the labels of slices and, where masks outline the tumors, to the cells too, with the loss
that trained them (see falx.model.localization) and a normal prior around the old weights (Chelba
and Acero, EMNLP 2004), so that the map still shows what decides. Slope and intercept of the logit
are fitted with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from falx.exporting.arrays import Convolution
from falx.exporting.direct import LinearHead
from falx.model.cells import TUMOR_WEIGHT

_CELL_WEIGHT = 3.0
"""Weight of the loss of cells; that of slices has 1."""
_STOP = {"maxiter": 60, "ftol": 1e-5}


@dataclass(frozen=True, eq=False)
class LocalCells:
    """Cells of the maps of local slices, in each view whose logits are averaged.

    Attributes:
        features: that the last layer is applied to, float32 (n, views, cells, depth).
        covers: fraction of each cell that is tumor, float32 (n, views, cells).
        outlined: whether that is known, bool (n,); of slices without a tumor, it is.
        tumor_map: the layer as the detector has it.
    """

    features: np.ndarray
    covers: np.ndarray
    outlined: np.ndarray
    tumor_map: Convolution

    def take(self, rows: np.ndarray) -> LocalCells:
        """Those of some of the slices, int (rows,)."""
        features, covers = self.features[rows], self.covers[rows]
        return LocalCells(features, covers, self.outlined[rows], self.tumor_map)


def evidence_of(tumor_map: Convolution, cells: LocalCells) -> np.ndarray:
    """What the head of a localized detector is applied to, the mean over views: float64 (n, 1)."""
    evidence, _ = _pooled(_logits(tumor_map, cells))
    return evidence.mean(axis=1, keepdims=True)


def refit_map(
    old: LinearHead,
    cells: LocalCells,
    labels: np.ndarray,
    weights: np.ndarray,
    *,
    l2: float,
    deviation: float,
) -> tuple[LinearHead, Convolution]:
    """Head and last layer that fit the slices best, with normal priors around the old ones.

    Args:
        old: head of one logit on the evidence.
        cells: of n slices.
        labels: 0 or 1, int (n,).
        weights: of the losses, float (n,).
        l2: penalty on half the squared change of the layer's weights, of features divided by the
            root of their mean variance.
        deviation: standard deviation of the prior on the log slope and on the intercept.
    """
    of_cells = _CELL_WEIGHT * weights * cells.outlined / cells.covers[0].size
    depth = cells.features.shape[-1]
    features = cells.features.reshape(-1, depth)
    # One for all features: by its own, a feature that is rare here would be almost free to change.
    scale = float(np.sqrt(features.var(axis=0, dtype=np.float64).mean()))
    kernel, bias = cells.tumor_map.kernel[0, :, 0, 0], cells.tumor_map.bias
    penalties = np.concatenate([np.full(2, 1 / deviation**2), np.full(depth, l2)])

    def loss(change: np.ndarray) -> tuple[float, np.ndarray]:
        slope, intercept = np.exp(change[0]), change[1]
        layer = (kernel + change[2:] / scale).astype(np.float32)
        logits = (features @ layer + bias[0]).reshape(cells.covers.shape)
        evidence, shares = _pooled(logits)
        before = evidence.mean(axis=1) * old.kernel[0, 0] + old.bias[0]
        slices_loss, by_slice = _slice_loss(slope * before + intercept, labels, weights)
        cells_loss, by_cell = _cell_loss(logits, cells.covers, of_cells)
        by_evidence = by_slice * slope * old.kernel[0, 0] / logits.shape[1]
        by_cell += by_evidence[:, None, None] * shares
        by_layer = (by_cell.reshape(-1).astype(np.float32) @ features) / scale
        gradient = np.concatenate([[(by_slice * slope * before).sum(), by_slice.sum()], by_layer])
        penalty = float((penalties * change**2).sum()) / 2
        return slices_loss + cells_loss + penalty, gradient + penalties * change

    best = minimize(loss, np.zeros(2 + depth), jac=True, method="L-BFGS-B", options=_STOP).x
    slope, layer = np.exp(best[0]), (kernel + best[2:] / scale).astype(np.float32)
    head = LinearHead(
        (old.kernel * slope).astype(np.float32),
        (old.bias * slope + best[1]).astype(np.float32),
    )
    return head, Convolution(layer[None, :, None, None], bias)


def _logits(tumor_map: Convolution, cells: LocalCells) -> np.ndarray:
    """Of cells, float32 (n, views, cells)."""
    logits: np.ndarray = cells.features @ tumor_map.kernel[0, :, 0, 0] + tumor_map.bias[0]
    return logits


def _pooled(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The evidence of the cells of each view, float64 (n, views), and its gradient by each cell."""
    largest = logits.max(axis=-1, keepdims=True)
    odds = np.exp(logits - largest)
    total = odds.sum(axis=-1, keepdims=True)
    evidence: np.ndarray = (np.log(total) + largest)[..., 0].astype(np.float64)
    return evidence, odds / total


def _slice_loss(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """Weighted sum of cross-entropies of slices, and its gradient by each logit (n,)."""
    value = float((weights * (np.logaddexp(0, logits) - labels * logits)).sum())
    gradient: np.ndarray = weights * (1 / (1 + np.exp(-logits)) - labels)
    return value, gradient


def _cell_loss(
    logits: np.ndarray, covers: np.ndarray, weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """The same of cells (n, views, cells), as falx.model.localization.CellLoss has it.

    Args:
        weights: of each cell of a slice, float (n,).
    """
    each = weights.astype(np.float32)[:, None, None] * (1 + np.float32(TUMOR_WEIGHT) * covers)
    powers = np.exp(-np.abs(logits))
    losses = np.maximum(logits, 0) + np.log1p(powers) - covers * logits
    probabilities = np.where(logits > 0, np.float32(1), powers) / (1 + powers)
    return float((each * losses).sum(dtype=np.float64)), each * (probabilities - covers)
