"""Pretraining a backbone and its localization head: rounds, scores, and resuming one."""

from __future__ import annotations

import multiprocessing

import keras
import numpy as np
import pytest

from falx.errors import BadInput
from falx.model.backbones import build_backbone
from falx.pretraining import localizing
from falx.pretraining.localizing import (
    PretrainingConfig,
    plain_backbone,
    pretrain_localization,
)
from falx.pretraining.mixture import Mixture
from falx.pretraining.sources import find_sources, read_source
from falx.recipe import Backbone, Rendering

pytestmark = pytest.mark.slow

CONFIG = PretrainingConfig(slices=24, size=64, batch_size=8, learning_rate=1e-3, seed=3)


@pytest.fixture(scope="module", autouse=True)
def small():
    """Rounds of a step, few phantoms to validate on, and a narrow backbone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(localizing, "ROUND", 1)
        patch.setattr(localizing, "_AVERAGED_EVERY", 1)
        patch.setattr(localizing, "_PHANTOMS", 16)
        patch.setattr(localizing, "BACKBONE", Backbone(width=0.35))
        yield


@pytest.fixture(scope="module")
def source(phantoms, tmp_path_factory):
    (catalog,), _ = find_sources([phantoms])
    return read_source(catalog, tmp_path_factory.mktemp("views"), Rendering(size=64))


@pytest.fixture(scope="module")
def mixture(source):
    return Mixture(64, 4, 2, 2, (source,))


@pytest.fixture(scope="module")
def uninterrupted(mixture, source):
    """Weights of an uninterrupted pretraining, and its history."""
    localizing, history = pretrain_localization(CONFIG, mixture, None, validation=[source])
    return weights_of(localizing), history


def weights_of(network):
    return [np.array(value) for value in network.get_weights()]


def test_slices_are_rounded_up_to_whole_rounds() -> None:
    assert PretrainingConfig(17, 64, 8, 1e-3, 0).rounds == 3


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("size", 100, "multiple of 32 from 64 to 320, got 100"),
        ("batch_size", 12, "--batch-size a multiple of 8, got 24 and 12"),
        ("learning_rate", 0, r"--learning-rate must be in \(0, 1\]"),
    ],
)
def test_a_number_out_of_range_is_an_error(field, value, reason) -> None:
    with pytest.raises(BadInput, match=reason):
        PretrainingConfig(**{**vars(CONFIG), field: value})


def test_the_history_has_a_row_per_round(uninterrupted) -> None:
    _, history = uninterrupted
    assert history["slices"].tolist() == [8, 16, 24]
    assert history["loss"].notna().all()
    for score in ("auc", "pointing", "auc_phantoms"):
        assert history[score].between(0, 1).all()
    # No tumor of the dataset is outlined.
    assert history["pointing_phantoms"].isna().all()


@pytest.mark.parametrize("start", ["random", "given"])
def test_backbone_and_head_are_trained(mixture, weights, start, uninterrupted) -> None:
    if start == "random":
        trained = uninterrupted[0]
    else:
        trained = weights_of(pretrain_localization(CONFIG, mixture, str(weights))[0])
    keras.utils.set_random_seed(CONFIG.seed)
    first = weights_of(localizing._initial(str(weights) if start == "given" else None))
    changed = [
        np.abs(ours - theirs).max() > 1e-5 for ours, theirs in zip(trained, first, strict=True)
    ]
    # Batch normalization, four arrays of every five, stays as it is where weights are given.
    assert np.mean(changed) > 0.2
    assert changed[-1]


def test_the_backbone_below_a_head_has_its_weights(mixture, tmp_path, weights) -> None:
    localized, _ = pretrain_localization(CONFIG, mixture, str(weights))
    backbone = plain_backbone(localized)
    file = tmp_path / "backbone.weights.h5"
    backbone.save_weights(file)
    again = build_backbone(localizing.BACKBONE, None, str(file))
    for ours, theirs in zip(weights_of(again), weights_of(backbone), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_pretraining_goes_on_from_a_localization_head(mixture, tmp_path, weights) -> None:
    localized, _ = pretrain_localization(CONFIG, mixture, str(weights))
    file = tmp_path / "localizer.weights.h5"
    localized.save_weights(file)
    for ours, theirs in zip(
        weights_of(localizing._initial(str(file))), weights_of(localized), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_resumed_pretraining_gives_the_result_of_an_uninterrupted_one(
    mixture, source, uninterrupted, tmp_path
) -> None:
    def kill(progress) -> None:
        if progress.done == 3:
            raise KeyboardInterrupt("in a step")

    with pytest.raises(KeyboardInterrupt, match="in a step"):
        pretrain_localization(
            CONFIG, mixture, None, validation=[source], folder=tmp_path, listener=kill
        )
    assert multiprocessing.active_children() == []
    steps = []
    resumed, history = pretrain_localization(
        CONFIG, mixture, None, validation=[source], folder=tmp_path, listener=steps.append
    )
    assert steps[0].done == 3
    weights, expected = uninterrupted
    for ours, theirs in zip(weights_of(resumed), weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    assert history["loss"].to_numpy() == pytest.approx(expected["loss"].to_numpy(), rel=1e-5)
