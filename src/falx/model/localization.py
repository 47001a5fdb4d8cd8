"""The localization head: where in a slice there is tumor, and from that whether there is one.

Features of three strides are brought together from the coarsest to the finest, as in a feature
pyramid (Lin et al., Feature Pyramid Networks, CVPR 2017). The logit of the slice rests on the
evidence of its cells together, so that what the map shows is what decides.
"""

from __future__ import annotations

from typing import Any

import keras

from falx.model.cells import TUMOR_WEIGHT
from falx.model.scaling import INPUT_SCALING

LAST_LAYER = "out_relu"
"""The last layer of the backbone below the head."""

_TAPS = ("block_6_expand_relu", "block_13_expand_relu", LAST_LAYER)
"""Layers of MobileNetV2 with features of strides 8, 16 and 32."""

_WIDTH = 48
_CELL_BIAS, _SLICE_BIAS = -4.0, -1.5
"""Initial logits: few cells hold tumor, and learning that first would destabilize the features
(the prior of Lin et al., Focal Loss, ICCV 2017)."""


def with_localization(backbone: keras.Model) -> keras.Model:
    """A backbone with a localization head: its output is the map of the tumor.

    Args:
        backbone: MobileNetV2; the result has its layers and shares its variables.

    Returns:
        (batch, size, size, 3) -> logits of cells (batch, size / 8, size / 8, 1).
    """
    layers = keras.layers
    fine, middle, coarse = (backbone.get_layer(name).output for name in _TAPS)
    merged = _lateral(coarse, "coarse")
    for features, name, rounds in ((middle, "middle", 1), (fine, "fine", 2)):
        larger = layers.UpSampling2D(2, name=f"{name}_upsample")(merged)
        total = layers.Add(name=f"{name}_add")([larger, _lateral(features, name)])
        merged = layers.ReLU(name=f"{name}_relu")(total)
        for number in range(rounds):
            merged = _mixed(merged, f"{name}_{number}")
    bias = keras.initializers.Constant(_CELL_BIAS)
    cells = layers.Conv2D(1, 1, bias_initializer=bias, name="tumor_map")(merged)
    return keras.Model(backbone.input, cells, name=f"{backbone.name}_localization")


def localization_network(
    localizing: keras.Model, scaling: str, *, classes: int = 0, dropout: float = 0.0
) -> keras.Model:
    """The network by which a localization head is trained.

    Args:
        localizing: as `with_localization` gives it.
        scaling: a key of falx.model.scaling.INPUT_SCALING.
        classes: number of logits of classes to add, linear in the pooled features; 0 for none.
        dropout: fraction of the pooled features that is dropped in training, in [0, 1).

    Returns:
        Gray levels float32 (batch, size, size, 1), [0, 255] -> logits by name: "tumor_map" (batch,
        size / 8, size / 8, 1), "tumor" (batch, 1), and if asked for "classes" (batch, classes).
    """
    gray, scaled = scaled_input(scaling)
    coarse = localizing.get_layer(LAST_LAYER).output
    cells, features = keras.Model(localizing.input, [localizing.output, coarse])(scaled)
    slice_bias = keras.initializers.Constant(_SLICE_BIAS)
    tumor = keras.layers.Dense(
        1, kernel_initializer="ones", bias_initializer=slice_bias, name="tumor"
    )
    outputs = {"tumor_map": cells, "tumor": tumor(Evidence(name="evidence")(cells))}
    if classes:
        outputs["classes"] = class_logits(features, classes, dropout)
    return keras.Model(gray, outputs, name="localization")


def scaled_input(scaling: str) -> tuple[Any, Any]:
    """Gray levels (batch, size, size, 1) of any size, and the same in three scaled channels.

    Args:
        scaling: a key of falx.model.scaling.INPUT_SCALING.
    """
    gray = keras.Input((None, None, 1), name="gray_levels")
    scale, offset = INPUT_SCALING[scaling]
    channels = keras.layers.Concatenate(name="replicate")([gray, gray, gray])
    return gray, keras.layers.Rescaling(scale, offset, name="scale")(channels)


def class_logits(features: Any, classes: int, dropout: float) -> Any:
    """Logits (batch, classes), linear in the pooled features."""
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    dropped = keras.layers.Dropout(dropout, name="dropout")(pooled)
    return keras.layers.Dense(classes, name="classes")(dropped)


@keras.saving.register_keras_serializable("falx")
class Evidence(keras.layers.Layer):
    """The logarithm of the sum of the odds of the cells of a map.

    A smooth maximum: unlike that of a noisy-or, it does not grow with the size of a tumor that is
    certain already (Pinheiro and Collobert, CVPR 2015, pool logits so).
    """

    def call(self, cells: Any) -> Any:
        """Logits of cells (batch, rows, columns, k) -> (batch, k)."""
        return keras.ops.logsumexp(cells, axis=(1, 2))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], input_shape[3])


class CellLoss(keras.losses.Loss):
    """Cross-entropy of the cells of a map with the fraction of each that is tumor.

    Cells of tumor weigh four times as much as others: there are few of them.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The mean over the cells of each map: (batch,)."""
        ops = keras.ops
        softplus = ops.maximum(y_pred, 0) + ops.log1p(ops.exp(-ops.abs(y_pred)))
        losses = (softplus - y_true * y_pred) * (1 + TUMOR_WEIGHT * y_true)
        return ops.mean(losses, axis=(1, 2, 3))


def _lateral(features: Any, name: str) -> Any:
    return keras.layers.Conv2D(_WIDTH, 1, name=f"{name}_lateral")(features)


def _mixed(features: Any, name: str) -> Any:
    """Depthwise separable convolution over a neighborhood of 5 x 5 cells."""
    near = keras.layers.DepthwiseConv2D(5, padding="same", name=f"{name}_depthwise")(features)
    return keras.layers.Conv2D(_WIDTH, 1, activation="relu", name=f"{name}_pointwise")(near)
