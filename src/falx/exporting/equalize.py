"""Cross-layer equalization: channels of equal range lose less when quantized to 8 bits.

Runtimes quantize all channels of a tensor with one step, that of the largest channel. Between
blocks, MobileNetV2 has no nonlinearity, so a channel can be divided by any number where it is
produced and multiplied by it where it is consumed, without changing the network's function (Nagel
et al., Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV 2019, section
4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from falx.exporting.layers import inner_values, is_pointwise
from falx.model.network import backbone_of, copy_network

_MIN_SCALE = 1e-3
"""Smallest range of a channel relative to the largest; a dead channel stays dead."""


@dataclass(frozen=True)
class Stream:
    """A residual stream: tensors between blocks that share their channels.

    Attributes:
        producers: the batch normalizations whose outputs are added up in it.
        sums: the additions.
        consumers: the 1 x 1 convolutions that read it.
    """

    producers: tuple[layers.BatchNormalization, ...]
    sums: tuple[layers.Add, ...]
    consumers: tuple[layers.Conv2D, ...]


def equalized(network: keras.Model, views: np.ndarray) -> keras.Model:
    """A copy of a network whose residual streams have channels of equal range.

    Args:
        network: as returned by `build_network`.
        views: uint8 (n, size, size), on which ranges are measured.
    """
    copy = copy_network(network)
    streams = find_streams(backbone_of(copy))
    for stream, largest in zip(streams, _ranges(copy, streams, views), strict=True):
        if not largest.any():
            continue
        scales = np.maximum(largest / largest.max(), _MIN_SCALE)
        for producer in stream.producers:
            producer.gamma.assign(producer.gamma / scales)
            producer.beta.assign(producer.beta / scales)
        for consumer in stream.consumers:
            consumer.kernel.assign(consumer.kernel * scales[:, None])
    return copy


def find_streams(backbone: keras.Model) -> list[Stream]:
    """The residual streams of a backbone that only 1 x 1 convolutions consume.

    Sums of a localization head are of convolutions without normalization, and no such streams.
    """
    consumers: dict[str, list[layers.Layer]] = {}
    for layer in backbone.layers[1:]:
        for name in _sources(layer):
            consumers.setdefault(name, []).append(layer)
    members: dict[str, list[layers.Layer]] = {}
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            members[layer.name] = [layer]
        elif isinstance(layer, layers.Add) and members.keys() >= set(_sources(layer)):
            merged = [each for name in _sources(layer) for each in members[name]]
            merged.append(layer)
            members.update({each.name: merged for each in merged})
    streams = []
    for stream in {id(each): each for each in members.values()}.values():
        readers = [layer for member in stream for layer in consumers.get(member.name, [])]
        outside = [layer for layer in readers if layer not in stream]
        if outside and all(is_pointwise(layer) for layer in outside):
            sums = tuple(each for each in stream if isinstance(each, layers.Add))
            producers = tuple(each for each in stream if not isinstance(each, layers.Add))
            streams.append(Stream(producers, sums, tuple(outside)))
    return streams


def _ranges(network: keras.Model, streams: Sequence[Stream], views: np.ndarray) -> list[np.ndarray]:
    """The largest magnitude of each channel of each stream."""
    tensors = [[part.output for part in (*each.producers, *each.sums)] for each in streams]
    ranges = [np.zeros(parts[0].shape[-1]) for parts in tensors]
    for batch in inner_values(network, tensors, views):
        for largest, parts in zip(ranges, batch, strict=True):
            for values in parts:
                np.maximum(largest, np.abs(values).max(axis=(0, 1, 2)), out=largest)
    return ranges


def _sources(layer: layers.Layer) -> list[str]:
    """Names of the input layers of a layer."""
    inputs = layer.input if isinstance(layer.input, list) else [layer.input]
    return [tensor._keras_history.operation.name for tensor in inputs]
