"""A trained network with all that it needs to answer as a detector does."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from falx.model.network import network_input
from falx.model.reference import Reference, reference_network


@dataclass(frozen=True, eq=False)
class Deployed:
    """What is exported.

    Attributes:
        network: as `build_network` made it, calibrated; grey levels -> logits.
        reference: what distances are measured from.
        mirrored: whether logits and heat maps are the means over a view and its mirror image.
    """

    network: keras.Model
    reference: Reference
    mirrored: bool = False

    def logits(self, views: np.ndarray) -> np.ndarray:
        """Logits float32 (n, k) of views uint8 (n, size, size), by Keras."""
        found = self.network.predict_on_batch(network_input(views))
        if not self.mirrored:
            return np.asarray(found)
        turned = self.network.predict_on_batch(network_input(views[:, :, ::-1]))
        return np.asarray((found + turned) / 2)

    def distances(self, views: np.ndarray) -> np.ndarray:
        """How far views uint8 (n, size, size) are from training slices, by Keras: float64 (n,)."""
        features = reference_network(self.network).predict_on_batch(network_input(views))
        return self.reference.distances(np.asarray(features))
