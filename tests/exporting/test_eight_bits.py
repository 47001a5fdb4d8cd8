"""Kernels lie on 255 steps, channels have equal range, and the network's outputs hardly change."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from falx.exporting.equalize import equalized, find_streams
from falx.exporting.kernels import STEPS, round_kernel, round_to_nearest, with_rounded_kernels
from falx.exporting.quantize import prepared
from falx.exporting.tune import FakeQuantize, tuned
from falx.model.network import backbone_of, build_network
from falx.model.scaling import network_input
from falx.model.weights import find_weights
from falx.recipe import load_recipe

KERNELS = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.floats(-4, 4, width=32),
)


def views(n=8, seed=0):
    """Gray blocks, on which activations have a wider range than on noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 8, 8))
    return np.kron(coarse, np.ones((1, 8, 8), int)).astype(np.uint8)


def steps_of(kernel, axes=(0,)):
    """A kernel in units of its channels' steps; a channel of zeros has none."""
    largest = np.abs(kernel).max(axis=axes, keepdims=True)
    return kernel * STEPS / np.where(largest > 0, largest, 1)


def products(samples):
    return samples.T @ samples


@pytest.fixture(scope="module")
def network():
    """Pretrained weights below a random head."""
    recipe = load_recipe("demo").changed({"rendering.size": "64"})
    weights = find_weights("phantom", recipe.backbone)
    network = build_network(recipe, 2, str(weights.file))
    # Logits vary as much as those of a trained head.
    head = network.get_layer("logits")
    head.kernel.assign(20 * head.kernel)
    return network


def logits(network, inputs):
    return network.predict_on_batch(network_input(inputs))


@given(kernel=KERNELS, seed=st.integers(0, 99))
def test_rounded_weights_are_whole_steps_and_the_largest_stays(kernel, seed):
    samples = np.random.default_rng(seed).normal(size=(30, len(kernel)))
    rounded = round_kernel(kernel, products(samples))
    in_steps = steps_of(kernel.astype(np.float64))
    scale = np.abs(kernel).max(axis=0)
    found = rounded * STEPS / np.where(scale > 0, scale, 1)
    np.testing.assert_allclose(found, np.rint(found), atol=1e-3)
    assert np.abs(found).max() <= STEPS + 1e-3
    np.testing.assert_allclose(np.abs(found).max(axis=0), np.abs(in_steps).max(axis=0), atol=1e-3)


@given(kernel=KERNELS)
def test_rounding_twice_changes_nothing(kernel):
    once = round_to_nearest(kernel, axes=(0,))
    np.testing.assert_allclose(round_to_nearest(once, axes=(0,)), once, rtol=1e-6, atol=1e-37)


def test_on_correlated_inputs_outputs_change_less_than_by_rounding_to_nearest():
    generator = np.random.default_rng(0)
    samples = generator.normal(size=(500, 6)) @ generator.normal(size=(6, 48))
    kernel = generator.normal(size=(48, 16)).astype(np.float32)
    rounded = round_kernel(kernel, products(samples))
    nearest = round_to_nearest(kernel, axes=(0,))
    error, base = (np.square(samples @ (each - kernel)).mean() for each in (rounded, nearest))
    assert error < base / 10


def test_fine_tuning_of_less_than_half_a_step_is_not_lost():
    """Weights on steps, then all changed a little in the same direction, as by fine-tuning."""
    generator = np.random.default_rng(0)
    samples = np.abs(generator.normal(size=(500, 32)))
    on_steps = round_to_nearest(generator.normal(size=(32, 8)).astype(np.float32), axes=(0,))
    moved = on_steps + 0.3 * np.abs(on_steps).max(axis=0) / STEPS
    moved *= np.abs(on_steps).max(axis=0) / np.abs(moved).max(axis=0)
    wanted = (samples @ (moved - on_steps)).mean()
    kept = (samples @ (round_kernel(moved, products(samples)) - on_steps)).mean()
    lost = (samples @ (round_to_nearest(moved, axes=(0,)) - on_steps)).mean()
    assert kept == pytest.approx(wanted, rel=0.1)
    assert abs(lost - wanted) > abs(wanted) / 2


