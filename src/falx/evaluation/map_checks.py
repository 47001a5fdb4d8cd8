"""Whether heat maps are true, on slices without masks: both checks on one sample of slices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from falx.detect.detector import Detector
from falx.evaluation.deletion import DeletionScores, most_alike, score_deletion
from falx.evaluation.randomization import RandomizationScores, score_randomization
from falx.evaluation.results import Results
from falx.progress import Listener, silent

_POOL = 500  # slices of another answer to choose from, so that memory stays small


@dataclass(frozen=True)
class MapChecks:
    """What can be said of heat maps without masks.

    Attributes:
        n: slices that were checked.
        of: slices that could have been: those called positive where there are two classes, whose
            evidence the maps show, else all.
        deletion: None where all slices got the same answer, so that nothing can take the place of
            what is deleted.
        randomization: None where the detector came without its Keras network.
    """

    n: int
    of: int
    deletion: DeletionScores | None
    randomization: RandomizationScores | None

    def as_dict(self) -> dict[str, Any]:
        """The checks as plain values that JSON can hold."""
        return {
            "n": self.n,
            "of": self.of,
            "deletion_insertion": self.deletion.as_dict() if self.deletion else None,
            "randomization": self.randomization.as_dict() if self.randomization else None,
        }


def check_maps(
    detector: Detector,
    results: Results,
    network: Path,
    most: int,
    *,
    seed: int = 0,
    listener: Listener = silent,
) -> MapChecks | None:
    """Check the heat maps of some slices; None where there are fewer than two.

    Args:
        results: what the detector said.
        network: file of the Keras network; it may be missing.
        most: how many slices at most.
        seed: of the sample, the random orders and the random networks.
    """
    binary = len(results.classes) == 2
    answers = np.array([results.classes.index(name) for name in results.predicted], np.int64)
    fit = np.flatnonzero(answers == 1) if binary else np.arange(len(answers))
    rng = np.random.default_rng(seed)
    rows = fit[sample_groups(results.groups[fit], most, rng)]
    if len(rows) < 2:
        return None
    views, asked, groups = results.views[results.rows[rows]], answers[rows], results.groups[rows]
    randomization = None
    if network.is_file():
        randomization = score_randomization(
            keras.saving.load_model(network, compile=False),
            views, asked, groups, mirrored=detector.settings.mirrored, seed=seed, listener=listener,
        )  # fmt: skip
    deletion = None
    others = _answered_otherwise(results, answers, views, asked, rng)
    if others is not None:
        deletion = score_deletion(
            views, others, list(detector.evidence(views, asked, maps="mirrored")),
            detector.probabilities, asked, groups, seed=seed, listener=listener,
        )  # fmt: skip
    return MapChecks(len(rows), len(fit), deletion, randomization)


def sample_groups(groups: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Some rows at random, one of each group before a second of any: sorted int (at most `most`,).

    Args:
        groups: group of each row, int (n,).
    """
    order = rng.permutation(len(groups))
    seen: dict[int, int] = {}
    turns = np.empty(len(groups), np.int64)
    for row in order:
        turns[row] = seen[groups[row]] = seen.get(groups[row], -1) + 1
    chosen = order[np.argsort(turns[order], kind="stable")][:most]
    return np.sort(chosen)


def _answered_otherwise(
    results: Results,
    answers: np.ndarray,
    views: np.ndarray,
    asked: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray | None:
    """For each view the most alike of another answer, uint8 (n, size, size); None without any."""
    others = np.empty_like(views)
    for code in np.unique(asked):
        rows = rng.permutation(np.flatnonzero(answers != code))[:_POOL]
        if not len(rows):
            return None
        pool = results.views[results.rows[rows]]
        here = asked == code
        others[here] = pool[most_alike(views[here], pool)]
    return others
