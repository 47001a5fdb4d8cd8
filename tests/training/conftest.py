"""Weights for trainings that must come to something."""

from __future__ import annotations

from pathlib import Path

import pytest

from falx.recipe import load_recipe

BACKBONE = {"rendering.size": "64", "backbone.width": "0.35"}


@pytest.fixture(scope="session")
def weights(tmp_path_factory, phantoms) -> Path:
    """Backbone weights that stand for pretrained ones.

    Random layers lose the signal on its way, so all would be answered alike; these normalize by
    what they see of `phantoms`.
    """
    import keras

    from falx.data.catalog import build_catalog
    from falx.model.network import backbone_of, build_network, network_input
    from falx.training.shelf import Shelf
    from falx.training.views import render_views

    folder = tmp_path_factory.mktemp("weights")
    recipe = load_recipe("lite").changed(BACKBONE)
    views = render_views(build_catalog(phantoms).usable(), recipe.rendering, Shelf(folder, 1))
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
