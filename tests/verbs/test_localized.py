"""Recipe `localized`: from a pretrained localization head to a detector that points."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

import falx
from falx.errors import BadInput
from falx.exporting.keras_network import load_keras
from falx.model.backbones import build_backbone
from falx.model.weights import save_weights
from falx.recipe import load_recipe

pytestmark = pytest.mark.slow

RECIPE = load_recipe("localized").changed({
    "backbone.width": "0.35", "rendering.size": "64", "phases.0.epochs": "1"
})  # fmt: skip


@pytest.fixture(scope="module")
def localizer(tmp_path_factory):
    """Weights of a localization head in place of a pretrained one."""
    keras.utils.set_random_seed(3)
    file = tmp_path_factory.mktemp("weights") / "localizer.weights.h5"
    save_weights(build_backbone(RECIPE.backbone, None, None), file)
    return file


@pytest.fixture(scope="module")
def done(phantoms, localizer, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "localized"
    return falx.train(phantoms, recipe=RECIPE, weights=localizer, out=out)


def test_only_slope_and_offset_of_the_evidence_are_fitted(done, localizer) -> None:
    network = load_keras(done.folder / "detector")
    kernel, bias = network.get_layer("logits").get_weights()
    assert (kernel.shape, bias.shape) == ((1, 1), (1,))
    before = build_backbone(RECIPE.backbone, 64, str(localizer))
    inside = next(layer for layer in network.layers if isinstance(layer, keras.Model))
    scaled = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 1)).repeat(3, axis=3)
    ours, theirs = (np.asarray(each(scaled, training=False)) for each in (inside, before))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_the_heat_map_is_what_decides(done, phantoms) -> None:
    detector = falx.load(done.folder)
    views = np.random.default_rng(0).integers(0, 255, (3, 64, 64)).astype(np.uint8)
    evidence = detector.evidence(views, [1, 1, 1])
    assert evidence.shape == (3, 8, 8)
    assert ((evidence > 0) & (evidence < 1)).all()
    network = load_keras(done.folder / "detector")
    slope = float(network.get_layer("logits").get_weights()[0][0, 0])
    # Averaging over mirror images comes after the logarithm, so that they agree nearly.
    logits = np.diff(np.log(detector.probabilities(views)), axis=1)[:, 0]
    sums = np.log((evidence / (1 - evidence)).sum(axis=(1, 2)))
    np.testing.assert_allclose(np.diff(logits), slope * np.diff(sums), atol=0.02)


@pytest.mark.parametrize("to", ["openvino", "onnx", "litert"])
def test_every_export_agrees(done, tmp_path, to) -> None:
    exported = falx.export(done.folder, to=to, out=tmp_path / to)
    parity = json.loads((exported.folder / "parity.json").read_text())
    assert parity["passed"]


def test_several_classes_are_refused(kinds, localizer, tmp_path) -> None:
    with pytest.raises(BadInput, match="tells tumor from none, and the data have the classes"):
        falx.train(kinds, recipe=RECIPE, weights=localizer, out=tmp_path / "run")


def test_a_plain_backbone_is_refused(phantoms, tmp_path) -> None:
    plain = tmp_path / "backbone.weights.h5"
    save_weights(build_backbone(load_recipe("lite").changed({"backbone.width": "0.35"}).backbone,
                                None, None), plain)  # fmt: skip
    with pytest.raises(BadInput, match="with a localization head"):
        falx.train(phantoms, recipe=RECIPE, weights=plain, out=tmp_path / "run")


def test_pretraining_on_another_dataset_is_for_plain_backbones(
    phantoms, kinds, localizer, tmp_path
) -> None:
    with pytest.raises(BadInput, match="leave out --pretrain-on"):
        falx.train(
            phantoms, recipe=RECIPE, weights=localizer, pretrain_on=kinds, out=tmp_path / "run"
        )
