"""A linear head fitted at once: logistic regression on features of the trunk.

Where the head alone is trained and is linear, its loss has one minimum, which L-BFGS finds in less
time than an optimizer takes for an epoch or two, and with a penalty that is of the same size for
each feature. Probing so before fine-tuning also distorts features less (Kumar et al., ICLR 2022).
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

_STEPS = 5000


def fit_logistic(
    features: np.ndarray, labels: np.ndarray, *, views: int, penalty: float, balanced: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel float32 (depth, k) and bias (k,) of a linear layer whose logits are of least loss.

    Args:
        features: float (n, depth), of all views of all slices.
        labels: class codes, int (n,), at least two different ones.
        views: of each slice, which count together as one.
        penalty: of half the sum of squared weights of standardized features, beside the sum of
            losses over slices.
        balanced: whether each class weighs the same.

    Returns:
        k is 1 for two classes, whose logit is that of the second, else the number of classes.
    """
    scaler = StandardScaler()
    standard = scaler.fit_transform(features.astype(np.float64))
    model = LogisticRegression(
        C=1 / (penalty * views),
        class_weight="balanced" if balanced else None,
        max_iter=_STEPS,
    ).fit(standard, labels)
    kernel = model.coef_.T / scaler.scale_[:, None]
    bias = model.intercept_ - scaler.mean_ @ kernel
    return kernel.astype(np.float32), bias.astype(np.float32)
