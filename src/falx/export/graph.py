"""What every exported network computes: grey levels in; logits, heat maps and probabilities out."""

from __future__ import annotations

from typing import Any

import keras

from falx.model.explain import explained

INPUT = "grey_levels"
"""float32 (batch, size, size, 1), [0, 255]."""

OUTPUTS = ("logits", "heat_maps", "probabilities")
"""float32 (batch, k), (batch, rows, columns, k) in shares of the logits, and (batch, classes).

Of two classes k is 1, and the logit is that of the second, positive one; of more it is as many.
"""


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


def _probabilities(logits: Any) -> Any:
    if logits.shape[-1] > 1:
        return keras.ops.softmax(logits)
    return keras.ops.sigmoid(keras.ops.concatenate([-logits, logits], axis=-1))
