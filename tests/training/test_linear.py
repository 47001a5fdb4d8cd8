"""A linear head is fitted without Keras, to the result that Keras would give."""

import subprocess
import sys

import numpy as np
import pytest

from falx.detect.detector import load
from falx.detect.rules import Rules
from falx.errors import BadInput
from falx.exporting.keras_network import load_keras
from falx.model.scaling import network_input
from falx.recipe import load_recipe
from falx.training.disk_cache import DiskCache
from falx.training.fit import KerasTrainer
from falx.training.linear import LinearTrainer, fits_linear_head
from falx.training.ood import fit_mahalanobis
from falx.training.views import Views

RECIPE = load_recipe("best").changed(
    {"rendering.size": 64, "backbone.width": 0.35, "phases.0.epochs": 2, "phases.0.l2": 10}
)
TRAIN, VALIDATION = np.arange(20), np.arange(20, 28)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return DiskCache(tmp_path_factory.mktemp("cache"), 1)


def trainer_of(kind, cache, weights, classes=2):
    """On noise with a bright square in every other view."""
    generator = np.random.default_rng(0)
    plain = generator.integers(0, 120, (28, 64, 64), np.uint8)
    plain[1::2, 20:40, 20:40] += 120
    views = Views(plain, np.arange(28, dtype=np.uint64), RECIPE.augmentation, "squares")
    labels = np.arange(28) % classes
    sources = np.zeros(28, int)
    return kind(RECIPE, views, labels, classes, sources, weights=weights, cache=cache)


@pytest.mark.parametrize("classes", [2, 4])
def test_both_trainers_agree(cache, weights, classes) -> None:
    ours, theirs = (trainer_of(k, cache, weights, classes) for k in (LinearTrainer, KerasTrainer))
    for each in (ours, theirs):
        history = each.train(TRAIN, VALIDATION, seed=0)
    rows = np.arange(28)
    np.testing.assert_allclose(ours.probabilities(rows), theirs.probabilities(rows), atol=0.01)
    np.testing.assert_allclose(ours.ood_features(rows), theirs.ood_features(rows), atol=0.01)
    assert list(ours.train(TRAIN, VALIDATION, seed=0).columns) == list(history.columns)


def test_a_detector_gives_what_the_training_gave(cache, weights, tmp_path) -> None:
    trainer = trainer_of(LinearTrainer, cache, weights)
    trainer.train(TRAIN, VALIDATION, seed=0)
    reference = fit_mahalanobis(trainer.ood_features(TRAIN))
    rules = Rules(temperature=2.0)
    trainer.export(
        tmp_path, classes=("no", "yes"), rules=rules, reference=reference, parity_rows=VALIDATION
    )
    detector, views = load(tmp_path), trainer.views.plain[VALIDATION]
    odds = trainer.probabilities(VALIDATION)
    expected = 1 / (1 + np.sqrt(odds[:, 0] / odds[:, 1]))
    np.testing.assert_allclose(detector.probabilities(views)[:, 1], expected, atol=0.01)
    distances = reference.distances(trainer.ood_features(VALIDATION))
    np.testing.assert_allclose(detector.predict_views(views)[1], distances, rtol=0.02)

    network = load_keras(tmp_path)
    upright, mirrored = (
        np.asarray(network(network_input(each), training=False))
        for each in (views, views[:, :, ::-1])
    )
    logits = (upright + mirrored)[:, 0] / 2
    np.testing.assert_allclose(
        detector.probabilities(views)[:, 1], 1 / (1 + np.exp(-logits)), atol=1e-3
    )


def test_other_weights_are_refused(cache, tmp_path) -> None:
    file = tmp_path / "text.weights.h5"
    file.write_text("nothing")
    with pytest.raises(BadInput, match="not those of MobileNetV2"):
        trainer_of(LinearTrainer, cache, file)


def test_only_recipes_that_fit_one_linear_head_are_trained_so(weights, monkeypatch) -> None:
    assert fits_linear_head(RECIPE, weights)
    assert not fits_linear_head(RECIPE, None)
    assert not fits_linear_head(load_recipe("lite"), weights)
    assert not fits_linear_head(RECIPE.changed({"backbone.normalization": "training"}), weights)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert not fits_linear_head(RECIPE, weights)


def test_training_does_not_import_keras() -> None:
    script = (
        "import sys, falx.verbs.train, falx.verbs.crossval, falx.verbs.evaluate; "
        "print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
