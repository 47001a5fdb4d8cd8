"""The function of every exported network; falx.exporting.runtimes defines its interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from falx.exporting.runtimes import INPUT, OUTPUTS, Outputs, Runtime
from falx.model.attribution import attribution_head
from falx.model.exportable import ExportableModel
from falx.model.network import backbone_of
from falx.model.reference import OOD_LAYER
from falx.model.scaling import network_input


def serving_function(model: ExportableModel) -> Any:
    """A model as a TensorFlow function from `INPUT` to `OUTPUTS` by name."""
    import tensorflow as tf

    complete, reference = with_constants(_complete(model.network)), model.reference
    signature = tf.TensorSpec((None, *model.network.inputs[0].shape[1:]), tf.float32, INPUT)

    def serve(gray_levels: Any) -> dict[str, Any]:
        inputs = gray_levels
        if model.flip_tta:
            inputs = tf.concat([gray_levels, tf.reverse(gray_levels, axis=[2])], axis=0)
        logits, heat_maps, features = complete(inputs)
        if model.flip_tta:
            logits = tf.reduce_mean(_halves(logits), axis=0)
            upright, flipped = tf.unstack(_halves(heat_maps))
            heat_maps = (upright + tf.reverse(flipped, axis=[2])) / 2
            features = _halves(features)[0]
        whitened = tf.matmul(features - reference.mean, reference.whitening)
        distances = tf.sqrt(tf.reduce_sum(whitened * whitened, axis=1))
        outputs = (logits, heat_maps, _probabilities(logits), distances)
        return dict(zip(OUTPUTS, outputs, strict=True))

    return tf.function(serve, input_signature=[signature])


def with_constants(network: keras.Model) -> Callable[[Any], Any]:
    """A network as a function to be traced, with its variables frozen to constants.

    Runtimes need constants, and OpenVINO's converter spends most of its time on freezing variables.
    """
    trainable, non_trainable = (
        [keras.ops.convert_to_numpy(variable) for variable in variables]
        for variables in (network.trainable_variables, network.non_trainable_variables)
    )
    return lambda values: network.stateless_call(trainable, non_trainable, values, training=False)[
        0
    ]


def keras_runtime(model: ExportableModel) -> Runtime:
    """A model as the runtime that its exports are compared with."""
    function = serving_function(model)

    def run(views: np.ndarray) -> Outputs:
        outputs = function(network_input(views))
        return Outputs(**{name: outputs[name].numpy() for name in OUTPUTS})

    return run


def _complete(network: keras.Model) -> keras.Model:
    """Gray levels -> logits, heat maps, and the features of the Mahalanobis distance."""
    backbone, scaled = backbone_of(network), network.get_layer("scale").output
    middle = backbone.get_layer(OOD_LAYER).output
    both = keras.Model(backbone.input, [backbone.output, middle], name=backbone.name)
    last, middle = both(scaled)
    outputs = (*attribution_head(network)(last), keras.layers.GlobalAveragePooling2D()(middle))
    return keras.Model(network.inputs[0], outputs, name=network.name)


def _halves(values: Any) -> Any:
    """Views and their mirror images on an axis of their own: (2 n, ...) -> (2, n, ...)."""
    return keras.ops.reshape(values, (2, -1, *values.shape[1:]))


def _probabilities(logits: Any) -> Any:
    if logits.shape[-1] > 1:
        return keras.ops.softmax(logits)
    return keras.ops.sigmoid(keras.ops.concatenate([-logits, logits], axis=-1))
