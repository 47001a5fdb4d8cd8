"""Out-of-distribution detection by the Mahalanobis distance to the features of training slices.

The method is that of Lee et al. (NeurIPS 2018), with one Gaussian for all classes, on the
global average of one layer in the middle of the backbone. Its channels still discriminate textures
and edges; those of the last layers discriminate tumor from no tumor, and little else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from falx.serialization import read_arrays

OOD_LAYER = "block_6_expand_relu"
"""Backbone layer whose features are used: the last at an eighth of the input's resolution."""

OOD_LAYER_INDEX = 56
"""Index of `OOD_LAYER` in the backbone, as `unfreeze_from` of a phase counts."""

REFERENCE_FILE = "reference.npz"


@dataclass(frozen=True, eq=False)
class MahalanobisReference:
    """Mean and covariance of training features: distance = |(features - mean) whitening|.

    Attributes:
        mean: float32 (channels,).
        whitening: Cholesky factor of the inverse covariance, float32 (channels, channels).
    """

    mean: np.ndarray
    whitening: np.ndarray

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Mahalanobis distances float64 (n,) of features (n, channels)."""
        centered = features.astype(np.float64) - self.mean
        whitened = centered @ self.whitening.astype(np.float64)
        distances: np.ndarray = np.sqrt((whitened**2).sum(axis=1))
        return distances

    def save(self, folder: Path) -> None:
        """Write reference.npz into a folder."""
        np.savez(folder / REFERENCE_FILE, mean=self.mean, whitening=self.whitening)

    @classmethod
    def load(cls, folder: Path) -> MahalanobisReference:
        """Read what `save` wrote.

        Raises:
            BrokenRun: the file is missing or damaged.
        """
        return cls(**read_arrays(folder / REFERENCE_FILE, "mean", "whitening"))
