"""Batch normalization by one operation of TensorFlow, for training whole networks."""

from __future__ import annotations

from typing import Any

import keras


def hastened(network: keras.Model) -> keras.Model:
    """A network with layers and weights of its own that trains faster, on TensorFlow.

    Keras makes batch normalization of a dozen operations, each a pass over memory; they take a
    third of a step of MobileNetV2. `get_weights` and `set_weights` go between the two networks.
    """
    if keras.backend.backend() != "tensorflow":
        return network
    hasty = keras.models.clone_model(network, clone_function=_hasty)
    hasty.set_weights(network.get_weights())
    return hasty


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer, but for the moving variance, which is that of a sample (n - 1)."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The inputs, normalized by their own statistics in training, else by the moving ones."""
        if not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        normalized, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            tf.convert_to_tensor(self.gamma),
            tf.convert_to_tensor(self.beta),
            epsilon=self.epsilon,
            is_training=True,
        )
        for moving, found in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + found * (1 - self.momentum))
        return normalized


def _hasty(layer: keras.layers.Layer) -> keras.layers.Layer:
    plain = isinstance(layer, keras.layers.BatchNormalization)
    kind = FusedBatchNormalization if plain else type(layer)
    return kind.from_config(layer.get_config())
