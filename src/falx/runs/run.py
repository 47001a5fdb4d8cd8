"""A run: what a training, a cross-validation or a test on other data leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.data.split import Split
from falx.declaration import command_line, recorded
from falx.detect.settings import Settings
from falx.environment import environment
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.metrics import Scores
from falx.evaluation.predictions import Predictions
from falx.evaluation.reliability import Reliability
from falx.recipe import Recipe
from falx.runs.options import CrossvalOptions, EvaluateOptions, TrainOptions

RECIPE_FILE = "recipe.yaml"

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
