"""Weights are searched for in the documented order; errors say what to do."""

import hashlib

import keras
import numpy as np
import pytest

from falx.errors import BadInput, MissingWeights
from falx.model.backbones import build_backbone
from falx.model.weights import find_weights
from falx.recipe import Backbone

NAME = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"
BACKBONE = Backbone(width=0.35)


@pytest.fixture
def weights(tmp_path):
    network = keras.applications.MobileNetV2(
        include_top=False, weights=None, alpha=0.35, input_shape=(64, 64, 3)
    )
    file = tmp_path / "mobilenet_v2_mine.weights.h5"
    network.save_weights(file)
    return file


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty Keras cache."""
    monkeypatch.delenv("FALX_WEIGHTS", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "keras" / "models").mkdir(parents=True)
    return tmp_path / "keras" / "models"


def test_a_path_is_used_and_hashed(weights):
    found = find_weights(str(weights), BACKBONE)
    assert found.file == weights
    assert found.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_random_needs_no_file():
    assert find_weights("random", BACKBONE).file is None


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_variable_names_a_file_or_a_folder(weights, home, monkeypatch, kind):
    monkeypatch.setenv("FALX_WEIGHTS", str(weights if kind == "file" else weights.parent))
    assert find_weights("imagenet", BACKBONE).file == weights


def test_the_cache_of_keras_is_used(weights, home):
    weights.rename(home / NAME)
    assert find_weights("imagenet", BACKBONE).file == home / NAME


def test_offline_without_cached_weights_the_error_names_three_ways(home, monkeypatch):
    monkeypatch.setenv("FALX_OFFLINE", "1")
    with pytest.raises(
        MissingWeights, match="go online once, pass --weights PATH, or set FALX_WEIGHTS"
    ):
        find_weights("imagenet", BACKBONE)


def test_a_path_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(BadInput, match="no weights at"):
        find_weights(str(tmp_path / "none.h5"), BACKBONE)


def test_a_file_without_weights_is_an_error(tmp_path):
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(BadInput, match="not a Keras weights file"):
        find_weights(str(tmp_path / "text.h5"), BACKBONE)


def test_a_folder_must_hold_exactly_one_file(weights, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds 0 files"):
        find_weights(str(tmp_path / "empty"), BACKBONE)
    (tmp_path / "mobilenet_v2_other.h5").write_bytes(weights.read_bytes())
    with pytest.raises(BadInput, match="holds 2 files"):
        find_weights(str(tmp_path), BACKBONE)


def test_the_phantom_weights_ship_with_falx_and_fit():
    found = find_weights("phantom", Backbone())
    assert found.file.stat().st_size < 5_000_000
    features = build_backbone(Backbone(), 64, str(found.file)).predict_on_batch(
        np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)
    )
    assert np.isfinite(features).all()
    assert np.ptp(features) > 0


def test_there_are_no_phantom_weights_for_another_width():
    with pytest.raises(BadInput, match=r"for width 1\.0, but the recipe has 0\.35"):
        find_weights("phantom", BACKBONE)
