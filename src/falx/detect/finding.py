"""Findings: a detector's answers for slices, for the series that they form, and for studies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from falx.detect import display, findings_io
from falx.detect.heat_map import HeatMap
from falx.detect.overlay import overlay_of
from falx.detect.rules import Status
from falx.detect.site import SiteCheck
from falx.detect.site_reference import Measurements
from falx.serialization import dump, write_whole

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Finding:
    """A detector's answer for a slice; out of distribution, it has no label or probabilities."""

    path: Path
    index: int
    """Frame of a multi-frame file, or position in a volume, from 0."""
    status: Status
    distance: float
    """Mahalanobis distance from the training slices."""
    reason: str = ""
    """Why the status is not an answer, where that is not a matter of numbers."""
    study: str = ""
    """What the slice belongs to: a study UID, a patient ID, or a file of several slices."""
    series: str = ""
    """A series UID, or a file of several slices."""
    level: float = math.nan
    """Relative height in its volume, [0, 1]; NaN for a slice of no volume."""
    region: str = ""
    """Of the head (see falx.data.volumes.Region)."""
    label: str | None = None
    probability: float | None = None
    """Of the positive class of two, else of the label."""
    probabilities: dict[str, float] = field(default_factory=dict)
    heat_map: HeatMap | None = field(default=None, compare=False, repr=False)
    """Evidence for the positive class of two, else for the label."""
    levels: np.ndarray | None = field(default=None, compare=False, repr=False)
    """The slice, uint8 (height, width), where it was an image in memory; else it is in its file."""

    def overlay(self) -> np.ndarray:
        """The slice, and beside it the slice under its heat map: RGB, uint8 (height, width, 3).

        Raises:
            BadInput: its file can't be read any more, or changed.
        """
        return np.ascontiguousarray(overlay_of(self)[..., ::-1])

    def __repr__(self) -> str:
        return f"Finding({display.answer(self)}, {str(self.path)!r}, index {self.index})"

    def _repr_html_(self) -> str:
        return display.finding_html(self)


@dataclass(frozen=True)
class SeriesFinding:
    """A detector's answer for the slices of one series, or of one file.

    It has no label if most of its slices, or most of those that could hold an answer, are out of
    distribution.

    Attributes:
        series: UID or path.
        name: description of the series, or name of the file.
        plane: of its slices; "" where unknown.
        contrast: whether its header names a contrast agent.
        original: whether its header does not say that it was derived from other images.
        n_slices: slices that were predicted.
        n_pooled: those among them that could hold an answer (see falx.detect.pooling).
        n_out_of_distribution: those of the latter that are unlike the training slices.
        reason: why the status is what it is.
        strongest: of the pooled slices, the one with the highest probability of the positive class
            of two, else of the label.
    """

    series: str
    name: str
    plane: str
    contrast: bool
    original: bool
    n_slices: int
    n_pooled: int
    n_out_of_distribution: int
    status: Status
    reason: str = ""
    label: str | None = None
    probability: float | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    strongest: Finding | None = None

    def __repr__(self) -> str:
        return f"SeriesFinding({display.answer(self)}, {self.name!r}, {self.n_slices} slices)"


@dataclass(frozen=True)
class StudyFinding:
    """A detector's answer for a study: that for one of its series.

    Attributes:
        study: UID, patient ID, or path of a file.
        series: the answers for all, in order of appearance.
        chosen: the one that the study is answered by; None where none is suitable.
        reason: why that one, or why none.
    """

    study: str
    series: tuple[SeriesFinding, ...]
    chosen: SeriesFinding | None
    reason: str

    @property
    def status(self) -> Status:
        """That of the chosen series; out of distribution without one."""
        return self.chosen.status if self.chosen else "out_of_distribution"

    @property
    def probabilities(self) -> dict[str, float]:
        """Those of the chosen series, if it has any."""
        return self.chosen.probabilities if self.chosen else {}

    @property
    def label(self) -> str | None:
        """That of the chosen series, if it has one."""
        return self.chosen.label if self.chosen else None

    @property
    def probability(self) -> float | None:
        """That of the chosen series, if it has one."""
        return self.chosen.probability if self.chosen else None

    @property
    def strongest(self) -> Finding | None:
        """The strongest slice of the chosen series."""
        return self.chosen.strongest if self.chosen else None

    def __repr__(self) -> str:
        return f"StudyFinding({display.answer(self)}, {self.study!r}, {len(self.series)} series)"


@dataclass(frozen=True)
class LeftOut:
    """A file, or some slices of it, that was not predicted, and why.

    Attributes:
        n: slices of the file; None for all.
    """

    path: Path
    problem: str
    n: int | None = None


@dataclass(frozen=True)
class Findings:
    """All findings for a set of files or images: a sequence of those of the slices.

    Attributes:
        classes: names in order; of two, the second is the positive one.
        measurements: of the slices, for the site check; None without slices.
        site: whether the slices differ, as a set, from those of training; None without slices.
    """

    classes: tuple[str, ...]
    slices: tuple[Finding, ...] = ()
    studies: tuple[StudyFinding, ...] = ()
    left_out: tuple[LeftOut, ...] = field(default=())
    measurements: Measurements | None = field(default=None, compare=False, repr=False)
    site: SiteCheck | None = None

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.slices)

    def __len__(self) -> int:
        return len(self.slices)

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Finding, ...]: ...
    def __getitem__(self, index: int | slice) -> Finding | tuple[Finding, ...]:
        if not self.slices and isinstance(index, int):
            reason = f"; the first: {self.left_out[0].problem}" if self.left_out else ""
            raise IndexError(f"No slice was answered, {len(self.left_out)} left out{reason}")
        return self.slices[index]

    def to_pandas(self) -> pd.DataFrame:
        """A row per slice, with the columns of `falx predict --csv`.

        Raises:
            MissingExtra: pandas is not installed.
        """
        return findings_io.as_frame(self)

    def to_csv(self, file: str | Path | None = None) -> str | None:
        """Write what `falx predict --csv` writes; without a file, give it as text."""
        return _written(findings_io.as_csv(self), file)

    def to_json(self, file: str | Path | None = None) -> str | None:
        """Write what `falx predict --json` writes; without a file, give it as text."""
        return _written(dump(findings_io.as_dict(self)), file)

    def __repr__(self) -> str:
        return f"Findings({display.summary(self)})"

    def _repr_html_(self) -> str:
        return display.findings_html(self)


def class_probabilities(logits: np.ndarray) -> np.ndarray:
    """Class probabilities float64 (n, classes) from logits (n, 1) or (n, classes).

    A single logit is that of the second, positive class; the other class has the logit 0.
    """
    values = logits.astype(np.float64)
    if values.shape[1] == 1:
        values = np.concatenate([np.zeros_like(values), values], axis=1)
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    result: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return result


def evidence_for(heat_maps: np.ndarray, label: int) -> np.ndarray:
    """The evidence for a class, float32 (rows, columns), from heat maps (rows, columns, k).

    With one logit, the evidence is for the positive class, whatever the label. Of several, only
    differences matter: the evidence for a class is its contribution less the mean over classes.
    """
    if heat_maps.shape[-1] == 1:
        return heat_maps[..., 0]
    evidence: np.ndarray = heat_maps[..., label] - heat_maps.mean(axis=-1)
    return evidence


def _written(text: str, file: str | Path | None) -> str | None:
    """The text itself, or None once it is written to a file."""
    if file is None:
        return text
    write_whole(Path(file), text)
    return None
