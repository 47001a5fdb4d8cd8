"""What every exported network computes: grey levels in; logits, heat maps and probabilities out."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from falx.exporting.runtimes import INPUT, OUTPUTS, Answers, Runtime
from falx.model.explain import explained
from falx.model.network import network_input


def answering(network: keras.Model) -> Any:
    """A network as a TensorFlow function of `INPUT` that gives `OUTPUTS` by name.

    Args:
        network: as `build_network` made it, on TensorFlow.
    """
    import tensorflow as tf

    complete = explained(network)
    grey = tf.TensorSpec((None, *complete.input_shape[1:]), tf.float32, INPUT)

    def answer(grey_levels: Any) -> dict[str, Any]:
        logits, heat_maps = complete(grey_levels, training=False)
        return dict(zip(OUTPUTS, (logits, heat_maps, _probabilities(logits)), strict=True))

    return tf.function(answer, input_signature=[grey])


def keras_runtime(network: keras.Model) -> Runtime:
    """A network as the runtime that exports of it are held to."""
    function = answering(network)

    def answer(views: np.ndarray) -> Answers:
        found = function(network_input(views))
        return Answers(**{name: found[name].numpy() for name in OUTPUTS})

    return answer


def _probabilities(logits: Any) -> Any:
    if logits.shape[-1] > 1:
        return keras.ops.softmax(logits)
    return keras.ops.sigmoid(keras.ops.concatenate([-logits, logits], axis=-1))
