"""What a network was trained on, as a place and a shape in its own features.

How far a slice is from it says whether the network can know anything of it: the Mahalanobis
distance of features to those of training slices (Lee et al., NeurIPS 2018), here of the means over
all places of one layer in the middle of the backbone. There channels still tell textures and edges
apart; those at the end tell tumors from none, and little else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from falx.errors import BrokenRun
from falx.model.network import backbone_of

LAYER = "block_6_expand_relu"
"""Where features are taken from: the last at an eighth of the view's side."""

LAYER_NUMBER = 56
"""Its number in the backbone, as a phase's `train_from` counts."""

FILE = "reference.npz"


@dataclass(frozen=True, eq=False)
class Reference:
    """Features of training slices: distance = |(features - mean) whitening|.

    Attributes:
        mean: float32 (channels,).
        whitening: float32 (channels, channels).
    """

    mean: np.ndarray
    whitening: np.ndarray

    def distances(self, features: np.ndarray) -> np.ndarray:
        """How far features (n, channels) are from those of training slices: float64 (n,)."""
        apart = (features.astype(np.float64) - self.mean) @ self.whitening.astype(np.float64)
        found: np.ndarray = np.sqrt((apart**2).sum(axis=1))
        return found

    def save(self, folder: Path) -> None:
        """Write reference.npz into a folder."""
        np.savez(folder / FILE, mean=self.mean, whitening=self.whitening)

    @classmethod
    def load(cls, folder: Path) -> Reference:
        """Read what `save` wrote.

        Raises:
            BrokenRun: the file is missing or damaged.
        """
        file = folder / FILE
        try:
            with np.load(file) as content:
                return cls(content["mean"], content["whitening"])
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise BrokenRun(f"'{file}' is missing or damaged; copy the run anew.") from error


def reference_network(network: keras.Model) -> keras.Model:
    """Grey levels -> features (batch, channels) that distances are measured by.

    Args:
        network: as `build_network` made it; the result shares its variables.
    """
    backbone = backbone_of(network)
    lower = keras.Model(backbone.input, backbone.get_layer(LAYER).output, name="lower")
    middle = lower(network.get_layer("scale").output)
    features = keras.layers.GlobalAveragePooling2D(name="reference")(middle)
    return keras.Model(network.inputs[0], features, name="reference")
