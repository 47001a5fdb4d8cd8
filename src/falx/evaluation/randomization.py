"""Whether heat maps change when the network loses what it has learned: scores and verdict.

See falx.evaluation.shuffling for how they come about.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from falx.statistics import Estimate

STAGES = ("head", "upper half", "all")
"""What is randomized: the head; also the upper half of the backbone's layers; everything."""
SIMILAR = 0.5
"""Rank correlation from which maps count as similar: a quarter of their variance is shared."""


@dataclass(frozen=True)
class RandomizationScores:
    """How similar heat maps are to those of a network whose layers were randomized.

    Attributes:
        n: slices.
        correlation: Spearman's rank correlation of the evidence by location, by stage; the mean
            over slices and draws, in [-1, 1]. Signs count: evidence against is not evidence for. A
            constant map correlates with none.
    """

    n: int
    correlation: dict[str, Estimate]

    @property
    def passed(self) -> bool | None:
        """Whether maps of a fully randomized network differ significantly from the trained.

        None where too few groups were measured for an interval.
        """
        high = self.correlation[STAGES[-1]].high
        return None if math.isnan(high) else high < SIMILAR

    @property
    def survives_random_head(self) -> bool:
        """Whether maps stay similar when only the head is randomized."""
        return self.correlation[STAGES[0]].value >= SIMILAR

    def as_dict(self) -> dict[str, Any]:
        """The scores with their verdict."""
        return {"n": self.n, "passed": self.passed, "correlation": self.correlation}
