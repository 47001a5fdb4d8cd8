"""A trunk gives the same features as Keras."""

import keras
import numpy as np
import pytest

from falx.errors import BadInput
from falx.model.network import backbone_of, build_network, cut_network
from falx.model.scaling import network_input
from falx.recipe import load_recipe
from falx.training.disk_cache import DiskCache
from falx.training.trunk import KerasTrunk, compile_trunk, trunk_digest

RECIPE = load_recipe("lite").changed({"rendering.size": "96", "backbone.width": "0.35"})
VIEWS = np.random.default_rng(0).integers(0, 255, (9, 96, 96), np.uint8)


@pytest.fixture(scope="module")
def parts():
    network = build_network(RECIPE, 2)
    for layer in backbone_of(network).layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # The signal vanishes in random layers, unlike in trained ones.
            layer.moving_variance.assign(keras.ops.full_like(layer.moving_variance, 0.1))
    return [cut_network(network, RECIPE, phase) for phase in RECIPE.phases]


@pytest.mark.parametrize("phase", [0, 1])
def test_features_are_those_of_keras_within_a_thousandth(parts, tmp_path, phase):
    network = parts[phase].trunk
    trunk = compile_trunk(network, trunk_digest(network, "fp32"), DiskCache(tmp_path, 1))
    expected = network.predict_on_batch(network_input(VIEWS))
    found = np.concatenate(list(trunk.run([VIEWS[:6], VIEWS[6:]])))
    assert found.dtype == np.float16
    assert found.shape[1:] == trunk.shape
    assert np.abs(expected).max() > 0.01
    assert np.linalg.norm(found - expected) <= 1e-3 * np.linalg.norm(expected)


@pytest.mark.parametrize("phase", [0, 1])
def test_features_of_a_view_do_not_depend_on_its_batch(parts, tmp_path, phase):
    network = parts[phase].trunk
    trunk = compile_trunk(network, trunk_digest(network, "fp32"), DiskCache(tmp_path, 1))
    alone = np.concatenate(list(trunk.run(view[None] for view in VIEWS)))
    np.testing.assert_array_equal(next(trunk.run([VIEWS])), alone)


def test_no_batches_give_no_features(parts, tmp_path):
    network = parts[0].trunk
    trunk = compile_trunk(network, trunk_digest(network, "fp32"), DiskCache(tmp_path, 1))
    assert list(trunk.run([])) == []


def test_a_conversion_is_cached(parts, tmp_path, monkeypatch):
    network, cache = parts[0].trunk, DiskCache(tmp_path, 1)
    digest = trunk_digest(network, "fp32")
    first = next(compile_trunk(network, digest, cache).run([VIEWS]))
    monkeypatch.setattr("falx.training.trunk.write_openvino", None)
    np.testing.assert_array_equal(next(compile_trunk(network, digest, cache).run([VIEWS])), first)


def test_an_incomplete_conversion_is_repeated(parts, tmp_path):
    network, cache = parts[0].trunk, DiskCache(tmp_path, 1)
    digest = trunk_digest(network, "fp32")
    (cache.entry(f"trunk-{digest}") / "trunk.xml").write_text("<net")
    assert next(compile_trunk(network, digest, cache).run([VIEWS])).shape == (9, 1280)


def test_the_digest_depends_on_weights_and_precision(parts):
    network = parts[0].trunk
    other = cut_network(build_network(RECIPE, 2, seed=1), RECIPE, RECIPE.phases[0]).trunk
    digests = {trunk_digest(network, "fp32"), trunk_digest(network, "bf16")}
    assert len({*digests, trunk_digest(other, "fp32")}) == 3


def test_keras_can_run_a_trunk(parts):
    network = parts[1].trunk
    trunk = KerasTrunk(network, network.output.shape[1:], "digest")
    expected = network.predict_on_batch(network_input(VIEWS))
    np.testing.assert_allclose(next(trunk.run([VIEWS])), expected, rtol=1e-3, atol=1e-3)


def test_bfloat16_without_processor_support_is_an_error(parts, tmp_path, monkeypatch):
    monkeypatch.setattr("openvino.Core.get_property", lambda *_: ["FP32"])
    network = parts[0].trunk
    with pytest.raises(BadInput, match="no bfloat16; leave out --precision bf16"):
        compile_trunk(network, trunk_digest(network, "bf16"), DiskCache(tmp_path, 1), "bf16")
