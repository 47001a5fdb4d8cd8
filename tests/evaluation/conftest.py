"""Predictions of small test sets and cross-validations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from falx.data.catalog import Catalog
from falx.detect.rules import Rules
from falx.evaluation.predictions import Predictions


def make_catalog(labels, classes, patients=None) -> Catalog:
    """Two slices to a group, in order."""
    n = len(labels)
    table = pd.DataFrame(
        {
            "path": [f"{label}/{row}, cut.png" for row, label in enumerate(labels)],
            "index": 0,
            "label": labels,
            "group": np.arange(n) // 2,
            "patient": patients or [""] * n,
            "study": "",
            "series": "",
            "volume": "",
            "level": np.nan,
            "region": "",
            "contrast": False,
            "source": "data",
            "plane": "",
            "problem": "",
        }
    )
    return Catalog(Path("data"), classes, table)


@pytest.fixture(scope="session")
def of_volumes() -> Callable[..., Predictions]:
    """A function that makes predictions of whole volumes, whose tumors lie around the middle."""

    def make(
        *, patients=12, volumes=2, slices=24, repeats=1, seed=0, positive=None, decimals=2, folds=1
    ) -> Predictions:
        """Slices come in any order; probabilities depend on the label and on the level.

        Args:
            volumes: of each patient, who is a group and a fold.
            positive: probability of a tumor of each repeat and slice, by label and level (n,).
            decimals: of the probabilities; few make ties.
        """
        rng = np.random.default_rng(seed)
        patient, volume, index = (axis.ravel() for axis in np.indices((patients, volumes, slices)))
        level = index / (slices - 1)
        # About as frequent by level as in volumes of glioblastomas.
        labels = (rng.random(level.size) < 0.7 * np.exp(-(((level - 0.55) / 0.3) ** 2))).astype(int)
        if positive is None:
            noise = rng.normal(0, 0.25, (repeats, level.size))
            p = 0.3 + 0.25 * labels + 0.3 * np.abs(level - 0.5) + noise
        else:
            p = np.tile(positive(labels, level), (repeats, 1))
        p = np.clip(p, 0.01, 0.99).round(decimals)
        order = rng.permutation(level.size)
        table = pd.DataFrame(
            {
                "path": [f"p{a:02}/v{b}.nii" for a, b in zip(patient, volume, strict=True)],
                "index": index,
                "label": np.array(["no", "yes"])[labels],
                "group": patient,
                "patient": [f"p{a:02}" for a in patient],
                "study": [f"p{a:02}-v{b}" for a, b in zip(patient, volume, strict=True)],
                "volume": [f"p{a:02}/v{b}" for a, b in zip(patient, volume, strict=True)],
                "level": level,
                "series": "",
                "region": "",
                "contrast": False,
                "source": "data",
                "plane": "axial",
                "problem": "",
            }
        ).iloc[order]
        p = p[:, order]
        return Predictions(
            table=table.reset_index(drop=True),
            classes=("no", "yes"),
            rows=np.arange(level.size),
            probabilities=np.stack([1 - p, p], axis=2),
            distances=np.ones((repeats, level.size)),
            folds=np.stack([1 + (patient[order] + repeat) % folds for repeat in range(repeats)]),
            rules=tuple((Rules(ood_threshold=2.0),) * folds for _ in range(repeats)),
        )

    return make


@pytest.fixture(scope="session")
def catalog() -> Callable[..., Catalog]:
    """A function that makes a catalog of labels (n,), classes and perhaps patients."""
    return make_catalog


@pytest.fixture(scope="session")
def predicted() -> Callable[..., Predictions]:
    """A function that makes one detector's predictions of labels and probabilities."""

    def make(
        labels, probabilities, classes=("no", "yes"), *, patients=None, distances=None, **rules
    ):
        n = len(labels)
        return Predictions.of_detector(
            make_catalog(labels, classes, patients),
            np.arange(n),
            np.asarray(probabilities, float),
            np.ones(n) if distances is None else np.asarray(distances, float),
            Rules(**{"ood_threshold": 2.0} | rules),
        )

    return make


@pytest.fixture(scope="session")
def binary(predicted) -> Callable[..., Predictions]:
    """The same, of probabilities of the positive class (n,)."""

    def make(labels, positive, **options):
        p = np.asarray(positive, float)
        return predicted(labels, np.column_stack([1 - p, p]), **options)

    return make


@pytest.fixture(scope="session")
def cross_validated() -> Predictions:
    """Forty slices in twenty groups, three repeats of five folds; a detector of some worth."""
    labels, groups = np.arange(40) % 2, np.arange(40) // 2
    noise = np.random.default_rng(0).normal(0, 0.6, (3, 40))
    positive = np.clip(labels + noise, 0.01, 0.99)
    table = make_catalog([("no", "yes")[label] for label in labels], ("no", "yes")).table
    return Predictions(
        table=table,
        classes=("no", "yes"),
        rows=np.arange(40),
        probabilities=np.stack([1 - positive, positive], axis=2),
        distances=np.ones((3, 40)),
        folds=np.stack([1 + (groups + repeat) % 5 for repeat in range(3)]),
        rules=tuple((Rules(ood_threshold=2.0),) * 5 for _ in range(3)),
    )
