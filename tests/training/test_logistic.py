"""Logistic regression finds the linear head with the lowest penalized loss."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

import falx
from falx.detect.finding import class_probabilities
from falx.errors import BadInput
from falx.recipe import Phase, load_recipe
from falx.training.bank import FeatureBank
from falx.training.logistic import fit_logistic
from falx.training.targets import balanced_weights
from falx.training.views import PLAIN


def sample(n, classes, seed=0):
    """Features of very different scales with class-dependent means."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    centers = np.random.default_rng(9).normal(0, 1, (classes, 6))
    return (centers[labels] + rng.normal(size=(n, 6))) * 10.0 ** np.arange(-2, 4), labels


def test_the_head_minimizes_the_penalized_loss():
    features, labels = sample(80, 2)
    kernel, bias = fit_logistic(features, labels, views=1, l2=5.0)
    deviations = features.std(axis=0)

    def loss(values):
        logits = features @ (values[:6] / deviations) + values[6]
        return (
            np.logaddexp(0, np.where(labels, -logits, logits)).sum() + 2.5 * (values[:6] ** 2).sum()
        )

    ours = np.append(kernel[:, 0] * deviations, bias)
    assert loss(ours) == pytest.approx(minimize(loss, np.zeros(7)).fun, rel=1e-4)


@pytest.mark.parametrize("classes", [2, 4])
def test_unseen_slices_are_classified(classes):
    kernel, bias = fit_logistic(*sample(400, classes), views=1, l2=1.0)
    assert kernel.shape == (6, 1 if classes == 2 else classes)
    features, labels = sample(400, classes, seed=1)
    probabilities = class_probabilities(features @ kernel + bias)
    assert log_loss(labels, probabilities) < 0.8 * np.log(classes)


def test_several_views_of_a_slice_have_the_weight_of_one():
    features, labels = sample(50, 2)
    once = fit_logistic(features, labels, views=1, l2=3.0)
    thrice = fit_logistic(np.tile(features, (3, 1)), np.tile(labels, 3), views=3, l2=3.0)
    for one, other in zip(once, thrice, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_balanced_weights_give_what_scikit_learn_gives_with_balanced_classes(classes):
    """Bit by bit, so that runs on one dataset are what they were before weights had sources."""
    features, labels = sample(70, classes)
    weights = balanced_weights(labels, np.zeros(70, int), classes)
    kernel, bias = fit_logistic(
        np.tile(features, (2, 1)), np.tile(labels, 2), np.tile(weights, 2), views=2, l2=5.0
    )
    scaler = StandardScaler()
    standardized = scaler.fit_transform(np.tile(features, (2, 1)))
    model = LogisticRegression(C=1 / 10, class_weight="balanced", max_iter=5000)
    model.fit(standardized, np.tile(labels, 2))
    expected = model.coef_.T / scaler.scale_[:, None]
    np.testing.assert_array_equal(kernel, expected.astype(np.float32))
    expected_bias = model.intercept_ - scaler.mean_ @ expected
    np.testing.assert_array_equal(bias, expected_bias.astype(np.float32))


@pytest.fixture(scope="module")
def fitted(phantoms, tmp_path_factory):
    changes = {"rendering.size": "96", "phases.0.epochs": "3"}
    out = tmp_path_factory.mktemp("logistic") / "run"
    return falx.train(phantoms, recipe="best", changes=changes, weights="phantom", out=out)


def test_recipe_best_classifies_phantoms(fitted):
    assert fitted.scores.estimates["roc_auc"].value > 0.8
    history = pd.read_csv(fitted.folder / "history.csv")
    assert history["phase"].tolist() == ["frozen"]
    assert history["val_auc"].iloc[0] > 0.7
    record = json.loads((fitted.folder / "run.json").read_text())
    assert "--recipe best" in record["command"]


def test_a_repeated_training_gives_the_same_predictions(fitted, phantoms, tmp_path):
    changes = {"rendering.size": "96", "phases.0.epochs": "3"}
    again = falx.train(
        phantoms, recipe="best", changes=changes, weights="phantom", out=tmp_path / "again"
    )
    tables = [pd.read_csv(run.folder / "predictions.csv") for run in (fitted, again)]
    pd.testing.assert_frame_equal(*tables)


def test_a_later_phase_uses_the_views_after_those_of_the_head(phantoms, tmp_path, monkeypatch):
    recipe = load_recipe("best").changed({"rendering.size": "64", "backbone.width": "0.35"})
    head, after = recipe.phases[0], Phase(name="after", epochs=2, learning_rate=1e-3)
    phases = (head.model_copy(update={"epochs": 3}), after)
    used, take = [], FeatureBank.take

    def recording_take(self, view, rows):
        used.append(view)
        return take(self, view, rows)

    monkeypatch.setattr(FeatureBank, "take", recording_take)
    recipe = recipe.model_copy(update={"phases": phases})
    done = falx.train(phantoms, recipe=recipe, weights="random", out=tmp_path / "run")
    assert sorted({view for view in used if view > PLAIN}) == [1, 2, 3, 4, 5]
    history = pd.read_csv(done.folder / "history.csv")
    assert history["phase"].tolist() == ["frozen", "after", "after"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"head.hidden": "8"}, "needs a linear head"),
        ({"phases.0.unfreeze_from": "100"}, "trains the head alone"),
        ({"phases.0.l2": "0"}, "greater than 0"),
    ],
)
def test_only_a_linear_head_can_be_fitted_by_logistic_regression(changes, problem):
    with pytest.raises(BadInput, match=problem):
        load_recipe("best").changed(changes)
