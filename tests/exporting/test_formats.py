"""What every format must satisfy: written, opened by its own runtime, it answers as Keras does."""

import numpy as np
import pytest

from falx.exporting.formats import FORMATS, size_of
from falx.exporting.graph import keras_answers
from falx.exporting.quantize import prepared
from falx.model.network import build_network
from falx.model.weights import find_weights
from falx.recipe import load_recipe

CASES = [("demo", 2), ("paper", 4)]
BOUNDS = {"fp32": 1e-4, "fp16": 0.02, "int8": 0.1, "int8-weights": 0.1}


def views(n, seed=0):
    """Blobs of grey, which span activations better than noise."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (n, 8, 8))
    return np.kron(coarse, np.ones((1, 8, 8), int)).astype(np.uint8)


@pytest.fixture(scope="module", params=CASES, ids=["linear head", "hidden layer, 4 classes"])
def network(request):
    name, classes = request.param
    recipe = load_recipe(name).changed({"rendering.size": "64"})
    weights = find_weights("phantom", recipe.backbone)
    network = build_network(recipe, classes, str(weights.file))
    # As far apart as a trained head puts them.
    head = network.get_layer("logits")
    head.kernel.assign(20 * head.kernel)
    return network


@pytest.fixture(scope="module")
def ready(network):
    return prepared(network, views(32))


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("name", FORMATS)
def test_an_export_answers_as_its_network(name, precision, network, ready, tmp_path):
    format_ = FORMATS[name]
    file = tmp_path / format_.file
    chosen = network if precision in ("fp32", "fp16") else ready
    format_.write(chosen, file, precision, views(32))
    found = format_.open(file, 1)(views(5, seed=1))
    expected = keras_answers(network, views(5, seed=1))
    for part in ("logits", "heat_maps", "probabilities"):
        assert getattr(found, part).shape == getattr(expected, part).shape, part
    assert np.ptp(expected.probabilities[:, 0]) > 3 * BOUNDS[precision]
    apart = np.abs(found.probabilities - expected.probabilities).max()
    assert apart < BOUNDS[precision]
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=0.02)
    if precision == "fp32":
        np.testing.assert_allclose(found.logits, expected.logits, atol=1e-3)
        np.testing.assert_allclose(found.heat_maps, expected.heat_maps, atol=1e-3)


@pytest.mark.parametrize("name", FORMATS)
def test_fewer_bits_make_smaller_files(name, network, ready, tmp_path):
    sizes = []
    for precision in ("fp32", "fp16", "int8", "int8-weights"):
        file = tmp_path / precision / FORMATS[name].file
        file.parent.mkdir()
        chosen = network if precision in ("fp32", "fp16") else ready
        FORMATS[name].write(chosen, file, precision, views(4))
        sizes.append(size_of(file))
    whole, half, eighth, weights = sizes
    assert 0.4 * whole < half < 0.6 * whole
    assert eighth < 0.45 * whole
    assert weights < 1.1 * eighth
