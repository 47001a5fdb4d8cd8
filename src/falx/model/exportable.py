"""A trained network with all that an exported detector needs besides its settings."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from falx.model.mahalanobis import ood_feature_network
from falx.model.reference import MahalanobisReference
from falx.model.scaling import network_input


@dataclass(frozen=True, eq=False)
class ExportableModel:
    """What is exported.

    Attributes:
        network: as returned by `build_network`, calibrated; gray levels -> logits.
        reference: of the Mahalanobis distances.
        flip_tta: whether logits and heat maps are averaged over a view and its mirror image.
    """

    network: keras.Model
    reference: MahalanobisReference
    flip_tta: bool = False

    def logits(self, views: np.ndarray) -> np.ndarray:
        """Logits float32 (n, k) of views uint8 (n, size, size), by Keras."""
        logits = _outputs(self.network, views)
        return (logits + _outputs(self.network, views[:, :, ::-1])) / 2 if self.flip_tta else logits

    def distances(self, views: np.ndarray) -> np.ndarray:
        """Mahalanobis distances float64 (n,) of views uint8 (n, size, size), by Keras."""
        return self.reference.distances(_outputs(ood_feature_network(self.network), views))


def _outputs(network: keras.Model, views: np.ndarray) -> np.ndarray:
    """Outputs float32 for views uint8 (n, size, size).

    They are computed once, so that tracing a graph first, as `predict` does, would take longer.
    """
    return keras.ops.convert_to_numpy(network(network_input(views), training=False))
