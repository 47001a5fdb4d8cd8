"""Faithfulness of heat maps, measured without masks: deletion and randomization on one sample."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from falx.detect.detector import Detector
from falx.evaluation.deletion import DeletionScores, nearest_views, score_deletion
from falx.evaluation.predictions import Predictions
from falx.evaluation.randomization import RandomizationScores
from falx.exporting.linear_detector import has_keras
from falx.logs import import_keras
from falx.progress import Listener, silent

_POOL = 500  # slices of another predicted class to choose from, which bounds memory


@dataclass(frozen=True)
class FaithfulnessScores:
    """How far heat maps show what predictions rest on.

    Attributes:
        n: slices that were sampled.
        eligible: slices to sample from: of two classes, those predicted positive, whose evidence
            heat maps show; else all.
        deletion: None where all slices got the same prediction, so that nothing can replace what is
            deleted.
        randomization: None where the detector came without its Keras network.
    """

    n: int
    eligible: int
    deletion: DeletionScores | None
    randomization: RandomizationScores | None


def score_faithfulness(
    detector: Detector,
    predictions: Predictions,
    views: np.ndarray,
    folder: Path,
    max_slices: int,
    *,
    seed: int = 0,
    listener: Listener = silent,
) -> FaithfulnessScores | None:
    """Measure the faithfulness of some slices' heat maps; None with fewer than two.

    Args:
        predictions: of the detector.
        views: of the slices predicted, uint8 (n, size, size).
        folder: of the detector; its Keras network may be missing.
        max_slices: how many to sample at most.
        seed: of the sample, the random orders and the random networks.
    """
    codes, groups = predictions.predicted_codes[0], predictions.groups
    binary = len(predictions.classes) == 2
    eligible = np.flatnonzero(codes == 1) if binary else np.arange(len(codes))
    rng = np.random.default_rng(seed)
    rows = eligible[sample_groups(groups[eligible], max_slices, rng)]
    if len(rows) < 2:
        return None
    sampled = views[rows]
    randomization = None
    if has_keras(folder):
        import_keras()
        from falx.evaluation.shuffling import score_randomization
        from falx.exporting.keras_network import load_keras

        randomization = score_randomization(
            load_keras(folder), sampled, codes[rows], groups[rows],
            flip_tta=detector.settings.flip_tta, seed=seed, listener=listener,
        )  # fmt: skip
    deletion = None
    replacements = _replacements(views, codes, rows, rng)
    if replacements is not None:
        heat_maps = list(detector.evidence(sampled, codes[rows], maps="flip_tta"))
        deletion = score_deletion(
            sampled, replacements, heat_maps, detector.probabilities, codes[rows], groups[rows],
            seed=seed, listener=listener,
        )  # fmt: skip
    return FaithfulnessScores(len(rows), len(eligible), deletion, randomization)


def sample_groups(groups: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Random rows, one of each group before a second of any: sorted int (at most `size`,).

    Args:
        groups: group of each row, int (n,).
    """
    order = rng.permutation(len(groups))
    seen: dict[int, int] = {}
    turns = np.empty(len(groups), np.int64)
    for row in order:
        turns[row] = seen[groups[row]] = seen.get(groups[row], -1) + 1
    chosen = order[np.argsort(turns[order], kind="stable")][:size]
    return np.sort(chosen)


def _replacements(
    views: np.ndarray, codes: np.ndarray, rows: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """For some rows the nearest view of another predicted class; None where there is no other.

    Returns:
        uint8 (rows, size, size).
    """
    sampled, predicted = views[rows], codes[rows]
    replacements = np.empty_like(sampled)
    for code in np.unique(predicted):
        others = rng.permutation(np.flatnonzero(codes != code))[:_POOL]
        if not len(others):
            return None
        pool, here = views[others], predicted == code
        replacements[here] = pool[nearest_views(sampled[here], pool)]
    return replacements
