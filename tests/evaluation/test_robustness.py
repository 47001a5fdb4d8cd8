"""Corrupted slices are predicted as they are shown, and compared with themselves."""

import numpy as np
import pytest

from falx.data.catalog import Catalog, build_catalog
from falx.data.read import read_slices
from falx.detect.rules import Rules
from falx.evaluation.metrics import score
from falx.evaluation.robustness import score_robustness
from falx.image.corruptions import CORRUPTIONS, corrupt
from falx.image.render import render
from falx.recipe import Rendering
from small_scans import head, write_nifti

RENDERING = Rendering(size=64, crop="head")
RULES = Rules(threshold=0.5, conformal_threshold=0.4, ood_threshold=0.5)


@pytest.fixture(scope="module")
def catalog(phantoms):
    return build_catalog(phantoms).usable()


def predict(views):
    """A detector that sees brightness, and rejects a view whose corner is bright."""
    positive = views.mean(axis=(1, 2)) / 255
    corner = views[:, :2, :2].mean(axis=(1, 2)) / 255
    return np.stack([1 - positive, positive], axis=1), corner


@pytest.fixture(scope="module")
def scores(catalog):
    return score_robustness(predict, catalog, RENDERING, RULES, max_slices=30)


def test_there_is_a_row_for_each_corruption_and_strength(scores):
    expected = [
        (name, strength)
        for name, corruption in CORRUPTIONS.items()
        for strength in range(1, len(corruption.amounts) + 1)
    ]
    assert [(row.corruption, row.strength) for row in scores.rows] == expected
    assert len(scores.at(1)) == len(CORRUPTIONS)
    assert len(scores.at(3)) == len(CORRUPTIONS) - 1
    assert len(scores.table) == 1 + len(expected)


def test_the_numbers_are_those_of_the_same_slices_predicted_by_hand(catalog):
    scores = score_robustness(predict, catalog, RENDERING, RULES, max_slices=len(catalog))
    assert scores.n == scores.eligible == len(catalog)
    slices = [read_slices(catalog.file(row))[0].pixels for row in range(len(catalog))]
    for corruption, strength in (("none", 0), ("mirror", 1), ("blur", 2), ("white border", 3)):
        views = np.stack(
            [
                render(corrupt(each, corruption, strength) if strength else each, RENDERING)
                for each in slices
            ]
        )
        probabilities, distances = predict(views)
        expected = score(
            catalog.labels, probabilities, catalog.groups, catalog.classes, threshold=0.5
        ).estimates
        row = next(
            each
            for each in (scores.uncorrupted, *scores.rows)
            if (each.corruption, each.strength) == (corruption, strength)
        )
        for name in ("roc_auc", "sensitivity", "specificity"):
            assert getattr(row, name).value == pytest.approx(expected[name].value)
        assert row.out_of_distribution.value == pytest.approx((distances > 0.5).mean())


def test_changes_are_from_the_same_slices_uncorrupted(scores):
    for row in scores.rows:
        assert row.roc_auc_change == row.roc_auc.value - scores.uncorrupted.roc_auc.value
        change = row.out_of_distribution.value - scores.uncorrupted.out_of_distribution.value
        assert row.out_of_distribution_change == change


def test_slices_are_sampled_and_the_seed_decides_which(catalog, scores):
    assert (scores.n, scores.eligible) == (30, len(catalog))
    again = score_robustness(predict, catalog, RENDERING, RULES, max_slices=30)
    assert again == scores


def test_slices_of_a_volume_are_each_cropped_by_themselves(tmp_path):
    for name, volume in (("no", head()), ("yes", head(seed=1))):
        (tmp_path / name).mkdir()
        write_nifti(tmp_path / name / f"{name}.nii.gz", volume)
    catalog = build_catalog(tmp_path).usable()
    scores = score_robustness(predict, catalog, RENDERING, RULES)
    assert scores.n == len(catalog) > 10
    assert 0 <= scores.uncorrupted.roc_auc.value <= 1


def test_without_slices_of_a_class_nothing_is_measured(catalog):
    table = catalog.table[catalog.labels == 1].reset_index(drop=True)
    positives = Catalog(catalog.root, catalog.classes, table)
    assert score_robustness(predict, positives, RENDERING, RULES) is None


def test_without_an_ood_threshold_nothing_is_rejected(catalog):
    rules = Rules(threshold=0.5, conformal_threshold=0.4)
    scores = score_robustness(predict, catalog, RENDERING, rules, max_slices=10)
    assert {row.out_of_distribution.value for row in scores.rows} == {0}
