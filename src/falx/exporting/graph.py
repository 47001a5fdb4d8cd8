"""What every exported network computes: grey levels in; logits, heat maps and probabilities out."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from falx.exporting.runtimes import INPUT, OUTPUTS, Answers
from falx.model.explain import explained
from falx.model.network import network_input

_BATCH = 32


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


def keras_answers(network: keras.Model, views: np.ndarray) -> Answers:
    """What Keras says of views uint8 (n, size, size)."""
    function = answering(network)
    batches = [
        function(network_input(views[start : start + _BATCH]))
        for start in range(0, len(views), _BATCH)
    ]
    return Answers(
        **{name: np.concatenate([batch[name].numpy() for batch in batches]) for name in OUTPUTS}
    )


def _probabilities(logits: Any) -> Any:
    if logits.shape[-1] > 1:
        return keras.ops.softmax(logits)
    return keras.ops.sigmoid(keras.ops.concatenate([-logits, logits], axis=-1))
