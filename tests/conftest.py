"""What all tests share: quiet libraries, a cache of their own, and small real inputs."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

SHORT = {
    "backbone.width": "0.35",
    "rendering.size": "64",
    "phases.0.epochs": "1",
    "phases.1.epochs": "0",
}

QUICK = {"rendering.size": "64", "phases.0.epochs": "1"}

BACKBONE = {"rendering.size": "64", "backbone.width": "0.35"}

settings.register_profile("falx", deadline=None, print_blob=True)
settings.load_profile("falx")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """No test reads or fills the cache, weights or settings of the person who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FALX_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.delenv("FALX_WEIGHTS", raising=False)
        patch.delenv("FALX_OFFLINE", raising=False)
        yield


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory) -> Path:
    """A folder of 60 synthetic slices, half with tumors: yes/ and no/."""
    from falx.phantoms import write_phantoms

    folder = tmp_path_factory.mktemp("data") / "phantoms"
    write_phantoms(folder, 60, seed=1, size=96)
    return folder


@pytest.fixture(scope="session")
def kinds(tmp_path_factory) -> Path:
    """A folder of 30 synthetic slices, none of them in `phantoms`, in three other classes."""
    from falx.phantoms import write_phantoms

    drawn = tmp_path_factory.mktemp("drawn") / "drawn"
    write_phantoms(drawn, 30, seed=11, size=96)
    folder = tmp_path_factory.mktemp("data") / "kinds"
    for number, file in enumerate(sorted(drawn.glob("*/*.png"))):
        target = folder / ("healthy", "glioma", "pituitary")[number % 3]
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def brightened() -> Callable[[Path, Path], None]:
    """A function that copies a slice so that only its looks give the copy away."""

    def copy(file: Path, target: Path) -> None:
        import cv2
        import numpy as np

        levels = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE).astype(float)
        target.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target), np.clip(1.08 * levels + 4, 0, 255).astype(np.uint8))

    return copy


@pytest.fixture(scope="session")
def mixed(kinds, phantoms, brightened, tmp_path_factory) -> Path:
    """`kinds`, and five near-copies of slices of `phantoms` among them."""
    folder = tmp_path_factory.mktemp("data") / "mixed"
    shutil.copytree(kinds, folder)
    for number, file in enumerate(sorted(phantoms.glob("*/*.png"))[::12]):
        brightened(file, folder / "glioma" / f"seen-{number}.png")
    return folder


@pytest.fixture(scope="session")
def short() -> dict[str, str]:
    """Changes that make `lite` train in seconds: a narrow network, small views, its head alone."""
    return SHORT


@pytest.fixture(scope="session")
def quick() -> dict[str, str]:
    """Changes to the default recipe, which needs no Keras: small views, and one of each slice."""
    return QUICK


@pytest.fixture(scope="session")
def run(phantoms, tmp_path_factory) -> Path:
    """The run folder of a real, short training on `phantoms`."""
    import falx

    return falx.train(
        phantoms,
        recipe="lite",
        changes=SHORT | {"phases.0.epochs": "2"},
        weights="random",
        out=tmp_path_factory.mktemp("runs") / "short",
    ).folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory, phantoms) -> Path:
    """Backbone weights in place of pretrained ones.

    The signal vanishes in random layers, so all predictions would be alike; these normalize by the
    statistics of `phantoms`.
    """
    import keras

    from falx.data.catalog import build_catalog
    from falx.model.network import backbone_of, build_network
    from falx.model.scaling import network_input
    from falx.recipe import load_recipe
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
