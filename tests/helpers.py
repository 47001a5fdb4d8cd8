"""Objects that tests in several folders need."""

import keras
import numpy as np

from falx.model.exportable import ExportableModel
from falx.model.mahalanobis import MahalanobisReference, ood_feature_network


def exportable_model(network: keras.Model, *, flip_tta: bool = False) -> ExportableModel:
    """A network with an identity reference: distances are norms of its features."""
    channels = ood_feature_network(network).output.shape[-1]
    reference = MahalanobisReference(
        np.zeros(channels, np.float32), np.eye(channels, dtype=np.float32)
    )
    return ExportableModel(network, reference, flip_tta)
