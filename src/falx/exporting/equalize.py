"""Channels of one range, so that 8 bits for all of them serve each.

Between blocks, MobileNetV2 passes features on without a nonlinearity, so a channel can be divided
by any number where it is made and multiplied by it where it is used, and the network computes the
same (Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV
2019, section 4.1). Runtimes quantize the channels of a tensor by one step, the largest channel's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from falx.exporting.layers import inner_values, is_pointwise
from falx.model.network import backbone_of, copied

_LEAST = 1e-3
"""The least range of a channel, as a share of the largest; a dead channel stays dead."""


@dataclass(frozen=True)
class Stream:
    """Features that blocks hand on and add to, with one set of channels.

    Attributes:
        makers: the normalizations whose outputs make it up.
        sums: the additions of them.
        users: the 1 x 1 convolutions that take it.
    """

    makers: tuple[layers.BatchNormalization, ...]
    sums: tuple[layers.Add, ...]
    users: tuple[layers.Conv2D, ...]


def equalized(network: keras.Model, views: np.ndarray) -> keras.Model:
    """A copy of a network whose streams between blocks have channels of one range.

    Args:
        network: as `build_network` made it.
        views: uint8 (n, size, size), on which ranges are measured.
    """
    copy = copied(network)
    streams = find_streams(backbone_of(copy))
    for stream, largest in zip(streams, _ranges(copy, streams, views), strict=True):
        if not largest.any():
            continue
        shares = np.maximum(largest / largest.max(), _LEAST)
        for maker in stream.makers:
            maker.gamma.assign(maker.gamma / shares)
            maker.beta.assign(maker.beta / shares)
        for user in stream.users:
            user.kernel.assign(user.kernel * shares[:, None])
    return copy


def find_streams(backbone: keras.Model) -> list[Stream]:
    """The streams of a backbone that only 1 x 1 convolutions take."""
    users: dict[str, list[layers.Layer]] = {}
    for layer in backbone.layers[1:]:
        for name in _sources(layer):
            users.setdefault(name, []).append(layer)
    members: dict[str, list[layers.Layer]] = {}
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            members[layer.name] = [layer]
        elif isinstance(layer, layers.Add):
            joined = [each for name in _sources(layer) for each in members[name]]
            joined.append(layer)
            members.update({each.name: joined for each in joined})
    found = []
    for together in {id(each): each for each in members.values()}.values():
        taken = [user for member in together for user in users.get(member.name, [])]
        ends = [user for user in taken if user not in together]
        if ends and all(is_pointwise(user) for user in ends):
            found.append(_stream(together, ends))
    return found


def _stream(together: Sequence[layers.Layer], ends: Sequence[layers.Layer]) -> Stream:
    sums = tuple(each for each in together if isinstance(each, layers.Add))
    makers = tuple(each for each in together if not isinstance(each, layers.Add))
    return Stream(makers, sums, tuple(ends))


def _ranges(network: keras.Model, streams: Sequence[Stream], views: np.ndarray) -> list[np.ndarray]:
    """The largest magnitude of each channel of each stream."""
    tensors = [[part.output for part in (*each.makers, *each.sums)] for each in streams]
    ranges = [np.zeros(parts[0].shape[-1]) for parts in tensors]
    for found in inner_values(network, tensors, views):
        for largest, parts in zip(ranges, found, strict=True):
            for values in parts:
                np.maximum(largest, np.abs(values).max(axis=(0, 1, 2)), out=largest)
    return ranges


def _sources(layer: layers.Layer) -> list[str]:
    """Names of the layers that feed a layer."""
    inputs = layer.input if isinstance(layer.input, list) else [layer.input]
    return [tensor._keras_history.operation.name for tensor in inputs]
