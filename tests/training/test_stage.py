"""A stage is one phase of a network, compiled once and reset for each training."""

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from falx.model.network import build_network
from falx.recipe import load_recipe
from falx.training.stage import SoftmaxAUC, Stage
from falx.training.targets import encode_targets

RECIPE = load_recipe("lite").changed({
    "rendering.size": "64",
    "backbone.width": "0.35",
    "phases.0.unfreeze_from": "0",
    "phases.1.unfreeze_from": "1",
})  # fmt: skip


@pytest.fixture
def stages():
    network = build_network(RECIPE, 2)
    return [Stage(network, RECIPE, phase, 2) for phase in RECIPE.phases]


def test_phases_that_freeze_nothing_have_optimizers_of_their_own(stages):
    assert all(stage.trunk is None for stage in stages)
    assert all(stage.tail.optimizer is stage.optimizer for stage in stages)
    assert stages[0].optimizer is not stages[1].optimizer


def test_a_reset_restores_moments_steps_and_learning_rate(stages):
    stage = stages[0]
    before = [keras.ops.convert_to_numpy(value) for value in stage.optimizer.variables]
    inputs = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 1)).astype(np.float32)
    stage.tail.train_on_batch(inputs, np.array([[0], [1], [0], [1]], np.float32))
    stage.optimizer.learning_rate = 0.5
    assert int(stage.optimizer.iterations) == 1
    stage.reset()
    for ours, expected in zip(stage.optimizer.variables, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(ours), expected)
    assert float(stage.optimizer.learning_rate) == pytest.approx(RECIPE.phases[0].learning_rate)


def test_the_auc_of_several_classes_is_that_of_softmax_probabilities():
    logits = np.random.default_rng(0).normal(size=(200, 3)) + np.linspace(-9, 9, 200)[:, None]
    labels = np.arange(200) % 3
    logits[np.arange(200), labels] += 1
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = exponentials / exponentials.sum(1, keepdims=True)
    metric = SoftmaxAUC(multi_label=True, num_labels=3)
    metric.update_state(encode_targets(labels, 3), logits)
    expected = roc_auc_score(labels, probabilities, multi_class="ovr")
    assert float(metric.result()) == pytest.approx(expected, abs=0.01)