def test_every_kernel_of_the_backbone_is_rounded_and_logits_hardly_change(network):
    rounded = with_rounded_kernels(network, views())
    for layer in backbone_of(rounded).layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            axes = (0, 1, 3)
        elif isinstance(layer, keras.layers.Conv2D):
            axes = (0, 1, 2)
        else:
            continue
        in_steps = steps_of(np.asarray(layer.kernel.numpy(), np.float64), axes)
        np.testing.assert_allclose(in_steps, np.rint(in_steps), atol=2e-3, err_msg=layer.name)
    others = views(seed=1)
    standard_deviation = logits(network, others).std()
    assert np.abs(logits(rounded, others) - logits(network, others)).max() < standard_deviation
    assert rounded is not network


def test_streams_are_found_with_their_producers_and_consumers():
    backbone = backbone_of(build_network(load_recipe("lite").changed({"rendering.size": "64"}), 2))
    streams = find_streams(backbone)
    assert [len(stream.producers) for stream in streams] == [1, 2, 3, 4, 3, 3, 1]
    first, second, *_, last = streams
    assert [producer.name for producer in first.producers] == ["expanded_conv_project_BN"]
    assert [consumer.name for consumer in second.consumers] == ["block_2_expand", "block_3_expand"]
    assert [consumer.name for consumer in last.consumers] == ["Conv_1"]


def test_equalized_channels_have_equal_range_and_logits_stay(network):
    equal = equalized(network, views())
    np.testing.assert_allclose(logits(equal, views(4, seed=2)), logits(network, views(4, seed=2)),
                               atol=1e-3)  # fmt: skip
    stream = find_streams(backbone_of(equal))[-1]
    inner = keras.Model(backbone_of(equal).input, stream.producers[0].output)
    probe = keras.Model(equal.inputs, inner(equal.get_layer("scale").output))
    largest = np.abs(probe.predict_on_batch(network_input(views()))).max(axis=(0, 1, 2))
    np.testing.assert_allclose(largest, largest.max(), rtol=1e-3)


def test_quantized_activations_lie_on_steps_including_zero_and_pass_gradients():
    tf = pytest.importorskip("tensorflow")
    layer = FakeQuantize(-1.0, 6.0)
    values = tf.constant([-3.0, -0.5, 0.0, 0.011, 2.0, 9.0])
    with tf.GradientTape() as tape:
        tape.watch(values)
        rounded = layer(values)
    found = rounded.numpy()
    assert found[2] == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(found / layer.step, np.rint(found / layer.step), atol=1e-3)
    assert found[0] == pytest.approx(-1, abs=layer.step)
    assert found[-1] == pytest.approx(6, abs=layer.step)
    np.testing.assert_array_equal(tape.gradient(rounded, values).numpy(), [0, 1, 1, 1, 1, 0])


@pytest.mark.slow
def test_tuning_changes_no_kernel_and_reduces_the_error_of_an_8_bit_network(network):
    from falx.exporting.tune import _student

    ready = prepared(network, views(24))
    better = tuned(ready, network, views(24))
    for before, after in zip(backbone_of(ready).layers, backbone_of(better).layers, strict=True):
        if isinstance(before, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            np.testing.assert_array_equal(before.kernel, after.kernel)
    expected = logits(network, views(24))

    def error(candidate):
        outputs, _ = _student(candidate, views(24)).predict_on_batch(network_input(views(24)))
        return np.square(outputs - expected).mean()

    assert error(better) < error(ready)


SMALL = {"rendering.size": "64", "backbone.width": "0.35"}


def test_sums_of_a_localization_head_are_no_streams():
    with_head, without = (
        find_streams(backbone_of(build_network(load_recipe(name).changed(SMALL), 2)))
        for name in ("localized", "best")
    )
    names = [[[layer.name for layer in each.consumers] for each in s] for s in (with_head, without)]
    assert names[0] == names[1]


def test_a_network_with_a_localization_head_is_rounded_and_tuned():
    network = build_network(load_recipe("localized").changed(SMALL), 2)
    rounded, others = prepared(network, views()), views(seed=1)
    np.testing.assert_allclose(logits(rounded, others), logits(network, others), rtol=0.05)
    assert np.isfinite(logits(tuned(rounded, network, views()), others)).all()
