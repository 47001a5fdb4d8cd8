"""The fused Adam updates weights as Keras' own does."""

import keras
import numpy as np
import pytest

from falx.recipe import Optimizer
from falx.training.optimizers import make_optimizer, warmup_cosine


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_fused_adam_is_adam(clip, decay):
    ours = make_optimizer(Optimizer(name="adam", clip_norm=clip, weight_decay=decay), 1e-2)
    theirs = keras.optimizers.Adam(1e-2, clipnorm=clip, weight_decay=decay or None)
    one, other = (keras.Variable(np.ones((50, 7), "float32")) for _ in range(2))
    generator = np.random.default_rng(0)
    for _ in range(20):
        size = generator.choice([0.0, 0.001, 10.0])
        gradient = (size * generator.normal(size=(50, 7))).astype("float32")
        for optimizer, variable in ((ours, one), (theirs, other)):
            optimizer.apply_gradients([(keras.ops.convert_to_tensor(gradient), variable)])
    np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5)
    assert (one.numpy() != 1).all()


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_other_optimizers_are_keras_own(name):
    made = make_optimizer(Optimizer(name=name, clip_norm=2.0), 0.1)
    assert type(made).__module__.startswith("keras.")
    assert made.clipnorm == 2.0


def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine():
    schedule = warmup_cosine(1e-3, steps=120, warmup_steps=20)
    rates = [float(schedule(step)) for step in (0, 10, 20, 70, 120)]
    np.testing.assert_allclose(rates, [0, 5e-4, 1e-3, 5e-4, 0], atol=1e-9)
