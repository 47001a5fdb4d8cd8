"""A linear head fitted in one go: logistic regression on features of the trunk.

If only a linear head is trained, its loss is convex, and L-BFGS finds the minimum in less time than
an optimizer takes for an epoch or two, with an L2 penalty on standardized features. Such linear
probing before fine-tuning also distorts features less (Kumar et al., ICLR 2022).
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

_MAX_ITERATIONS = 5000


def fit_logistic(
    features: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    views: int,
    l2: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel float32 (depth, k) and bias (k,) of the linear layer with the lowest penalized loss.

    Args:
        features: float (n, depth), of all views of all slices.
        labels: class codes, int (n,), of at least two classes.
        weights: of the losses, float (n,); None where all count the same.
        views: number of views of each slice; together they have the weight of one.
        l2: penalty on half the sum of squared weights of standardized features, relative to the sum
            of losses over slices.

    Returns:
        k is 1 for two classes, with the logit of the second, otherwise the number of classes.
    """
    scaler = StandardScaler()
    standardized = scaler.fit_transform(features.astype(np.float64))
    model = LogisticRegression(
        C=1 / (l2 * views),
        max_iter=_MAX_ITERATIONS,
    ).fit(standardized, labels, sample_weight=weights)
    kernel = model.coef_.T / scaler.scale_[:, None]
    bias = model.intercept_ - scaler.mean_ @ kernel
    return kernel.astype(np.float32), bias.astype(np.float32)
