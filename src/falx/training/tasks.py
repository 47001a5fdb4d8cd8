"""What a backbone learns, mostly from phantoms: several tasks at once, on one set of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from falx.data.phantom import APPEARANCES, KINDS, MIMICS, PLANES
from falx.model.network import SCALES
from falx.training.phantom_stream import CELLS


@dataclass(frozen=True)
class Task:
    """One question.

    Attributes:
        name: of the output.
        answers: how many logits, of each place or of the slice.
        weight: of its loss.
        exclusive: whether one answer holds (softmax), or each may (sigmoid).
        placed: whether it is asked of each place of the features, or of the slice.
        dropout: share of the slice's features that are left out in training, in [0, 1).
        smoothing: how far answers are moved towards all being alike, in [0, 1).
    """

    name: str
    answers: int
    weight: float
    exclusive: bool = False
    placed: bool = False
    dropout: float = 0.0
    smoothing: float = 0.0

    def loss(self) -> keras.losses.Loss:
        """Cross-entropy of the logits."""
        losses = keras.losses
        kind = losses.CategoricalCrossentropy if self.exclusive else losses.BinaryCrossentropy
        return kind(from_logits=True, label_smoothing=self.smoothing)


TASKS = (
    Task("where", CELLS**2, 5.0, placed=True),
    Task("tumor", 1, 1.0),
    Task("kind", 1 + len(KINDS), 0.5, exclusive=True),
    Task("mimics", len(MIMICS), 0.5),
    Task("appearance", len(APPEARANCES), 0.5, exclusive=True),
    Task("plane", len(PLANES), 0.5, exclusive=True),
)
"""What is asked of phantoms."""

_RARE = -4.0
"""Logit of a cell with tumor, at first: few have any, and learning that alone would shake the
features (the prior of Lin et al., Focal Loss, 2017)."""


def task_network(backbone: keras.Model, scaling: str, tasks: Sequence[Task] = TASKS) -> keras.Model:
    """A backbone with a linear head a task.

    Args:
        backbone: of any image size.
        scaling: a key of falx.model.network.SCALES.

    Returns:
        Grey levels float32 (batch, size, size, 1), [0, 255] -> logits by task; sizes that differ
        by batch are welcome.
    """
    layers = keras.layers
    grey = keras.Input((None, None, 1), name="grey_levels")
    scale, offset = SCALES[scaling]
    channels = layers.Concatenate(name="replicate")([grey, grey, grey])
    features = backbone(layers.Rescaling(scale, offset, name="scale")(channels))
    pooled = layers.GlobalAveragePooling2D(name="pool")(features)
    logits: dict[str, Any] = {}
    for task in tasks:
        if task.placed:
            rare = keras.initializers.Constant(_RARE)
            head = layers.Conv2D(task.answers, 1, bias_initializer=rare, name=task.name)
            logits[task.name] = head(features)
        else:
            values = pooled
            if task.dropout:
                values = layers.Dropout(task.dropout, name=f"{task.name}_dropout")(values)
            logits[task.name] = layers.Dense(task.answers, name=task.name)(values)
    return keras.Model(grey, logits, name="pretraining")
