"""Weights for trainings that have to succeed."""

from __future__ import annotations

from pathlib import Path

import pytest

from falx.recipe import load_recipe

BACKBONE = {"rendering.size": "64", "backbone.width": "0.35"}


@pytest.fixture(scope="session")
def weights(tmp_path_factory, phantoms) -> Path:
    """Backbone weights in place of pretrained ones.

    The signal vanishes in random layers, so all predictions would be alike; these normalize by the
    statistics of `phantoms`.
    """
    import keras

    from falx.data.catalog import build_catalog
    from falx.model.network import backbone_of, build_network, network_input
    from falx.training.disk_cache import DiskCache
    from falx.training.views import render_views

    folder = tmp_path_factory.mktemp("weights")
    recipe = load_recipe("lite").changed(BACKBONE)
    views = render_views(build_catalog(phantoms).usable(), recipe.rendering, DiskCache(folder, 1))
    network = build_network(recipe, 2, seed=9)
    backbone = backbone_of(network)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    scaled = keras.Model(network.input, network.get_layer("scale").output)
    backbone(scaled(network_input(views.plain[::2])), training=True)
    file = folder / "backbone.weights.h5"
    backbone.save_weights(file)
    return file
