"""A trunk gives what Keras gives, and the rest of a network goes on from there."""

import keras
import numpy as np
import pytest

from falx.errors import BadInput
from falx.model.network import backbone_of, build_network, network_input, part_network
from falx.recipe import load_recipe
from falx.training.shelf import Shelf
from falx.training.trunk import KerasTrunk, compile_trunk, trunk_digest

RECIPE = load_recipe("lite").changed({"rendering.size": "96", "backbone.width": "0.35"})
VIEWS = np.random.default_rng(0).integers(0, 255, (9, 96, 96), np.uint8)


@pytest.fixture(scope="module")
def parts():
    network = build_network(RECIPE, 2)
    for layer in backbone_of(network).layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # Random layers lose the signal on its way; trained ones don't.
            layer.moving_variance.assign(keras.ops.full_like(layer.moving_variance, 0.1))
    return [part_network(network, RECIPE, phase) for phase in RECIPE.phases]


@pytest.mark.parametrize("phase", [0, 1])
def test_features_are_those_of_keras_within_a_thousandth(parts, tmp_path, phase):
    network = parts[phase].trunk
    trunk = compile_trunk(network, trunk_digest(network, "fp32"), Shelf(tmp_path, 1))
    expected = network.predict_on_batch(network_input(VIEWS))
    found = np.concatenate(list(trunk.run([VIEWS[:6], VIEWS[6:]])))
    assert found.dtype == np.float16
    assert found.shape[1:] == trunk.shape
    assert np.abs(expected).max() > 0.01
    assert np.linalg.norm(found - expected) <= 1e-3 * np.linalg.norm(expected)


@pytest.mark.parametrize("phase", [0, 1])
def test_features_of_a_view_do_not_depend_on_what_goes_with_it(parts, tmp_path, phase):
    network = parts[phase].trunk
    trunk = compile_trunk(network, trunk_digest(network, "fp32"), Shelf(tmp_path, 1))
    alone = np.concatenate(list(trunk.run(view[None] for view in VIEWS)))
    np.testing.assert_array_equal(next(trunk.run([VIEWS])), alone)


def test_no_batches_give_no_features(parts, tmp_path):
    network = parts[0].trunk
    trunk = compile_trunk(network, trunk_digest(network, "fp32"), Shelf(tmp_path, 1))
    assert list(trunk.run([])) == []


def test_a_trunk_that_was_converted_once_is_not_converted_again(parts, tmp_path, monkeypatch):
    network, shelf = parts[0].trunk, Shelf(tmp_path, 1)
    digest = trunk_digest(network, "fp32")
    first = next(compile_trunk(network, digest, shelf).run([VIEWS]))
    monkeypatch.setattr("falx.training.trunk.write_openvino", None)
    np.testing.assert_array_equal(next(compile_trunk(network, digest, shelf).run([VIEWS])), first)


def test_a_conversion_that_was_cut_off_is_done_again(parts, tmp_path):
    network, shelf = parts[0].trunk, Shelf(tmp_path, 1)
    digest = trunk_digest(network, "fp32")
    (shelf.entry(f"trunk-{digest}") / "trunk.xml").write_text("<net")
    assert next(compile_trunk(network, digest, shelf).run([VIEWS])).shape == (9, 1280)


def test_other_weights_and_precisions_have_other_names(parts):
    network = parts[0].trunk
    other = part_network(build_network(RECIPE, 2, seed=1), RECIPE, RECIPE.phases[0]).trunk
    names = {trunk_digest(network, "fp32"), trunk_digest(network, "bf16")}
    assert len({*names, trunk_digest(other, "fp32")}) == 3


def test_keras_itself_can_be_the_trunk(parts):
    network = parts[1].trunk
    trunk = KerasTrunk(network, network.output.shape[1:], "name")
    expected = network.predict_on_batch(network_input(VIEWS))
    np.testing.assert_allclose(next(trunk.run([VIEWS])), expected, rtol=1e-3, atol=1e-3)


def test_bfloat16_on_a_processor_without_it_is_refused(parts, tmp_path, monkeypatch):
    monkeypatch.setattr("openvino.Core.get_property", lambda *_: ["FP32"])
    network = parts[0].trunk
    with pytest.raises(BadInput, match="no bfloat16; leave out --precision bf16"):
        compile_trunk(network, trunk_digest(network, "bf16"), Shelf(tmp_path, 1), "bf16")
