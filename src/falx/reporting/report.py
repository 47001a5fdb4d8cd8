"""What a report and a model card show: a run, an audit of its data, and figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from falx.data.auditing import Audit
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.metrics import Scores
from falx.evaluation.reliability import Reliability
from falx.runs.run import Kind, Record, Run


@dataclass(frozen=True)
class Figure:
    """A PNG file to show, and the section of the report that it belongs to."""

    title: str
    caption: str
    path: Path
    section: Literal["figures", "volumes"] = "figures"


@dataclass(frozen=True, eq=False)
class Report:
    """A run to report on.

    Attributes:
        run: what was done and what came of it.
        audit: of its data.
        figures: in the order to show.
    """

    run: Run
    audit: Audit
    figures: tuple[Figure, ...] = ()

    @property
    def kind(self) -> Kind:
        """Whether it is about a training, a cross-validation, or a test on other data."""
        return self.run.kind

    @property
    def record(self) -> Record:
        """Where the run comes from."""
        return self.run.record

    @property
    def evaluation(self) -> Evaluation:
        """The predictions and what they are worth."""
        return self.run.evaluation

    @property
    def scores(self) -> Scores:
        """Every metric, with confidence intervals."""
        return self.evaluation.scores

    @property
    def reliability(self) -> Reliability:
        """Calibration, coverage, referral."""
        return self.evaluation.reliability

    @property
    def binary(self) -> bool:
        """Whether there are two classes."""
        return len(self.scores.classes) == 2
