"""Subgroups partition the slices, agree with scikit-learn, and are suppressed when too small."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

from falx.evaluation.subgroups import (
    FACTORS,
    MAX_SUBGROUPS,
    NOT_STATED,
    Subgroup,
    score_subgroups,
)
from falx.statistics import MIN_GROUPS, Estimate

TWO = ("no", "yes")
N = 120


@pytest.fixture
def table():
    """120 slices in 60 groups, of three sites, three sizes and two formats."""
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 2
    return pd.DataFrame(
        {
            "path": [f"{TWO[label]}/site{n % 3}/{n}.png" for n, label in enumerate(labels)],
            "label": [TWO[label] for label in labels],
            "group": np.arange(N) // 2,
            "height": 100,
            "width": np.repeat([200, 300, 400], N // 3),
            "mean": rng.uniform(0.1, 0.5, N),
            "standard_deviation": rng.uniform(0.1, 0.3, N),
            "head_aspect": rng.normal(0, 0.2, N),
            "format": np.where(np.arange(N) < 110, "png", "jpeg"),
            "color": False,
            "split": "",
            "source": "data",
        }
    )


@pytest.fixture
def labels(table):
    return (table["label"] == "yes").to_numpy(np.int64)


@pytest.fixture
def positive(labels):
    return np.clip(labels * 0.4 + np.random.default_rng(1).uniform(0, 0.6, N), 0, 1)


def scored(table, labels, *positives, threshold=0.5, **options):
    probabilities = [np.column_stack([1 - p, p]) for p in positives]
    thresholds = [np.full(N, threshold)] * len(probabilities)
    found = score_subgroups(
        table, labels, probabilities, TWO, threshold=thresholds, resamples=200, **options
    )
    return {factor.name: {part.name: part for part in factor.subgroups} for factor in found}


def test_metrics_of_a_subgroup_agree_with_scikit_learn(table, labels, positive):
    sizes = scored(table, labels, positive, threshold=0.4)["Image size"]
    assert list(sizes) == [
        "small, up to 200 pixels",
        "medium, over 200 up to 300 pixels",
        "large, over 300 pixels",
    ]
    for part, width in zip(sizes.values(), (200, 300, 400), strict=True):
        rows = (table["width"] == width).to_numpy()
        truth, p = labels[rows], positive[rows]
        predicted = (p >= 0.4).astype(int)
        values = {name: estimate.value for name, estimate in part.estimates.items()}
        assert values == pytest.approx(
            {
                "accuracy": accuracy_score(truth, predicted),
                "sensitivity": recall_score(truth, predicted),
                "specificity": recall_score(truth, predicted, pos_label=0),
                "roc_auc": roc_auc_score(truth, p),
            }
        )
        assert (part.n, part.groups) == (40, table["group"][rows].nunique())


def test_metrics_of_too_few_groups_are_suppressed(table, labels, positive):
    formats = scored(table, labels, positive)["File format"]
    assert (formats["jpeg"].n, formats["jpeg"].groups) == (10, 5)
    assert set(formats["jpeg"].estimates.values()) == {None}
    assert None not in formats["png"].estimates.values()


def test_only_groups_with_positives_count_for_sensitivity(table, positive):
    """Ten groups, nine of them without a positive: accuracy is shown, sensitivity is not."""
    few = table.iloc[: 2 * MIN_GROUPS]
    labels = np.zeros(2 * MIN_GROUPS, np.int64)
    labels[0] = 1
    (only,) = scored(few, labels, positive[: 2 * MIN_GROUPS])["Color"].values()
    assert only.estimates["accuracy"] is not None
    assert only.estimates["specificity"] is not None
    assert only.estimates["sensitivity"] is None
    assert only.estimates["roc_auc"] is None


def test_metrics_are_averaged_over_repeats(table, labels, positive):
    other = positive[::-1].copy()
    sites = scored(table, labels, positive, other)["Folder"]
    rows = np.arange(N) % 3 == 1
    expected = [accuracy_score(labels[rows], p[rows] >= 0.5) for p in (positive, other)]
    assert sites["site1"].estimates["accuracy"].value == pytest.approx(np.mean(expected))


def test_more_than_two_classes_have_other_metrics(table, labels):
    probabilities = np.full((N, 3), 0.2)
    probabilities[np.arange(N), np.arange(N) % 3] = 0.6
    found = score_subgroups(
        table,
        np.arange(N) % 3,
        [probabilities],
        ("a", "b", "c"),
        threshold=[np.full(N, 0.5)],
        resamples=50,
    )
    assert set(found[0].subgroups[0].estimates) == {"accuracy", "balanced_accuracy", "roc_auc"}
    assert found[0].subgroups[0].estimates["accuracy"].value == 1


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60))
def test_tertiles_partition_the_slices_in_order(sizes):
    table = pd.DataFrame({"height": sizes, "width": 1})
    parts = FACTORS["Image size"](table)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(sizes)))
    assert 1 <= len(parts) <= 3
    assert (len(parts) == 1) == (len(set(sizes)) == 1)
    values = [np.array(sizes)[rows] for rows in parts.values()]
    assert all(lower.max() < upper.min() for lower, upper in pairwise(values))


def test_subgroups_add_up_to_all_slices(table, labels, positive):
    correct = accuracy_score(labels, positive >= 0.5) * N
    factors = scored(table, labels, positive)
    assert list(factors) == list(FACTORS)
    for parts in factors.values():
        assert sum(part.n for part in parts.values()) == N
    # Five groups of JPEG files are too few for an accuracy.
    del factors["File format"]
    for name, parts in factors.items():
        total = sum(part.n * part.estimates["accuracy"].value for part in parts.values())
        assert total == pytest.approx(correct), name


@pytest.mark.parametrize(
    ("path", "label", "origin"),
    [
        ("yes/1.png", "yes", NOT_STATED),
        ("Training/glioma/1.png", "glioma", NOT_STATED),
        ("yes/siteA/scanner2/1.png", "yes", "siteA/scanner2"),
        ("siteA/yes/1.png", "yes", "siteA"),
        ("/home/someone/siteA/1.png", "yes", "siteA"),
        ("1.png", "yes", NOT_STATED),
    ],
)
def test_the_folder_omits_class_split_and_absolute_path(path, label, origin):
    parts = FACTORS["Folder"](pd.DataFrame({"path": [path], "label": [label]}))
    assert list(parts) == [origin]


def test_the_rarest_categories_are_pooled():
    formats = [f"f{n}" for n in range(12) for _ in range(n + 1)]
    parts = FACTORS["File format"](pd.DataFrame({"format": formats}))
    assert list(parts) == [*(f"f{n}" for n in range(11, 4, -1)), "5 others"]
    assert len(parts) == MAX_SUBGROUPS
    assert len(parts["5 others"]) == 1 + 2 + 3 + 4 + 5


def test_deviations_are_metrics_whose_interval_excludes_the_overall_value():
    overall = {
        name: Estimate(0.9, 0.8, 1.0)
        for name in ("accuracy", "sensitivity", "specificity", "roc_auc")
    }
    part = Subgroup(
        "large",
        50,
        50,
        {
            "accuracy": Estimate(0.7, 0.6, 0.8),
            "sensitivity": Estimate(0.95, 0.91, 1.0),
            "specificity": Estimate(0.8, 0.7, 0.9),
            "roc_auc": None,
        },
    )
    assert part.deviations(overall) == {"accuracy": "below", "sensitivity": "above"}
