"""Whether two samples of groups differ in anything: the energy distance, tested by permutation.

The energy distance (Szekely and Rizzo, J. Stat. Plan. Inference 143, 2013) is twice the mean
distance between slices of the two samples, less the mean distances within each; it is 0 if, and
only if, they are of one distribution. So it sees another mean, and another spread: the slices of
one scanner differ from those of many by being more alike. Its null distribution is that over
permutations of which group is of which sample, so none is assumed.

Groups count once: distances are means over the slices of two groups, and those within a group,
whose slices are alike, are left out. A mean over several slices varies less than a distance of two,
so with groups of several the test is stricter than it says.
"""

from __future__ import annotations

import numpy as np

PERMUTATIONS = 4999
MAX_GROUPS = 200
"""Of the tested ones; with more, no difference that matters would go unnoticed."""
MAX_SLICES = 8
"""Of a group."""

_CHUNK = 1000
_SHRINKAGE = 0.1
_EPSILON = 1e-9


def p_value(tested: np.ndarray, groups: np.ndarray, trained: np.ndarray, *, seed: int = 0) -> float:
    """How often two samples would differ as much if they were of one distribution, (0, 1].

    Args:
        tested: standardized measurements of slices, float (n, measurements), all finite.
        groups: of each, int (n,).
        trained: the same of one slice of each of at least two groups, (n_trained, measurements).
        seed: of permutations, and of what is left out of many groups or slices.
    """
    rows = _some(groups, np.random.default_rng((seed, 0)))
    # Permutations do not depend on how many slices groups have.
    rng = np.random.default_rng((seed, 1))
    mean_of_groups = _averaging(groups[rows])
    distances = _distances_of_groups(tested[rows], mean_of_groups, trained)
    labels = np.zeros(len(distances), bool)
    labels[: len(mean_of_groups)] = True
    observed = _energies(distances, labels[None])[0]
    exceeding = 0
    for start in range(0, PERMUTATIONS, _CHUNK):
        size = min(_CHUNK, PERMUTATIONS - start)
        permuted = rng.permuted(np.tile(labels, (size, 1)), axis=1)
        exceeding += int((_energies(distances, permuted) >= observed - _EPSILON).sum())
    # The observed labels are one of the permutations.
    return (1 + exceeding) / (1 + PERMUTATIONS)


def _some(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of at most `MAX_SLICES` random slices of at most `MAX_GROUPS` random groups."""
    kept = rng.permutation(np.unique(groups))[:MAX_GROUPS]
    shuffled = rng.permutation(np.flatnonzero(np.isin(groups, kept)))
    members = [shuffled[groups[shuffled] == group][:MAX_SLICES] for group in kept]
    return np.sort(np.concatenate(members))


def _averaging(groups: np.ndarray) -> np.ndarray:
    """A matrix that takes values of slices to means of groups, float (groups, n)."""
    codes = np.unique(groups, return_inverse=True)[1]
    belongs = np.arange(codes.max() + 1)[:, None] == codes
    averaging: np.ndarray = belongs / belongs.sum(axis=1, keepdims=True)
    return averaging


def _distances_of_groups(
    tested: np.ndarray, mean_of_groups: np.ndarray, trained: np.ndarray
) -> np.ndarray:
    """Mean distances of the slices of two groups, (all groups, all groups), 0 on the diagonal."""
    whitening = _whitening(np.concatenate([mean_of_groups @ tested, trained]))
    tested, trained = tested @ whitening, trained @ whitening
    across = mean_of_groups @ _distances(tested, trained)
    within = mean_of_groups @ _distances(tested, tested) @ mean_of_groups.T
    distances = np.block([[within, across], [across.T, _distances(trained, trained)]])
    np.fill_diagonal(distances, 0)
    return distances


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Euclidean distances of rows, float (one, other)."""
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    distances: np.ndarray = np.sqrt(np.maximum(squares, 0))
    return distances


def _whitening(values: np.ndarray) -> np.ndarray:
    """What makes measurements (groups, measurements) uncorrelated, but for the shrinkage."""
    covariance = np.cov(values.T).reshape(values.shape[1], values.shape[1])
    variances = np.maximum(np.diag(covariance), _EPSILON)
    shrunk = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * np.diag(variances)
    shrunk += _EPSILON * np.eye(len(shrunk))
    whitening: np.ndarray = np.linalg.cholesky(np.linalg.inv(shrunk))
    return whitening


def _energies(distances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The energy distance of labeled groups and the others: float (permutations,).

    Args:
        distances: of groups, float (n, n).
        labels: bool (permutations, n), with as many labeled in each.
    """
    weights = labels.astype(np.float64)
    n, n_one = labels.shape[1], int(labels[0].sum())
    n_other = n - n_one
    within = ((weights @ distances) * weights).sum(axis=1)
    across = weights @ distances.sum(axis=1) - within
    others = distances.sum() - 2 * across - within
    energies: np.ndarray = (
        2 * across / (n_one * n_other)
        - within / (n_one * (n_one - 1))
        - others / (n_other * (n_other - 1))
    )
    return energies
