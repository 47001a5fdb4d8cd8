"""What a report tells: a training, or an evaluation on another dataset, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from falx.evaluation.explain import MapScores
from falx.evaluation.metrics import Scores
from falx.evaluation.trust import Trust

if TYPE_CHECKING:
    from pathlib import Path

    from falx.data.audit import Audit
    from falx.evaluation.hiding import BorderScore, HiddenTumors
    from falx.evaluation.map_checks import MapChecks
    from falx.recipe import Recipe


@dataclass(frozen=True)
class PartCounts:
    """One part of a split: its slices of each class, and how many groups they make."""

    part: str
    counts: dict[str, int]
    groups: int


@dataclass(frozen=True)
class Figure:
    """A PNG file to show."""

    title: str
    caption: str
    path: Path


@dataclass(frozen=True)
class Mistake:
    """A misclassified slice; of two classes, the probability is that of the positive one.

    Attributes:
        times: in how many repeats it was called wrong; the probability is the mean over all.
    """

    path: str
    label: str
    predicted: str
    probability: float
    times: int = 1


@dataclass(frozen=True)
class FoldScores:
    """What one fold's network of a cross-validation made of its test slices."""

    repeat: int
    fold: int
    scores: Scores


@dataclass(frozen=True)
class Report:
    """Everything that a report shows.

    Attributes:
        title: such as "paper on navoneel".
        audit: of the data.
        recipe: of the training, or None where it is not at hand.
        scores: on the test part.
        split: in words: "leak-free 70/15/15", "random 70/15/15", "as the data came", "all of DATA".
        parts: of the split; empty for an evaluation of another dataset.
        twins: test slices with a twin in training, or None where it can't be told.
        without_twins: scores on the others, where there are twins and enough others.
        blind: scores of the same recipe on a random split, where asked for.
        blind_twins: test slices of that split with a twin in its training part.
        blind_without_twins: scores on the others, as above.
        figures: in the order to show.
        errors: misclassified test slices, the most confident mistake first.
        parameters: of the network; 0 where not known.
        seconds: that training took, or None where not known.
        environment: versions, machine, seed and hashes; may be nested.
        command: that repeats it.
        next_steps: what one can do now, each with its command.
        folds: of a cross-validation.
        maps: how well heat maps agree with masks, where there are any.
        map_checks: whether heat maps are true, as far as can be told without masks.
        border: what the detector makes of slices of which only the border is left.
        hidden: what it makes of tumors that were painted over.
        trust: what calibration, referral and refusal are worth on the test.
        study: `falx.evaluation.studies.score_studies` of the test, where there are studies.
    """

    title: str
    audit: Audit
    recipe: Recipe | None
    scores: Scores
    trust: Trust
    split: str
    parts: tuple[PartCounts, ...]
    twins: int | None
    figures: tuple[Figure, ...]
    errors: tuple[Mistake, ...]
    parameters: int
    seconds: float | None
    environment: dict[str, Any]
    command: str
    next_steps: tuple[tuple[str, str], ...]
    study: dict[str, Any] | None = None
    maps: MapScores | None = None
    map_checks: MapChecks | None = None
    border: BorderScore | None = None
    hidden: HiddenTumors | None = None
    without_twins: Scores | None = None
    blind: Scores | None = None
    blind_twins: int = 0
    blind_without_twins: Scores | None = None
    folds: tuple[FoldScores, ...] = ()

    @property
    def kind(self) -> Literal["report", "cross-validation", "evaluation"]:
        """Whether it is about a training, a cross-validation, or a test on another dataset."""
        if self.folds:
            return "cross-validation"
        return "report" if self.parts else "evaluation"

    @property
    def binary(self) -> bool:
        return len(self.scores.classes) == 2
