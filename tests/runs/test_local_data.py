"""The cells of a localized detector's maps, and a detector with another last layer for them."""

import keras
import numpy as np
import pandas as pd
import pytest

import falx
from falx.data.catalog import build_catalog
from falx.errors import BrokenRun
from falx.exporting.arrays import Convolution
from falx.exporting.direct import LinearHead
from falx.exporting.keras_network import load_keras
from falx.exporting.linear_detector import check_logits, export_linear, with_last_layers
from falx.model.backbones import build_backbone
from falx.model.reference import MahalanobisReference
from falx.model.scaling import network_input
from falx.model.weights import save_weights
from falx.phantoms import write_phantoms
from falx.recipe import load_recipe
from falx.runs.local_data import read_local
from falx.training.adaptation import Layers, logits_of
from falx.training.map_adaptation import evidence_of

RECIPE = load_recipe("localized").changed(
    {"rendering.size": 64, "backbone.width": 0.35, "phases.0.epochs": 1}
)


@pytest.fixture(scope="module")
def localized(phantoms, tmp_path_factory):
    """The detector folder of a localization head with random weights."""
    folder = tmp_path_factory.mktemp("localized")
    keras.utils.set_random_seed(0)
    save_weights(build_backbone(RECIPE.backbone, None, None), folder / "some.weights.h5")
    done = falx.train(
        phantoms, recipe=RECIPE, weights=folder / "some.weights.h5", out=folder / "run"
    )
    return done.folder / "detector"


@pytest.fixture(scope="module")
def local(localized, tmp_path_factory):
    """Phantoms with masks, of several patients."""
    folder = tmp_path_factory.mktemp("local") / "slices"
    masks = folder.with_name("slices-masks")
    write_phantoms(folder, 24, seed=5, size=96)
    catalog = build_catalog(folder).usable()
    rows = pd.DataFrame(
        {
            "path": [str(folder / path) for path in catalog.table["path"]],
            "label": catalog.table["label"],
            "patient": [f"P{row % 4}" for row in range(len(catalog))],
            "mask": [
                str(masks / path) if (masks / path).is_file() else ""
                for path in catalog.table["path"]
            ],
        }
    )
    rows.to_csv(folder.parent / "slices.csv", index=False)
    usable = build_catalog(folder.parent / "slices.csv").usable()
    return read_local(usable, localized, cache_gb=1.0)


def test_the_evidence_of_the_cells_is_what_the_head_is_applied_to(local):
    assert local.cells.features.shape[:3] == (len(local.usable), 2, 64)
    evidence = evidence_of(local.cells.tumor_map, local.cells)
    np.testing.assert_allclose(evidence, local.pooled, atol=5e-3)


def test_outlined_tumors_cover_cells_in_both_views_alike(local):
    cells, tumors = local.cells, local.usable.labels == 1
    assert cells.outlined.all()
    assert (cells.covers[tumors].sum(axis=(1, 2)) > 0).all()
    assert cells.covers[~tumors].max() == 0
    plain, mirrored = (cells.covers[:, view].reshape(-1, 8, 8) for view in (0, 1))
    np.testing.assert_array_equal(plain, mirrored[:, :, ::-1])


def test_a_detector_with_a_refitted_layer_answers_by_it(local, localized, tmp_path):
    head = LinearHead(np.array([[2.0]], np.float32), np.array([-1.0], np.float32))
    kernel = 3 * local.cells.tumor_map.kernel
    layers = Layers(head, Convolution(kernel, np.array([-2.0], np.float32)))
    expected, views = layers.logits(local.slices), local.views.plain
    assert np.abs(expected - Layers(layers.head).logits(local.slices)).max() > 0.05
    _export(localized, tmp_path / "new", layers)
    check_logits(tmp_path / "new", views, expected)
    network = load_keras(tmp_path / "new")
    plain, mirrored = (
        network.predict(network_input(each), verbose=0) for each in (views, views[:, :, ::-1])
    )
    np.testing.assert_allclose((plain + mirrored) / 2, expected, atol=0.02)
    _export(localized, tmp_path / "old", Layers(layers.head))
    old = logits_of(layers.head, local.pooled)
    check_logits(tmp_path / "old", views, old)
    with pytest.raises(BrokenRun):
        check_logits(tmp_path / "old", views, old + 1)


def _export(localized, folder, layers):
    network = with_last_layers(
        localized, layers.head, MahalanobisReference.load(localized), layers.tumor_map
    )
    export_linear(network, folder, classes=("no", "yes"), rules=falx.load(localized).settings.rules)
