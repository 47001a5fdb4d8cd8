"""A linear head that is fitted at once is the one of least loss."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from sklearn.metrics import log_loss

import falx
from falx.detect.finding import class_probabilities
from falx.errors import BadInput
from falx.recipe import Phase, load_recipe
from falx.training.bank import FeatureBank
from falx.training.logistic import fit_logistic
from falx.training.views import PLAIN


def drawn(n, classes, seed=0):
    """Features of very different sizes that lean towards a class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    centers = np.random.default_rng(9).normal(0, 1, (classes, 6))
    return (centers[labels] + rng.normal(size=(n, 6))) * 10.0 ** np.arange(-2, 4), labels


def test_the_head_is_of_least_penalized_loss():
    features, labels = drawn(80, 2)
    kernel, bias = fit_logistic(features, labels, views=1, penalty=5.0, balanced=False)
    spread = features.std(axis=0)

    def loss(values):
        logits = features @ (values[:6] / spread) + values[6]
        return (
            np.logaddexp(0, np.where(labels, -logits, logits)).sum() + 2.5 * (values[:6] ** 2).sum()
        )

    ours = np.append(kernel[:, 0] * spread, bias)
    assert loss(ours) == pytest.approx(minimize(loss, np.zeros(7)).fun, rel=1e-4)


@pytest.mark.parametrize("classes", [2, 4])
def test_it_tells_unseen_slices_apart(classes):
    kernel, bias = fit_logistic(*drawn(400, classes), views=1, penalty=1.0, balanced=True)
    assert kernel.shape == (6, 1 if classes == 2 else classes)
    features, labels = drawn(400, classes, seed=1)
    chances = class_probabilities(features @ kernel + bias)
    assert log_loss(labels, chances) < 0.8 * np.log(classes)


def test_several_views_of_a_slice_count_as_one():
    features, labels = drawn(50, 2)
    once = fit_logistic(features, labels, views=1, penalty=3.0, balanced=True)
    thrice = fit_logistic(
        np.tile(features, (3, 1)), np.tile(labels, 3), views=3, penalty=3.0, balanced=True
    )
    for one, other in zip(once, thrice, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-6)


@pytest.fixture(scope="module")
def fitted(phantoms, tmp_path_factory):
    changes = {"rendering.size": "96", "phases.0.epochs": "3"}
    out = tmp_path_factory.mktemp("logistic") / "run"
    return falx.train(phantoms, recipe="best", changes=changes, weights="phantom", out=out)


def test_recipe_best_learns_from_phantoms_in_a_moment(fitted):
    assert fitted.scores.estimates["roc_auc"].value > 0.8
    history = pd.read_csv(fitted.folder / "history.csv")
    assert history["phase"].tolist() == ["frozen"]
    assert history["val_auc"].iloc[0] > 0.8
    about = json.loads((fitted.folder / "environment.json").read_text())
    assert "--recipe best" in about["command"]


def test_the_same_again_gives_the_same(fitted, phantoms, tmp_path):
    changes = {"rendering.size": "96", "phases.0.epochs": "3"}
    again = falx.train(
        phantoms, recipe="best", changes=changes, weights="phantom", out=tmp_path / "again"
    )
    tables = [pd.read_csv(run.folder / "predictions.csv") for run in (fitted, again)]
    pd.testing.assert_frame_equal(*tables)


def test_a_phase_that_follows_goes_on_with_the_views_after_those_of_the_head(
    phantoms, tmp_path, monkeypatch
):
    recipe = load_recipe("best").changed({"rendering.size": "64", "backbone.width": "0.35"})
    head, after = recipe.phases[0], Phase(name="after", epochs=2, learning_rate=1e-3)
    phases = (head.model_copy(update={"epochs": 3}), after)
    seen, take = [], FeatureBank.take

    def noted(self, number, rows):
        seen.append(number)
        return take(self, number, rows)

    monkeypatch.setattr(FeatureBank, "take", noted)
    recipe = recipe.model_copy(update={"phases": phases})
    done = falx.train(phantoms, recipe=recipe, weights="random", out=tmp_path / "run")
    assert sorted({number for number in seen if number > PLAIN}) == [1, 2, 3, 4, 5]
    history = pd.read_csv(done.folder / "history.csv")
    assert history["phase"].tolist() == ["frozen", "after", "after"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"head.hidden": "8"}, "needs a linear head"),
        ({"phases.0.train_from": "100"}, "fits a head alone"),
        ({"phases.0.penalty": "0"}, "greater than 0"),
    ],
)
def test_only_a_linear_head_can_be_fitted_at_once(changes, problem):
    with pytest.raises(BadInput, match=problem):
        load_recipe("best").changed(changes)
