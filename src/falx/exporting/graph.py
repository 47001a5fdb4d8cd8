"""What every exported network computes; falx.exporting.runtimes says what goes in and out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from falx.exporting.runtimes import INPUT, OUTPUTS, Answers, Runtime
from falx.model.deployed import Deployed
from falx.model.explain import explained_head
from falx.model.network import backbone_of, network_input
from falx.model.reference import LAYER


def answering(deployed: Deployed) -> Any:
    """A network as a TensorFlow function of `INPUT` that gives `OUTPUTS` by name."""
    import tensorflow as tf

    complete, reference = with_constants(_complete(deployed.network)), deployed.reference
    grey = tf.TensorSpec((None, *deployed.network.inputs[0].shape[1:]), tf.float32, INPUT)

    def answer(grey_levels: Any) -> dict[str, Any]:
        shown = grey_levels
        if deployed.mirrored:
            shown = tf.concat([grey_levels, tf.reverse(grey_levels, axis=[2])], axis=0)
        logits, heat_maps, features = complete(shown)
        if deployed.mirrored:
            logits = tf.reduce_mean(_halves(logits), axis=0)
            upright, turned = tf.unstack(_halves(heat_maps))
            heat_maps = (upright + tf.reverse(turned, axis=[2])) / 2
            features = _halves(features)[0]
        apart = tf.matmul(features - reference.mean, reference.whitening)
        distances = tf.sqrt(tf.reduce_sum(apart * apart, axis=1))
        answers = (logits, heat_maps, _probabilities(logits), distances)
        return dict(zip(OUTPUTS, answers, strict=True))

    return tf.function(answer, input_signature=[grey])


def with_constants(network: keras.Model) -> Callable[[Any], Any]:
    """A network as a function to be traced, with constants where it has variables.

    They hold what the variables do now. Runtimes want constants, and OpenVINO's converter takes
    most of its time to find out what variables hold.
    """
    trained, other = (
        [keras.ops.convert_to_numpy(variable) for variable in variables]
        for variables in (network.trainable_variables, network.non_trainable_variables)
    )
    return lambda values: network.stateless_call(trained, other, values, training=False)[0]


def keras_runtime(deployed: Deployed) -> Runtime:
    """A network as the runtime that exports of it are held to."""
    function = answering(deployed)

    def answer(views: np.ndarray) -> Answers:
        found = function(network_input(views))
        return Answers(**{name: found[name].numpy() for name in OUTPUTS})

    return answer


def _complete(network: keras.Model) -> keras.Model:
    """Grey levels -> logits, heat maps, and the features that distances are measured by."""
    backbone, scaled = backbone_of(network), network.get_layer("scale").output
    middle = backbone.get_layer(LAYER).output
    both = keras.Model(backbone.input, [backbone.output, middle], name=backbone.name)
    last, middle = both(scaled)
    answers = (*explained_head(network)(last), keras.layers.GlobalAveragePooling2D()(middle))
    return keras.Model(network.inputs[0], answers, name=network.name)


def _halves(values: Any) -> Any:
    """What stands one after the other, side by side: (2 n, ...) -> (2, n, ...)."""
    return keras.ops.reshape(values, (2, -1, *values.shape[1:]))


def _probabilities(logits: Any) -> Any:
    if logits.shape[-1] > 1:
        return keras.ops.softmax(logits)
    return keras.ops.sigmoid(keras.ops.concatenate([-logits, logits], axis=-1))
