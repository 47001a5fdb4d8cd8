"""What every format must satisfy: in its own runtime, it has the outputs of Keras."""

import functools
import logging

import numpy as np
import pytest

from falx.exporting.formats import FORMATS, size_of
from falx.exporting.graph import keras_runtime
from falx.exporting.quantize import prepared
from falx.exporting.runtimes import OUTPUTS
from falx.model.network import build_network
from falx.model.scaling import network_input
from falx.model.weights import find_weights
from falx.recipe import load_recipe
from helpers import exportable_model

CASES = [("demo", 2), ("paper", 4)]
BOUNDS = {"fp32": 1e-4, "fp16": 0.02, "int8": 0.2, "int8-weights": 0.15}


def views(n, seed=0):
    """Gray blocks, on which activations have a wider range than on noise."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (n, 8, 8))
    return np.kron(coarse, np.ones((1, 8, 8), int)).astype(np.uint8)


@pytest.fixture(scope="module", params=CASES, ids=["linear head", "hidden layer, 4 classes"])
def network(request):
    name, classes = request.param
    recipe = load_recipe(name).changed({"rendering.size": "64"})
    weights = find_weights("phantom", recipe.backbone)
    network = build_network(recipe, classes, str(weights.file))
    # Logits vary as much as those of a trained head.
    head = network.get_layer("logits")
    found = network.predict_on_batch(network_input(views(5, seed=1)))
    head.kernel.assign(head.kernel / found.std(axis=0))
    head.bias.assign(-found.mean(axis=0) / found.std(axis=0))
    return network


@pytest.fixture(scope="module")
def ready(network):
    return prepared(network, views(16))


@pytest.fixture(scope="module")
def written(network, ready, tmp_path_factory):
    """The file of a format and precision, written on first use."""

    @functools.cache
    def write(name, precision):
        file = tmp_path_factory.mktemp(name) / FORMATS[name].file
        chosen = network if precision in ("fp32", "fp16") else ready
        FORMATS[name].write(exportable_model(chosen), file, precision, views(16))
        return file

    return write


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("name", FORMATS)
def test_an_export_has_the_outputs_of_its_network(name, precision, network, written):
    found = FORMATS[name].open(written(name, precision), 1)(views(5, seed=1))
    expected = keras_runtime(exportable_model(network))(views(5, seed=1))
    for part in OUTPUTS:
        assert getattr(found, part).shape == getattr(expected, part).shape, part
    assert np.ptp(expected.probabilities[:, 0]) > 2 * BOUNDS[precision]
    difference = np.abs(found.probabilities - expected.probabilities).max()
    assert difference < BOUNDS[precision]
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=0.02)
    tolerance = 1e-3 if precision == "fp32" else 0.1
    np.testing.assert_allclose(found.distances, expected.distances, rtol=tolerance)
    if precision == "fp32":
        np.testing.assert_allclose(found.logits, expected.logits, atol=1e-3)
        np.testing.assert_allclose(found.heat_maps, expected.heat_maps, atol=1e-3)


@pytest.mark.parametrize("name", FORMATS)
def test_fewer_bits_make_smaller_files(name, written):
    whole, half, eighth, weights = (size_of(written(name, precision)) for precision in BOUNDS)
    assert 0.4 * whole < half < 0.6 * whole
    assert eighth < 0.45 * whole
    assert weights < 1.1 * eighth


def test_an_export_in_8_bits_does_not_silence_other_log_handlers(network, tmp_path, monkeypatch):
    pytest.importorskip("nncf")
    handler = logging.NullHandler()
    monkeypatch.setattr(logging.getLogger("nncf"), "handlers", [handler])
    FORMATS["openvino"].write(exportable_model(network), tmp_path / "network.xml", "int8", views(4))
    assert handler.level == logging.NOTSET


@pytest.mark.parametrize("name", FORMATS)
def test_a_network_with_flip_tta_averages_over_a_view_and_its_mirror_image(name, network, tmp_path):
    inputs, file = views(5, seed=1), tmp_path / FORMATS[name].file
    FORMATS[name].write(exportable_model(network, flip_tta=True), file, "fp32", inputs)
    found = FORMATS[name].open(file, 1)(inputs)
    upright, flipped = (
        keras_runtime(exportable_model(network))(v) for v in (inputs, inputs[:, :, ::-1])
    )
    np.testing.assert_allclose(found.logits, (upright.logits + flipped.logits) / 2, atol=1e-3)
    expected = (upright.heat_maps + flipped.heat_maps[:, :, ::-1]) / 2
    np.testing.assert_allclose(found.heat_maps, expected, atol=1e-3)
    np.testing.assert_allclose(found.distances, upright.distances, rtol=1e-3)
    assert np.abs(upright.logits - flipped.logits).max() > 0.01
