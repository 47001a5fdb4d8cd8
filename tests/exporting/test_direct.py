"""Networks built from arrays, without Keras, are those that Keras builds."""

import h5py
import keras
import numpy as np
import openvino
import pytest
from keras.src.legacy.saving import legacy_h5_format

from falx.errors import BadInput
from falx.exporting.arrays import MAP, Convolution, read_convolutions
from falx.exporting.direct import (
    LinearHead,
    cell_feature_graph,
    detector_graph,
    feature_graph,
    pooled_depth,
)
from falx.exporting.graph import keras_runtime
from falx.exporting.runtimes import OUTPUTS
from falx.model.backbones import build_backbone
from falx.model.exportable import ExportableModel
from falx.model.mahalanobis import ood_feature_network
from falx.model.network import build_network
from falx.model.reference import MahalanobisReference
from falx.model.scaling import network_input
from falx.model.weights import save_weights
from falx.recipe import load_recipe

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
VIEWS = np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8)


def small(name, **changes):
    return load_recipe(name).changed({"rendering.size": 64, "backbone.width": 0.35, **changes})


def weights_of(recipe, folder):
    """Random weights, with statistics and offsets that are not the initial ones."""
    keras.utils.set_random_seed(1)
    backbone = build_backbone(recipe.backbone, None, None)
    rng = np.random.default_rng(2)
    for layer in backbone.layers:
        values = layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([v * rng.uniform(0.8, 1.2, v.shape) + 0.01 for v in values])
        elif len(values) == 2:
            layer.set_weights([values[0], values[1] + rng.normal(0, 0.1, values[1].shape)])
    file = folder / "some.weights.h5"
    save_weights(backbone, file)
    return file


def head_of(recipe, convolutions, outputs):
    rng = np.random.default_rng(3)
    depth = pooled_depth(recipe, convolutions)
    kernel = rng.normal(size=(depth, outputs)).astype(np.float32)
    return LinearHead(kernel, rng.normal(size=outputs).astype(np.float32))


@pytest.mark.parametrize(
    ("recipe", "classes"),
    [
        (small("best"), 2),
        (small("best"), 4),
        (small("best", flip_tta=False), 2),
        (small("best", **{"backbone.scaling": "zero_one"}), 2),
        (small("localized"), 2),
    ],
)
def test_all_outputs_are_those_of_keras(recipe, classes, tmp_path) -> None:
    file = weights_of(recipe, tmp_path)
    convolutions = read_convolutions(file, localization=recipe.backbone.localization)
    head = head_of(recipe, convolutions, 1 if classes == 2 else classes)
    network = build_network(recipe, classes, str(file))
    network.get_layer("logits").set_weights([head.kernel, head.bias])
    depth = ood_feature_network(network).output.shape[1]
    rng = np.random.default_rng(4)
    reference = MahalanobisReference(
        rng.normal(size=depth).astype(np.float32),
        rng.normal(size=(depth, depth)).astype(np.float32),
    )
    expected = keras_runtime(ExportableModel(network, reference, recipe.flip_tta))(VIEWS)

    graph = detector_graph(recipe, convolutions, head, reference)
    actual = openvino.Core().compile_model(graph, "CPU", EXACT)(network_input(VIEWS))
    for name in OUTPUTS:
        wanted = getattr(expected, name)
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(actual[name], wanted, rtol=1e-3, atol=1e-4 * scale)


def test_the_last_layer_on_features_of_cells_gives_the_pooled_evidence(tmp_path) -> None:
    recipe = small("localized")
    convolutions = read_convolutions(weights_of(recipe, tmp_path), localization=True)
    kernel = convolutions[MAP].kernel
    # Another layer than the one that the features are computed with.
    convolutions[MAP] = Convolution(kernel + 0.1, np.array([-2.0], np.float32))
    compiled = openvino.Core().compile_model(cell_feature_graph(recipe, convolutions), "CPU", EXACT)
    cells = compiled(network_input(VIEWS))[0]
    assert cells.shape == (3, 64, kernel.shape[1])
    logits = cells.astype(float) @ (kernel[0, :, 0, 0] + 0.1) - 2.0
    graph = feature_graph(recipe, convolutions)
    pooled = openvino.Core().compile_model(graph, "CPU", EXACT)(network_input(VIEWS))[0][:, 0]
    np.testing.assert_allclose(np.log(np.exp(logits).sum(axis=1)), pooled, rtol=1e-4)


@pytest.mark.parametrize("name", ["best", "localized"])
def test_features_are_pooled_ones_and_behind_them_those_of_ood_detection(name, tmp_path) -> None:
    recipe = small(name)
    file = weights_of(recipe, tmp_path)
    convolutions = read_convolutions(file, localization=recipe.backbone.localization)
    depth = pooled_depth(recipe, convolutions)
    network = build_network(recipe, 2, str(file))
    features = openvino.Core().compile_model(feature_graph(recipe, convolutions), "CPU", EXACT)
    found = features(network_input(VIEWS))[0]
    ood = np.asarray(ood_feature_network(network)(network_input(VIEWS)))
    np.testing.assert_allclose(found[:, depth:], ood, rtol=1e-3, atol=1e-4)
    kernel, bias = network.get_layer("logits").get_weights()
    logits = np.asarray(network(network_input(VIEWS), training=False))
    np.testing.assert_allclose(found[:, :depth] @ kernel + bias, logits, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["best", "localized"])
def test_a_network_is_read_back_as_it_was_written(name, tmp_path) -> None:
    recipe = small(name)
    localization = recipe.backbone.localization
    convolutions = read_convolutions(weights_of(recipe, tmp_path), localization=localization)
    head = head_of(recipe, convolutions, 1)
    middle = len(convolutions["block_6_expand"].bias)
    reference = MahalanobisReference(np.zeros(middle, np.float32), np.eye(middle, dtype=np.float32))
    graph = detector_graph(recipe, convolutions, head, reference)
    openvino.save_model(graph, tmp_path / "network.xml", compress_to_fp16=False)
    again = read_convolutions(tmp_path / "network.xml", localization=localization)
    assert again.keys() == convolutions.keys()
    first = convolutions.pop("Conv1")
    np.testing.assert_array_equal(again.pop("Conv1").kernel[:, 0], first.kernel.sum(axis=1))
    for layer, convolution in convolutions.items():
        np.testing.assert_array_equal(again[layer].kernel, convolution.kernel)
        np.testing.assert_array_equal(again[layer].bias, convolution.bias)


def test_files_whose_layers_have_their_names_are_read_too(tmp_path) -> None:
    recipe = small("best")
    file, named = weights_of(recipe, tmp_path), tmp_path / "named.h5"
    with h5py.File(named, "w") as stored:
        backbone = build_backbone(recipe.backbone, 64, str(file))
        legacy_h5_format.save_weights_to_hdf5_group(stored, backbone)
    first, second = (read_convolutions(each, localization=False) for each in (file, named))
    assert first.keys() == second.keys()
    for name, convolution in first.items():
        np.testing.assert_array_equal(convolution.kernel, second[name].kernel)
        np.testing.assert_array_equal(convolution.bias, second[name].bias)


def test_other_weights_are_refused(tmp_path) -> None:
    file = weights_of(small("best"), tmp_path)
    with pytest.raises(BadInput, match="not those of MobileNetV2 with a localization head"):
        read_convolutions(file, localization=True)
    cut = tmp_path / "cut.weights.h5"
    cut.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(BadInput, match="truncated or not those of MobileNetV2"):
        read_convolutions(cut, localization=False)
