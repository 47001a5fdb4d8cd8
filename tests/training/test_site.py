"""The site reference holds numbers that a new slice would get, one slice of each group."""

import numpy as np
import pytest

from falx.data.split import Split
from falx.training import site
from falx.training.ood import fit_mahalanobis, out_of_fold_distances
from falx.training.site import fit_site_reference

N = 240


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    return {
        "views": rng.integers(0, 256, (N, 32, 32), np.uint8),
        "features": (features := rng.normal(size=(N, 12)) @ rng.normal(size=(12, 12))),
        "corrupted": features + rng.normal(scale=0.01, size=(N, 12)),
        "groups": np.arange(N) // 2,
        "split": Split(np.arange(160), np.arange(160, 200), np.arange(200, N)),
        "learned": np.arange(200),
        "probabilities": rng.dirichlet([1, 1], 40),
    }


def test_it_holds_one_slice_of_each_group_and_probabilities_of_validation_alone(inputs):
    found = fit_site_reference(**inputs, seed=0).measurements
    assert len(found) == 100
    known = np.isfinite(found.probabilities).all(axis=1)
    assert known.sum() == 20
    rounded = np.round(inputs["probabilities"], 4).astype(np.float32)
    assert {tuple(row) for row in found.probabilities[known]} <= {tuple(row) for row in rounded}


def test_distances_are_out_of_fold(inputs):
    """A far slice is far from the others; to a reference that holds it, it would be nearer."""
    features = inputs["features"].copy()
    features[50:52] *= 8
    found = fit_site_reference(
        **{**inputs, "features": features, "corrupted": features}, seed=0
    ).measurements
    inside = fit_mahalanobis(features[inputs["learned"]]).distances(features[50:52])
    outside = fit_mahalanobis(np.delete(features[:200], [50, 51], axis=0)).distances(
        features[50:52]
    )
    assert found.distances.max() > 1.3 * inside.max()
    assert found.distances.max() == pytest.approx(outside.max(), rel=0.35)


def test_the_test_part_takes_no_part(inputs):
    changed = {**inputs, "features": inputs["features"].copy(), "views": inputs["views"].copy()}
    changed["features"][200:] += 9
    changed["views"][200:] = 0
    one, other = (fit_site_reference(**each, seed=0).measurements for each in (inputs, changed))
    np.testing.assert_array_equal(one.distances, other.distances)
    np.testing.assert_array_equal(one.statistics, other.statistics)


def test_of_many_groups_some_are_kept_validation_first(inputs, monkeypatch):
    monkeypatch.setattr(site, "MAX_GROUPS", 25)
    monkeypatch.setattr(site, "MAX_VALIDATION_GROUPS", 15)
    found = fit_site_reference(**inputs, seed=0).measurements
    assert len(found) == 25
    assert np.isfinite(found.probabilities).all(axis=1).sum() == 15


def test_groups_of_both_parts_are_of_validation(inputs):
    """As after a random split."""
    groups = np.arange(N) % 100
    found = fit_site_reference(**{**inputs, "groups": groups}, seed=0).measurements
    assert len(found) == 100
    assert np.isfinite(found.probabilities).all(axis=1).sum() == 40


def test_slices_of_a_single_group_have_no_distance():
    distances = out_of_fold_distances(*np.ones((2, 4, 2)), np.zeros(4), np.ones(4, bool))
    assert np.isinf(distances).all()
