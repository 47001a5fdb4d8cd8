"""`falx pretrain`, and training from what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from falx.errors import BadInput
from falx.model.backbones import build_backbone
from falx.model.weights import find_weights, save_weights
from falx.pretraining import localizing
from falx.recipe import Backbone
from falx.verbs.pretrain import pretrain

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def done(tmp_path_factory, kinds, phantoms):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(localizing, "ROUND", 2)
        patch.setattr(localizing, "_PHANTOMS", 16)
        out = tmp_path_factory.mktemp("pretrain") / "backbone"
        return pretrain(
            [kinds], out=out, slices=16, size=64, batch_size=8, weights="random",
            validate_on=[phantoms],
        )  # fmt: skip


def test_the_folder_is_whole(done) -> None:
    assert {file.name for file in done.folder.iterdir()} == {
        "backbone.weights.h5",
        "localizer.weights.h5",
        "kinds.parquet",
        "history.csv",
        "pretraining.png",
        "pretraining.json",
        "log.jsonl",
    }


def test_it_says_how_it_was_made(done) -> None:
    about = json.loads((done.folder / "pretraining.json").read_text())
    assert about["command"].startswith("falx pretrain ")
    assert " --slices 16 --size 64 --batch-size 8 --weights random" in about["command"]
    assert about["result"]["slices"] == 16
    assert about["data"][0]["classes"] == {"healthy": 10, "glioma": 10, "pituitary": 10}
    assert about["weights"] == {"name": "random", "sha256": ""}
    assert about["seconds"] > 0


def test_its_weights_are_found_and_loaded_as_any_other(done) -> None:
    found = find_weights(str(done.folder / "backbone.weights.h5"), Backbone())
    backbone = build_backbone(Backbone(), 64, str(found.file))
    fresh = build_backbone(Backbone(), 64, None)
    kernels = [layer.get_weights()[0] for layer in (backbone.layers[1], fresh.layers[1])]
    assert not np.allclose(*kernels)


def test_weights_are_kept_in_half_precision(tmp_path: Path) -> None:
    backbone = build_backbone(Backbone(), 64, None)
    file = tmp_path / "half.weights.h5"
    save_weights(backbone, file)
    assert file.stat().st_size < 5_000_000
    again = build_backbone(Backbone(), 96, str(file))
    for ours, theirs in zip(again.get_weights(), backbone.get_weights(), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, theirs.astype(np.float16).astype(np.float32))


def test_weights_beyond_half_precision_stay_what_they_are(tmp_path: Path) -> None:
    backbone = build_backbone(Backbone(width=0.35), 64, None)
    variance = backbone.get_layer("bn_Conv1").moving_variance
    variance.assign(np.full(variance.shape, 1e6))
    file = tmp_path / "half.weights.h5"
    save_weights(backbone, file)
    again = build_backbone(Backbone(width=0.35), 64, str(file))
    np.testing.assert_array_equal(again.get_layer("bn_Conv1").moving_variance, variance)


def test_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--slices must be at least 1"):
        pretrain(out=tmp_path / "out", weights="random", slices=0)
    with pytest.raises(BadInput, match=r"--learning-rate must be in \(0, 1\]"):
        pretrain(out=tmp_path / "out", weights="random", learning_rate=0)
    assert not any(tmp_path.iterdir())
