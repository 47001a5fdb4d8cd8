"""The layers after the backbone."""

from __future__ import annotations

from typing import Any

import keras

from falx.model.localization import Evidence
from falx.recipe import Head


def apply_head(head: Head, features: Any, outputs: int) -> Any:
    """Logits (batch, outputs) from features (batch, rows, columns, depth).

    Two classes share one logit, whose sigmoid is the probability of the positive class; with more
    classes each has its own, for a softmax.
    """
    layers = keras.layers
    match head.pooling:
        case "flatten":
            values = layers.Flatten(name="flatten")(features)
        case "average":
            values = layers.GlobalAveragePooling2D(name="pool")(features)
        case "evidence":
            values = Evidence(name="evidence")(features)
    if head.hidden:
        values = layers.Dense(head.hidden, activation="relu", name="hidden")(values)
    if head.normalization:
        values = layers.BatchNormalization(name="normalize")(values)
    if head.dropout:
        values = layers.Dropout(head.dropout, name="dropout")(values)
    return layers.Dense(outputs, name="logits")(values)
