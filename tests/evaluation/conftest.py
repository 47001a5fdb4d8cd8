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
            "problem": "",
        }
    )
    return Catalog(Path("data"), classes, table)


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
