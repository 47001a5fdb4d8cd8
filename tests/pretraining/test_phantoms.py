"""Pretraining on phantoms: rounds, tasks, and resuming an interrupted one."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest

from falx.errors import BadInput
from falx.model.backbones import build_backbone
from falx.pretraining import phantoms as phantoms_module
from falx.pretraining.phantoms import PretrainingConfig, pretrain_on_phantoms
from falx.pretraining.tasks import TASKS, task_network
from falx.recipe import Backbone

pytestmark = pytest.mark.slow


def make_config(**changes) -> PretrainingConfig:
    defaults = {
        "slices": 12, "size": 96, "batch_size": 4, "low_resolution_fraction": 0.6,
        "learning_rate": 1e-3, "seed": 3,
    }  # fmt: skip
    return PretrainingConfig(**defaults | changes)


CONFIG = make_config()


@pytest.fixture(scope="module", autouse=True)
def small():
    """Rounds of one batch used twice, few validation phantoms, and a narrow backbone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantoms_module, "ROUND", 1)
        patch.setattr(phantoms_module, "VIEWS", 2)
        patch.setattr(phantoms_module, "_VALIDATION_PHANTOMS", 16)
        patch.setattr(phantoms_module, "BACKBONE", Backbone(width=0.35, normalization="training"))
        yield


@pytest.fixture(scope="module")
def uninterrupted(small):
    """Weights of an uninterrupted pretraining, and its history."""
    backbone, history = pretrain_on_phantoms(CONFIG, None)
    return weights_of(backbone), history


def weights_of(backbone):
    return [np.array(value) for value in backbone.get_weights()]


class TestConfig:
    def test_the_first_rounds_are_of_a_smaller_size(self) -> None:
        assert make_config(slices=80, size=160).sizes == [96] * 12 + [160] * 8
        assert make_config(slices=8, size=160, low_resolution_fraction=0).sizes == [160, 160]
        assert make_config(slices=4, size=160).sizes == [160]

    def test_slices_are_rounded_up_to_whole_rounds(self) -> None:
        assert len(make_config(slices=9).sizes) == 3

    @pytest.mark.parametrize("size", [32, 100, 352])
    def test_an_invalid_size_is_an_error(self, size: int) -> None:
        with pytest.raises(BadInput, match=f"multiple of 32 from 64 to 320, got {size}"):
            make_config(size=size)

    def test_the_learning_rate_rises_and_falls_in_each_stage(self) -> None:
        schedule = phantoms_module.StagedCosine(1e-3, [1000, 200])
        rates = [float(schedule(step)) for step in (0, 15, 30, 515, 1000, 1003, 1006, 1200)]
        expected = [0, 5e-4, 1e-3, 5e-4, 0, 5e-4, 1e-3, 0]
        np.testing.assert_allclose(rates, expected, atol=1e-9)


class TestTasks:
    def test_every_task_has_its_outputs_at_any_size(self) -> None:
        network = task_network(
            build_backbone(phantoms_module.BACKBONE, None, None), "minus_one_one"
        )
        for size in (64, 96):
            logits = network.predict_on_batch(np.zeros((2, size, size, 1), np.float32))
            for task in TASKS:
                positions = (size // 32, size // 32) if task.spatial else ()
                assert logits[task.name].shape == (2, *positions, task.outputs)

    def test_the_initial_tumor_map_is_almost_empty(self) -> None:
        network = task_network(
            build_backbone(phantoms_module.BACKBONE, None, None), "minus_one_one"
        )
        logits = network.predict_on_batch(np.zeros((2, 64, 64, 1), np.float32))["tumor_map"]
        assert (1 / (1 + np.exp(-logits))).max() < 0.05


class TestPretrainOnPhantoms:
    def test_the_history_has_a_row_per_round(self, uninterrupted) -> None:
        _, history = uninterrupted
        assert history["slices"].tolist() == [4, 8, 12]
        assert history["size"].tolist() == [64, 64, 96]
        assert np.isfinite(history.to_numpy()).all()
        for score in ("auc", "kind", "appearance", "plane", "pointing"):
            assert history[score].between(0, 1).all()

    @pytest.mark.parametrize(("step", "rounding"), [(3, 1e-6), (5, 2e-3)])
    def test_a_resumed_pretraining_gives_the_result_of_an_uninterrupted_one(
        self, uninterrupted, tmp_path, step, rounding
    ) -> None:
        """Exactly at the first size; at the second, TensorFlow chooses other kernels."""

        def kill(progress) -> None:
            if progress.done == step:
                raise KeyboardInterrupt("in a step")

        with pytest.raises(KeyboardInterrupt, match="in a step"):
            pretrain_on_phantoms(CONFIG, None, folder=tmp_path, listener=kill)
        assert multiprocessing.active_children() == []
        steps = []
        resumed, history = pretrain_on_phantoms(
            CONFIG, None, folder=tmp_path, listener=steps.append
        )
        assert steps[0].done == step
        weights, expected = uninterrupted
        for ours, theirs in zip(weights_of(resumed), weights, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=rounding)
        assert history["loss"].to_numpy() == pytest.approx(
            expected["loss"].to_numpy(), rel=rounding
        )
