"""Heat maps: the contribution of each spatial position to a logit, computed by the network itself.

All heads are piecewise linear in the features F, so a logit is a constant plus the sum over
positions (h, w) of

    heat_k(h, w) = sum over channels c of F(h, w, c) dlogit_k / dF(h, w, c).

For average pooling and one linear layer that is the class activation map (Zhou et al., CVPR 2016)
divided by the number of positions; for other heads it is HiResCAM (Draelos and Carin, 2020). Its
gradient has a closed form here, so no runtime needs automatic differentiation.

The map of a localization head explains itself: it shows the probability of each cell to hold tumor,
and the logit is a line through the logarithm of the sum of their odds (falx.model.localization).
"""

from __future__ import annotations

from typing import Any

import keras

_POOLING = ("flatten", "pool", "evidence")
"""Names of the first layer of a head."""


def with_heat_maps(network: keras.Model) -> keras.Model:
    """A network that also returns heat maps of its logits.

    Args:
        network: as returned by `build_network`; the result shares its variables.

    Returns:
        Gray levels -> logits (batch, k), and heat maps (batch, rows, columns, k) of contributions
        to the logits.
    """
    logits, heat_maps = attribution_head(network)(_pooling(network).input)
    return keras.Model(network.inputs[0], [logits, heat_maps], name=network.name)


def attribution_head(network: keras.Model) -> keras.layers.Layer:
    """The head of a network as one layer: features of the backbone -> logits and heat maps."""
    layers = {layer.name: layer for layer in network.layers}
    if "evidence" in layers:
        return _LocalizingHead(layers["evidence"], layers["logits"])
    return _AttributionHead(
        layers.get("hidden"),
        layers.get("normalize"),
        layers["logits"],
        flattened="flatten" in layers,
    )


def _pooling(network: keras.Model) -> keras.layers.Layer:
    """The first layer of the head."""
    return next(layer for layer in network.layers if layer.name in _POOLING)


class _LocalizingHead(keras.layers.Layer):
    """A head on the cells of a localization head."""

    def __init__(self, evidence: keras.layers.Layer, last: keras.layers.Dense) -> None:
        super().__init__(name="head")
        self.evidence = evidence
        self.last = last

    def call(self, cells: Any) -> tuple[Any, Any]:
        return self.last(self.evidence(cells)), keras.ops.sigmoid(cells)


class _AttributionHead(keras.layers.Layer):
    """A head computed by position; each kernel is used once, so an export stores it once."""

    def __init__(
        self,
        hidden: keras.layers.Dense | None,
        normalization: keras.layers.BatchNormalization | None,
        last: keras.layers.Dense,
        *,
        flattened: bool,
    ) -> None:
        """Keep the layers.

        Args:
            flattened: whether each position has its own weights, as after Flatten; otherwise the
                features are averaged over positions.
        """
        super().__init__(name="head")
        self.hidden = hidden
        self.normalization = normalization
        self.last = last
        self.flattened = flattened

    def call(self, features: Any) -> tuple[Any, Any]:
        ops = keras.ops
        scale, offset = self._normalization()
        if self.hidden is None:
            kernel = self.last.kernel * ops.expand_dims(scale, -1)
            heat_maps = self._contributions(features, kernel)
            constant = ops.matmul(ops.expand_dims(offset, 0), self.last.kernel)[0] + self.last.bias
            return ops.sum(heat_maps, axis=(1, 2)) + constant, heat_maps
        contributions = self._contributions(features, self.hidden.kernel)
        rows, columns, units = contributions.shape[1:]
        inputs = ops.sum(contributions, axis=(1, 2)) + self.hidden.bias
        outputs = ops.relu(inputs) * scale + offset
        slopes = ops.cast(inputs > 0, inputs.dtype) * scale
        gradients = ops.expand_dims(slopes, -1) * self.last.kernel
        heat = ops.matmul(ops.reshape(contributions, (-1, rows * columns, units)), gradients)
        heat_maps = ops.reshape(heat, (-1, rows, columns, heat.shape[-1]))
        return ops.matmul(outputs, self.last.kernel) + self.last.bias, heat_maps

    def _contributions(self, features: Any, kernel: Any) -> Any:
        """What each position adds to a linear layer's outputs: (batch, rows, columns, units)."""
        _, rows, columns, depth = features.shape
        if not self.flattened:
            return keras.ops.matmul(features, kernel) / (rows * columns)
        # One product per position: (positions, batch, depth) by (positions, depth, units).
        positions = keras.ops.reshape(features, (-1, rows * columns, depth))
        kernels = keras.ops.reshape(kernel, (rows * columns, depth, -1))
        products = keras.ops.matmul(keras.ops.transpose(positions, (1, 0, 2)), kernels)
        products = keras.ops.transpose(products, (1, 0, 2))
        return keras.ops.reshape(products, (-1, rows, columns, kernel.shape[-1]))

    def _normalization(self) -> tuple[Any, Any]:
        """Scale and offset of batch normalization in inference, (units,) each."""
        layer, ops = self.normalization, keras.ops
        if layer is None:
            units = self.hidden.units if self.hidden else self.last.kernel.shape[0]
            return ops.ones(units), ops.zeros(units)
        scale = layer.gamma * ops.rsqrt(layer.moving_variance + layer.epsilon)
        return scale, layer.beta - layer.moving_mean * scale
