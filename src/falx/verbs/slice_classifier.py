"""falx as an estimator of scikit-learn: images and labels in, classes and probabilities out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from falx.data.class_names import means_any, means_none
from falx.data.in_memory import image_sources
from falx.data.read import read_slices
from falx.data.slices import Slice
from falx.detect.detector import Detector, load
from falx.detect.rules import predicted_codes
from falx.detect.scans import rendered_slices
from falx.errors import BadInput, UnusableData
from falx.image.render import to_levels
from falx.recipe import Recipe
from falx.verbs.train import train

_AT_ONCE = 64
"""Slices that are rendered before they are predicted."""


class SliceClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of slices, with the interface of scikit-learn.

    It is trained as by `falx.train`: near-duplicates and slices of one group stay together, a part
    of the groups calibrates the probabilities and sets the threshold, and another tests them.

    Args:
        recipe: name, YAML file, or `falx.Recipe`; None for that by default, see `falx.train`.
        weights: initial backbone weights; None for those that the recipe names.
        changes: of fields of the recipe, such as {"head.dropout": 0.3}.
        split: fractions of training, validation and test part, in whole percents.
        seed: random seed.

    Attributes:
        classes_: labels in order, (classes,).
        scores_: of the test part, see falx.Scores.
        files_: the detector, name of a file to its bytes: what a pickled estimator keeps.
    """

    _detector: Detector | None = None

    def __init__(
        self,
        *,
        recipe: str | Path | Recipe | None = None,
        weights: str | Path | None = None,
        changes: Mapping[str, object] | None = None,
        split: Sequence[float] = (0.7, 0.15, 0.15),
        seed: int = 0,
    ) -> None:
        self.recipe = recipe
        self.weights = weights
        self.changes = changes
        self.split = split
        self.seed = seed

    # X, here and below, is what scikit-learn calls it.
    def fit(self, X: Iterable[Any], y: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Self:  # noqa: N803
        """Train on slices.

        Args:
            X: images of one slice each, see falx.Detector.predict; such as an array uint8, uint16
                or float in [0, 1], (n, height, width).
            y: label of each, (n,).
            groups: patient of each, (n,); None where they are not known.

        Raises:
            BadInput: an image is none or has several slices, or numbers of images, labels and
                groups differ.
            UnusableData: a class has too few groups.
        """
        labels = np.asarray(y)
        images = list(X)
        patients = None if groups is None else np.asarray(groups)
        if labels.ndim != 1 or len(labels) != len(images):
            raise BadInput(
                f"There are {len(images)} images and labels {labels.shape}; give one each."
            )
        if patients is not None and patients.shape != labels.shape:
            raise BadInput(
                f"There are {len(images)} images and groups {patients.shape}; give one each."
            )
        _check_labels(labels)
        with tempfile.TemporaryDirectory(prefix="falx-") as name:
            folder = Path(name)
            for number, image in enumerate(images):
                levels = to_levels(_slice(image, f"X[{number}]").pixels)
                cv2.imwrite(str(folder / f"{number}.png"), levels)
            table = pd.DataFrame({"path": [f"{n}.png" for n in range(len(images))]})
            table["label"] = labels.astype(str)
            if patients is not None:
                unknown = pd.isna(patients)
                table["patient"] = np.where(unknown, "", patients.astype(str))
            # A label may be NA, or empty, which CSV would lose.
            table.to_parquet(folder / "slices.parquet", index=False)
            run = train(
                folder / "slices.parquet",
                recipe=self.recipe,
                weights=self.weights,
                changes=self.changes,
                split=self.split,
                seed=self.seed,
                positive=_positive(np.unique(labels)),
                out=folder / "run",
            )
            detector = run.folder / "detector"
            self.files_ = {file.name: file.read_bytes() for file in detector.iterdir()}
        self.classes_, self.scores_ = np.unique(labels), run.scores
        self._detector = None
        return self

    def predict(self, X: Iterable[Any]) -> np.ndarray:  # noqa: N803
        """The class of each slice, by the operating point of the detector: (n,)."""
        detector = self.detector
        codes = predicted_codes(self._probabilities(X), detector.settings.rules.threshold)
        by_name = {str(label): label for label in self.classes_}
        return np.array([by_name[detector.classes[code]] for code in codes], self.classes_.dtype)

    def predict_proba(self, X: Iterable[Any]) -> np.ndarray:  # noqa: N803
        """Calibrated probabilities, in the order of `classes_`: float64 (n, classes)."""
        detector = self.detector
        order = [detector.classes.index(str(label)) for label in self.classes_]
        return self._probabilities(X)[:, order]

    @property
    def detector(self) -> Detector:
        """The detector, which also explains and refuses."""
        check_is_fitted(self)
        if self._detector is None:
            with tempfile.TemporaryDirectory(prefix="falx-") as name:
                for file, content in self.files_.items():
                    (Path(name) / file).write_bytes(content)
                self._detector = load(name)
        return self._detector

    def _probabilities(self, images: Iterable[Any]) -> np.ndarray:
        """Of images, each by itself and in order, with classes in the order of the detector."""
        detector, found = self.detector, []
        listed = [_slice(image, f"X[{number}]") for number, image in enumerate(images)]
        for start in range(0, len(listed), _AT_ONCE):
            items = rendered_slices(listed[start : start + _AT_ONCE], detector.settings.rendering)
            found.append(detector.probabilities(np.stack([item.view for item in items])))
        return np.concatenate(found) if found else np.empty((0, len(detector.classes)))

    def __getstate__(self) -> dict[str, Any]:
        # A compiled network can't be pickled; it is loaded from its files again.
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_detector"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        return tags


def _check_labels(labels: np.ndarray) -> None:
    missing = np.flatnonzero(pd.isna(labels) | (labels.astype(str) == ""))
    if len(missing):
        raise BadInput(f"The label of X[{missing[0]}] is missing; leave its slice out.")
    kinds = {type(label) for label in labels.tolist()}
    if len(kinds) > 1 or not kinds <= {str, int, float, bool}:
        raise BadInput("Labels must all be text, all be numbers or all be bool; convert them.")
    if len(names := np.unique(labels)) < 2:
        raise UnusableData(f"y holds only the class '{names[0]}'; give slices of two or more.")


def _positive(labels: np.ndarray) -> str | None:
    """The second of two labels, unless their names tell which one means a tumor."""
    names = [str(label) for label in labels]
    if len(names) != 2 or any(means_none(name) or means_any(name) for name in names):
        return None
    return names[1]


def _slice(image: Any, name: str) -> Slice:
    """The slice of an image, or of a path."""
    if isinstance(image, str | Path):
        slices = read_slices(Path(image))
    else:
        slices = [slice_ for source in image_sources(image, name) for slice_ in source]
    if len(slices) != 1:
        raise BadInput(f"'{name}' holds {len(slices)} slices; give images of one slice each.")
    return slices[0]
