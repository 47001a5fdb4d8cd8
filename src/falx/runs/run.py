"""A run: what a training, a cross-validation or a test on other data leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.data.split import Split
from falx.declaration import command_line, recorded
from falx.detect.detector import Detector, detector_folder, load
from falx.detect.settings import Settings
from falx.environment import environment
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.metrics import Scores
from falx.evaluation.predictions import Predictions
from falx.evaluation.reliability import Reliability
from falx.figures.drawing import Figures
from falx.logs import import_keras
from falx.notebook import Page, block, picture, sentence
from falx.notice import NOTICE
from falx.recipe import Recipe
from falx.runs.options import CrossvalOptions, EvaluateOptions, TrainOptions

if TYPE_CHECKING:
    import keras

RECIPE_FILE = "recipe.yaml"
REPORT_FILE = "report.html"
_SHOWN = ("roc", "confusion_matrix")
"""Figures by which a run shows itself in a notebook."""

Verb = Literal["train", "crossval", "evaluate"]
Kind = Literal["training", "cross-validation", "evaluation"]

KINDS: dict[Verb, Kind] = {
    "train": "training",
    "crossval": "cross-validation",
    "evaluate": "evaluation",
}
_OPTIONS: dict[Verb, type] = {
    "train": TrainOptions,
    "crossval": CrossvalOptions,
    "evaluate": EvaluateOptions,
}


@dataclass(frozen=True)
class Record:
    """Where a run comes from; written as run.json.

    Attributes:
        verb: that made it.
        arguments: of the verb, such as the paths of the data.
        options: of the verb, by name, ready for JSON.
        title: such as "lite on navoneel".
        split: in words, such as "leak-free 70/15/15".
        data: name and sha256 of the dataset.
        weights: name and sha256 of the weights that training started from; empty where not known.
        pretraining: what the backbone was pretrained on, where it was.
        detector: sha256 of the network that was tested, of an evaluation.
        backend: of Keras; empty where not known.
        training_seconds: None where not known.
        finished: date and time in UTC, ISO 8601.
        environment: versions and machine.
    """

    verb: Verb
    arguments: Sequence[str]
    options: Mapping[str, Any]
    title: str
    split: str
    data: Mapping[str, str]
    weights: Mapping[str, str | None] = field(default_factory=dict)
    pretraining: Mapping[str, Any] | None = None
    detector: str | None = None
    backend: str = ""
    training_seconds: float | None = None
    finished: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    environment: Mapping[str, Any] = field(default_factory=environment)

    @property
    def kind(self) -> Kind:
        """What was done."""
        return KINDS[self.verb]

    @property
    def command(self) -> str:
        """The command that repeats it."""
        return self.command_of(self.verb)

    def command_of(self, verb: Verb) -> str:
        """The command by which another verb does the same, as far as it has the same options."""
        return command_line(verb, self.arguments, _OPTIONS[verb], self.options)

    @classmethod
    def options_of(cls, verb: Verb, values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """The options that a record keeps: those that the result depends on, ready for JSON.

        Args:
            folder: of the run, which holds a recipe that was made in Python, changes included.
        """
        if isinstance(values.get("recipe"), Recipe):
            values = {**values, "recipe": folder / RECIPE_FILE, "changes": None}
        return recorded(_OPTIONS[verb], values)


@dataclass(frozen=True)
class Part:
    """One part of a split: its slices of each class, and how many groups they make."""

    name: str
    counts: dict[str, int]
    groups: int


@dataclass(frozen=True, eq=False)
class Run:
    """A training, a cross-validation or a test on other data.

    Attributes:
        folder: where it lies.
        record: where it comes from.
        catalog: the data, unusable files included.
        evaluation: of the test part, of all slices out of fold, or of all slices.
        recipe: of the training; None where it is not known.
        split: of a training.
        validation: predictions on the validation part of a training.
        history: of trainings; see falx.training.trainer.Trainer.train.
        settings: of the detector; a cross-validation keeps none.
        parameters: of the network; 0 where not known.
        random_split: of the same recipe on a random split, where asked for.
    """

    folder: Path
    record: Record
    catalog: Catalog
    evaluation: Evaluation
    recipe: Recipe | None
    split: Split | None = None
    validation: Predictions | None = None
    history: pd.DataFrame | None = None
    settings: Settings | None = None
    parameters: int = 0
    random_split: Evaluation | None = None

    @property
    def kind(self) -> Kind:
        """What was done."""
        return self.record.kind

    @property
    def scores(self) -> Scores:
        """Of the evaluation."""
        return self.evaluation.scores

    @property
    def reliability(self) -> Reliability:
        """Of the evaluation."""
        return self.evaluation.reliability

    @property
    def predictions(self) -> pd.DataFrame:
        """A row a slice and repeat, as in predictions.csv; of a training, with validation too."""
        evaluation = self.evaluation
        test = evaluation.predictions.frame()
        leaked: np.ndarray | str = ""
        if evaluation.leaked is not None:
            leaked = np.tile(evaluation.leaked, evaluation.predictions.repeats)
        frames = [test.assign(part="test", leaked=leaked)]
        if self.validation:
            frames.insert(0, self.validation.frame().assign(part="validation", leaked=""))
        table = pd.concat(frames, ignore_index=True)
        first = ["path", "index", "source", "group", "label", "part", "leaked"]
        return table[[*first, *table.columns.drop(first)]]

    @property
    def figures(self) -> Figures:
        """Figures of matplotlib by name, such as `figures["roc"]`; those of slices are files."""
        history = self.history if self.kind == "training" else None
        return Figures.of(self.evaluation, history=history, random_split=self.random_split)

    @property
    def report(self) -> Page:
        """The page of the run."""
        return Page(self.folder / REPORT_FILE)

    @cached_property
    def detector(self) -> Detector:
        """The detector of a training.

        Raises:
            BrokenRun: it is damaged, or a cross-validation or test, which keep none.
        """
        return load(self.folder)

    @property
    def keras_model(self) -> keras.Model:
        """The network of a training, for Keras: gray levels (n, size, size, 1) -> logits.

        Raises:
            BrokenRun: as for `detector`.
        """
        import_keras()
        from falx.exporting.keras_network import load_keras

        return load_keras(detector_folder(self.folder))

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, {self.kind}, {self.record.title}: {self.scores!r})"

    def _repr_html_(self) -> str:
        shown = [self.folder / "figures" / f"{name}.png" for name in _SHOWN]
        pictures = [picture(file.read_bytes(), file.stem) for file in shown if file.is_file()]
        return block(
            f"{self.kind}: {self.record.title}",
            sentence(f"{self.record.split}; {self.folder}"),
            self.scores._repr_html_(),
            *pictures,
            sentence(NOTICE),
        )

    @property
    def parts(self) -> tuple[Part, ...]:
        """Slices and groups of each part of the split; empty without one."""
        if self.split is None:
            return ()
        usable = self.catalog.usable()
        return tuple(
            Part(
                name,
                {
                    label: int((usable.labels[rows] == code).sum())
                    for code, label in enumerate(usable.classes)
                },
                len(np.unique(usable.groups[rows])),
            )
            for name, rows in self.split.parts.items()
        )
