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
        logits = self.network.predict_on_batch(network_input(views))
        if not self.flip_tta:
            return np.asarray(logits)
        flipped = self.network.predict_on_batch(network_input(views[:, :, ::-1]))
        return np.asarray((logits + flipped) / 2)

    def distances(self, views: np.ndarray) -> np.ndarray:
        """Mahalanobis distances float64 (n,) of views uint8 (n, size, size), by Keras."""
        features = ood_feature_network(self.network).predict_on_batch(network_input(views))
        return self.reference.distances(np.asarray(features))
