"""Prior shift: how frequent classes are at a place, from probabilities alone."""

from __future__ import annotations

import numpy as np

from falx.exporting.direct import LinearHead

_STEPS, _CLOSE = 1000, 1e-6
_LEAST = 1e-3
"""No class is estimated to be rarer."""


def estimate_prior(probabilities: np.ndarray) -> np.ndarray:
    """How frequent each class is, by expectation maximization: float (classes,), of sum 1.

    The method is that of Saerens, Latinne and Decaestecker (Neural Computation 14, 2002), for
    probabilities of a detector to which all classes were equally frequent. It assumes that nothing
    but the frequencies differs at the place (label shift): where slices look different, or the
    detector is not calibrated, the estimate is wrong, and nothing in the probabilities says so.

    Args:
        probabilities: calibrated, of unlabeled slices, float (n, classes).
    """
    classes = probabilities.shape[1]
    prior = np.full(classes, 1 / classes)
    for _ in range(_STEPS):
        before, prior = prior, shifted(probabilities, prior).mean(axis=0)
        if np.abs(prior - before).max() < _CLOSE:
            break
    bounded = np.maximum(prior, _LEAST)
    result: np.ndarray = bounded / bounded.sum()
    return result


def shifted(probabilities: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Probabilities float (n, classes) where classes are as frequent as a prior (classes,) says."""
    weighted = probabilities * prior
    result: np.ndarray = weighted / weighted.sum(axis=1, keepdims=True)
    return result


def with_prior(head: LinearHead, prior: np.ndarray) -> LinearHead:
    """The head whose probabilities are `shifted`: of two classes, it has one logit."""
    logs = np.log(prior)
    change = logs if len(head.bias) > 1 else logs[1:] - logs[:1]
    return LinearHead(head.kernel, (head.bias + change).astype(np.float32))
