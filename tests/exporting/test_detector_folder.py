"""OpenVINO and Keras agree."""

import hashlib
from dataclasses import replace

import keras
import numpy as np
import openvino as runtime
import pytest

from falx.detect.detector import load
from falx.detect.engine import Engine
from falx.detect.rules import Rules
from falx.errors import BrokenRun
from falx.exporting.detector_folder import check_parity, export_detector
from falx.exporting.openvino import write_network, write_openvino
from falx.model.network import build_network
from falx.model.scaling import network_input
from falx.recipe import load_recipe, recipe_names
from helpers import exportable_model


def small(name):
    return load_recipe(name).changed({"rendering.size": "64", "backbone.width": "0.35"})


def views(n=5):
    return np.random.default_rng(0).integers(0, 256, (n, 64, 64), np.uint8)


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c", "d")])
@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_has_the_same_outputs_on_both(name, classes, tmp_path):
    recipe = small(name)
    network = build_network(recipe, len(classes))
    export_detector(
        exportable_model(network), tmp_path, recipe=recipe, classes=classes,
        rules=Rules(), parity_views=views(),
    )  # fmt: skip
    logits = keras.ops.convert_to_numpy(network(network_input(views()), training=False))
    np.testing.assert_allclose(Engine(tmp_path / "network.xml").logits(views()), logits, atol=1e-3)
    assert load(tmp_path).probabilities(views(40)).shape == (40, len(classes))
    written = runtime.Core().read_model(tmp_path / "network.xml").input(0)
    assert written.get_partial_shape().to_string() == "[?,64,64,1]"


def test_a_network_with_other_logits_is_refused(tmp_path):
    network = build_network(small("lite"), 2)
    file = tmp_path / "network.xml"
    write_network(exportable_model(network), file)
    check_parity(exportable_model(network), file, views())
    network.get_layer("logits").bias.assign([1.0])
    with pytest.raises(BrokenRun, match=r"differ by up to 1\.0000 in a logit"):
        check_parity(exportable_model(network), file, views())


def test_a_network_with_other_distances_is_refused(tmp_path):
    network = build_network(small("lite"), 2)
    file, model = tmp_path / "network.xml", exportable_model(network)
    write_network(model, file)
    other = replace(model.reference, mean=model.reference.mean + 1)
    with pytest.raises(BrokenRun, match=r"differ by up to .* in a Mahalanobis distance"):
        check_parity(replace(model, reference=other), file, views())


def test_outputs_that_are_not_numbers_are_refused(tmp_path):
    recipe = small("lite")
    network = build_network(recipe, 2)
    network.get_layer("logits").bias.assign([float("nan")])
    with pytest.raises(BrokenRun, match="gives outputs that are not numbers; train it again"):
        export_detector(
            exportable_model(network), tmp_path, recipe=recipe, classes=("no", "yes"),
            rules=Rules(), parity_views=views(),
        )  # fmt: skip


def test_a_detector_folder_holds_network_weights_and_settings(tmp_path):
    recipe = small("paper")
    network = build_network(recipe, 2)
    export_detector(
        exportable_model(network),
        tmp_path / "runs" / "detector",
        recipe=recipe,
        classes=("no", "yes"),
        rules=Rules(top_fraction=0.25, threshold=0.4, ood_threshold=17.0),
        parity_views=views(),
    )
    folder = tmp_path / "runs" / "detector"
    assert sorted(file.name for file in folder.iterdir()) == [
        "detector.json", "network.bin", "network.keras", "network.xml", "reference.npz",
    ]  # fmt: skip
    settings = load(folder).settings
    assert settings.rules == Rules(top_fraction=0.25, threshold=0.4, ood_threshold=17.0)
    assert (settings.classes, settings.recipe) == (("no", "yes"), "paper")
    assert settings.rendering == recipe.rendering
    content = (folder / "network.xml").read_bytes() + (folder / "network.bin").read_bytes()
    assert settings.network_sha256 == hashlib.sha256(content).hexdigest()
    kept = keras.saving.load_model(folder / "network.keras")
    check_parity(exportable_model(kept), folder / "network.xml", views(7))


def test_views_of_another_size_are_refused(tmp_path):
    network = build_network(small("lite"), 2)
    write_openvino(network, tmp_path / "network.xml")
    with pytest.raises(ValueError, match=r"must be \(n, 64, 64\)"):
        Engine(tmp_path / "network.xml").logits(np.zeros((1, 32, 32), np.uint8))
