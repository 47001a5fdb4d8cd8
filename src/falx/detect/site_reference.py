"""What is kept of the training slices, so that others can be compared with them as a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from falx.detect.rules import Rules, is_conclusive
from falx.image.view_statistics import VIEW_STATISTICS, view_statistics
from falx.serialization import read_arrays

SITE_FILE = "site.npz"

_PROBABILITY_DECIMALS = 4
"""Runtimes differ in the digits behind these; close to 0 and 1, that alone would change ranks."""


@dataclass(frozen=True, eq=False)
class Measurements:
    """What the site check compares of n slices.

    Attributes:
        probabilities: calibrated, float32 (n, classes); NaN where only a network that has trained
            on the slice could give them.
        distances: Mahalanobis distances from training slices other than these, float32 (n,);
            infinite where a network gave no number.
        statistics: of the views, float32 (n, 23); see falx.image.view_statistics.
    """

    probabilities: np.ndarray
    distances: np.ndarray
    statistics: np.ndarray

    @classmethod
    def of(
        cls, views: np.ndarray, probabilities: np.ndarray, distances: np.ndarray
    ) -> Measurements:
        """Measurements of plain views uint8 (n, size, size), from what a detector gives for them.

        Args:
            probabilities: float (n, classes).
            distances: float (n,).
        """
        measured = [view_statistics(view) for view in views]
        return cls(
            np.round(probabilities, _PROBABILITY_DECIMALS).astype(np.float32),
            np.where(np.isfinite(distances), distances, np.inf).astype(np.float32),
            np.reshape(np.array(measured, np.float32), (-1, len(VIEW_STATISTICS))),
        )

    @classmethod
    def joined(cls, parts: Sequence[Measurements]) -> Measurements:
        """Measurements of several batches as those of all."""
        return cls(
            np.concatenate([each.probabilities for each in parts]),
            np.concatenate([each.distances for each in parts]),
            np.concatenate([each.statistics for each in parts]),
        )

    def __len__(self) -> int:
        return len(self.distances)

    def take(self, rows: np.ndarray) -> Measurements:
        """Those of some of the slices, int (rows,) or bool (n,)."""
        return Measurements(self.probabilities[rows], self.distances[rows], self.statistics[rows])

    def of_inputs(self, rules: Rules) -> dict[str, np.ndarray]:
        """By name, what depends on the views and on features that training did not fit: (n,)."""
        by_name = dict(zip(VIEW_STATISTICS, self.statistics.T, strict=True))
        by_name["Mahalanobis distance"] = self.distances
        if rules.ood_threshold is not None:
            by_name["out-of-distribution rate"] = ~(self.distances <= rules.ood_threshold)
        return by_name

    def of_outputs(self, rules: Rules, classes: Sequence[str]) -> dict[str, np.ndarray]:
        """By name, what depends on the probabilities: (n,); of two classes, the second is shown."""
        shown = range(1, 2) if len(classes) == 2 else range(len(classes))
        by_name = {
            f"probability of “{classes[code]}”": self.probabilities[:, code] for code in shown
        }
        conclusive = is_conclusive(self.probabilities, rules.threshold, rules.conformal_threshold)
        return by_name | {"referral rate": ~conclusive}


@dataclass(frozen=True, eq=False)
class SiteReference:
    """Measurements of training and validation slices, by detectors that had not seen them.

    Attributes:
        measurements: of one slice of each of n groups; probabilities of validation slices only.
    """

    measurements: Measurements

    def save(self, folder: Path) -> None:
        """Write site.npz into a folder."""
        np.savez(folder / SITE_FILE, **vars(self.measurements))

    @classmethod
    def load(cls, folder: Path) -> SiteReference | None:
        """Read what `save` wrote; None where nothing was, as before falx had a site check.

        Raises:
            BrokenRun: the file is damaged.
        """
        file = folder / SITE_FILE
        if not file.exists():
            return None
        return cls(Measurements(**read_arrays(file, "probabilities", "distances", "statistics")))
