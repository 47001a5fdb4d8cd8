"""The tasks of pretraining: multi-task learning on shared features, mostly from phantoms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from falx.model.network import INPUT_SCALING
from falx.phantom import APPEARANCES, KINDS, MIMICS, PLANE_NAMES
from falx.pretraining.phantom_stream import CELLS


@dataclass(frozen=True)
class Task:
    """One prediction task with a linear head of its own.

    Attributes:
        name: of the output.
        outputs: number of logits, per position or per slice.
        weight: of its loss.
        exclusive: whether exactly one class is true (softmax), or each may be (sigmoid).
        spatial: whether there is a prediction for each position of the features, or for the slice.
        dropout: fraction of the pooled features that is dropped in training, in [0, 1).
        smoothing: label smoothing, in [0, 1).
    """

    name: str
    outputs: int
    weight: float
    exclusive: bool = False
    spatial: bool = False
    dropout: float = 0.0
    smoothing: float = 0.0

    def loss(self) -> keras.losses.Loss:
        """Cross-entropy of the logits."""
        losses = keras.losses
        loss = losses.CategoricalCrossentropy if self.exclusive else losses.BinaryCrossentropy
        return loss(from_logits=True, label_smoothing=self.smoothing)


TASKS = (
    # Keras adds losses in the order of names; another order changes the sum by rounding.
    Task("tumor_map", CELLS**2, 5.0, spatial=True),
    Task("tumor", 1, 1.0),
    Task("kind", 1 + len(KINDS), 0.5, exclusive=True),
    Task("mimics", len(MIMICS), 0.5),
    Task("appearance", len(APPEARANCES), 0.5, exclusive=True),
    Task("plane", len(PLANE_NAMES), 0.5, exclusive=True),
)
"""The tasks that phantoms have targets for."""

_TUMOR_MAP_BIAS = -4.0
"""Initial logit of a cell. Few cells hold tumor, and learning that first would destabilize the
features (the prior of Lin et al., Focal Loss, ICCV 2017)."""


def task_network(backbone: keras.Model, scaling: str, tasks: Sequence[Task] = TASKS) -> keras.Model:
    """A backbone with a linear head for each task.

    Args:
        backbone: of any image size.
        scaling: a key of falx.model.network.INPUT_SCALING.

    Returns:
        Gray levels float32 (batch, size, size, 1), [0, 255] -> logits by task; the size may differ
        between batches.
    """
    layers = keras.layers
    gray = keras.Input((None, None, 1), name="gray_levels")
    scale, offset = INPUT_SCALING[scaling]
    channels = layers.Concatenate(name="replicate")([gray, gray, gray])
    features = backbone(layers.Rescaling(scale, offset, name="scale")(channels))
    pooled = layers.GlobalAveragePooling2D(name="pool")(features)
    logits: dict[str, Any] = {}
    for task in tasks:
        if task.spatial:
            bias = keras.initializers.Constant(_TUMOR_MAP_BIAS)
            head = layers.Conv2D(task.outputs, 1, bias_initializer=bias, name=task.name)
            logits[task.name] = head(features)
        else:
            values = pooled
            if task.dropout:
                values = layers.Dropout(task.dropout, name=f"{task.name}_dropout")(values)
            logits[task.name] = layers.Dense(task.outputs, name=task.name)(values)
    return keras.Model(gray, logits, name="pretraining")
