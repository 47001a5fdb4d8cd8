"""What all tests share: quiet libraries, a cache of their own, and small real inputs."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores, and threads of linear algebra spin while they wait for one another: a
    # Cholesky factorization of 1280 x 1280 then takes 0.5 to 1.2 s of processor time, not 0.07 s.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from falx.data.publications import contents_digest

SHORT = {
    "backbone.width": "0.35",
    "rendering.size": "64",
    "phases.0.epochs": "1",
    "phases.1.epochs": "0",
}

QUICK = {"rendering.size": "64", "phases.0.epochs": "1"}

BACKBONE = {"rendering.size": "64", "backbone.width": "0.35"}
BACKBONE_FILE = "backbone.weights.h5"

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
def made_once(tmp_path_factory) -> Iterator[Callable[[str, Callable[[Path], None]], Path]]:
    """A function that makes a folder by its name, once for all workers, and gives its path.

    No test may change what lies there, since tests in other workers may read it.
    """
    own = tmp_path_factory.getbasetemp()
    # The folder of a worker lies in that of the whole session.
    base = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "once"
    base.mkdir(exist_ok=True)
    before: dict[Path, str] = {}

    def make(name: str, fill: Callable[[Path], None]) -> Path:
        folder, whole = base / name, base / f"{name}.whole"
        with FileLock(base / f"{name}.lock"):
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)
                fill(folder)
                whole.touch()
        before[folder] = contents_digest(folder)
        return folder

    yield make
    changed = [
        folder.name for folder, digest in before.items() if contents_digest(folder) != digest
    ]
    assert not changed, f"a test changed what all share: {changed}"


@pytest.fixture(scope="session")
def phantoms(made_once) -> Path:
    """A folder of 60 synthetic slices, half with tumors: yes/ and no/."""
    from falx.phantoms import write_phantoms

    def draw(folder: Path) -> None:
        write_phantoms(folder / "phantoms", 60, seed=1, size=96)

    return made_once("phantoms", draw) / "phantoms"


@pytest.fixture(scope="session")
def kinds(made_once) -> Path:
    """A folder of 30 synthetic slices, none of them in `phantoms`, in three other classes."""
    from falx.phantoms import write_phantoms

    def draw(folder: Path) -> None:
        drawn = folder / "drawn"
        write_phantoms(drawn, 30, seed=11, size=96)
        for number, file in enumerate(sorted(drawn.glob("*/*.png"))):
            target = folder / "kinds" / ("healthy", "glioma", "pituitary")[number % 3]
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target / f"{number}.png")

    return made_once("kinds", draw) / "kinds"


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
def mixed(kinds, phantoms, brightened, made_once) -> Path:
    """`kinds`, and five near-copies of slices of `phantoms` among them."""

    def copy(folder: Path) -> None:
        shutil.copytree(kinds, folder / "mixed")
        for number, file in enumerate(sorted(phantoms.glob("*/*.png"))[::12]):
            brightened(file, folder / "mixed" / "glioma" / f"seen-{number}.png")

    return made_once("mixed", copy) / "mixed"


@pytest.fixture(scope="session")
def short() -> dict[str, str]:
    """Changes that make `lite` train in seconds: a narrow network, small views, its head alone."""
    return SHORT


@pytest.fixture(scope="session")
def quick() -> dict[str, str]:
    """Changes to the default recipe, which needs no Keras: small views, and one of each slice."""
    return QUICK


@pytest.fixture(scope="session")
def run(phantoms, made_once) -> Path:
    """The run folder of a real, short training on `phantoms`."""
    import falx

    def train(folder: Path) -> None:
        falx.train(
            phantoms,
            recipe="lite",
            changes=SHORT | {"phases.0.epochs": "2"},
            weights="random",
            out=folder,
        )

    return made_once("short", train)


@pytest.fixture(scope="session")
def weights(made_once, phantoms) -> Path:
    """Backbone weights in place of pretrained ones."""
    return made_once("weights", lambda folder: _save_weights(folder, phantoms)) / BACKBONE_FILE


def _save_weights(folder: Path, phantoms: Path) -> None:
    """Save random weights that normalize by the statistics of `phantoms`.

    The signal vanishes in random layers without that, so all predictions would be alike.
    """
    import keras

    from falx.data.catalog import build_catalog
    from falx.model.network import backbone_of, build_network
    from falx.model.scaling import network_input
    from falx.recipe import load_recipe
    from falx.training.disk_cache import DiskCache
    from falx.training.views import render_views

    folder.mkdir()
    recipe = load_recipe("lite").changed(BACKBONE)
    views = render_views(build_catalog(phantoms).usable(), recipe.rendering, DiskCache(folder, 1))
    network = build_network(recipe, 2, seed=9)
    backbone = backbone_of(network)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    scaled = keras.Model(network.input, network.get_layer("scale").output)
    backbone(scaled(network_input(views.plain[::2])), training=True)
    backbone.save_weights(folder / BACKBONE_FILE)
