"""Where an answer comes from: the share of each place in a logit, computed by the network itself.

All heads are piecewise linear in the features F, so that a logit is a constant and a sum over
places (h, w) of

    heat_k(h, w) = sum over channels c of F(h, w, c) dlogit_k / dF(h, w, c).

For average pooling and one linear layer that is the class activation map (Zhou et al., CVPR 2016)
over the number of places; for other heads it is HiResCAM (Draelos and Carin, 2020), whose gradient
has a closed form here, so no runtime needs gradients.
"""

from __future__ import annotations

from typing import Any

import keras


def explained(network: keras.Model) -> keras.Model:
    """A network that also says where its logits come from.

    Args:
        network: as `build_network` made it; the result shares its variables.

    Returns:
        Grey levels -> logits (batch, k), and heat maps (batch, rows, columns, k) in shares of the
        logits.
    """
    logits, heat_maps = explained_head(network)(_pooling(network).input)
    return keras.Model(network.inputs[0], [logits, heat_maps], name=network.name)


def explained_head(network: keras.Model) -> keras.layers.Layer:
    """The head of a network as a layer: features of the backbone -> logits and heat maps."""
    layers = {layer.name: layer for layer in network.layers}
    return _ExplainedHead(
        layers.get("hidden"), layers.get("normalize"), layers["logits"], each="flatten" in layers
    )


def _pooling(network: keras.Model) -> keras.layers.Layer:
    """The layer that features of the backbone pass first."""
    return next(each for each in network.layers if each.name in {"flatten", "pool"})


class _ExplainedHead(keras.layers.Layer):
    """A head taken apart by place; its kernels are used once, so an export holds them once."""

    def __init__(
        self,
        hidden: keras.layers.Dense | None,
        normalization: keras.layers.BatchNormalization | None,
        last: keras.layers.Dense,
        *,
        each: bool,
    ) -> None:
        """Remember the layers.

        Args:
            each: whether each place has weights of its own, as after Flatten; else places are
                averaged.
        """
        super().__init__(name="head")
        self.hidden = hidden
        self.normalization = normalization
        self.last = last
        self.each = each

    def call(self, features: Any) -> tuple[Any, Any]:
        ops = keras.ops
        scale, offset = self._normalization()
        if self.hidden is None:
            kernel = self.last.kernel * ops.expand_dims(scale, -1)
            heat_maps = self._by_place(features, kernel)
            constant = ops.matmul(ops.expand_dims(offset, 0), self.last.kernel)[0] + self.last.bias
            return ops.sum(heat_maps, axis=(1, 2)) + constant, heat_maps
        shares = self._by_place(features, self.hidden.kernel)
        before = ops.sum(shares, axis=(1, 2)) + self.hidden.bias
        after = ops.relu(before) * scale + offset
        slopes = ops.cast(before > 0, before.dtype) * scale
        gates = ops.expand_dims(slopes, -1) * self.last.kernel
        places = ops.reshape(shares, (-1, shares.shape[1] * shares.shape[2], shares.shape[3]))
        heat = ops.matmul(places, gates)
        heat_maps = ops.reshape(heat, (-1, *shares.shape[1:3], heat.shape[-1]))
        return ops.matmul(after, self.last.kernel) + self.last.bias, heat_maps

    def _by_place(self, features: Any, kernel: Any) -> Any:
        """What each place adds to a linear layer: (batch, rows, columns, units)."""
        _, rows, columns, depth = features.shape
        if not self.each:
            return keras.ops.matmul(features, kernel) / (rows * columns)
        # A product a place: (places, batch, depth) by (places, depth, units).
        places = keras.ops.reshape(features, (-1, rows * columns, depth))
        kernels = keras.ops.reshape(kernel, (rows * columns, depth, -1))
        shares = keras.ops.matmul(keras.ops.transpose(places, (1, 0, 2)), kernels)
        shares = keras.ops.transpose(shares, (1, 0, 2))
        return keras.ops.reshape(shares, (-1, rows, columns, kernel.shape[-1]))

    def _normalization(self) -> tuple[Any, Any]:
        """What batch normalization multiplies by and adds."""
        layer, ops = self.normalization, keras.ops
        if layer is None:
            units = self.hidden.units if self.hidden else self.last.kernel.shape[0]
            return ops.ones(units), ops.zeros(units)
        scale = layer.gamma * ops.rsqrt(layer.moving_variance + layer.epsilon)
        return scale, layer.beta - layer.moving_mean * scale
