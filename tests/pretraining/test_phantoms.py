"""Pretraining: what is learned, and that a stopped one ends as if it had not been."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest

from falx.errors import BadInput
from falx.model.backbones import build_backbone
from falx.pretraining import phantoms as pretraining
from falx.pretraining.phantoms import PretrainingConfig, pretrain_on_phantoms
from falx.pretraining.tasks import TASKS, task_network
from falx.recipe import Backbone

pytestmark = pytest.mark.slow

COURSE = PretrainingConfig(slices=12, size=96, batch=4, seed=3)


@pytest.fixture(scope="module", autouse=True)
def small():
    """A round of one batch seen twice, checked on a few phantoms, by a narrow backbone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretraining, "ROUND", 1)
        patch.setattr(pretraining, "VIEWS", 2)
        patch.setattr(pretraining, "_CHECKS", 16)
        patch.setattr(pretraining, "BACKBONE", Backbone(width=0.35, normalization="training"))
        yield


@pytest.fixture(scope="module")
def whole(small):
    """A backbone's weights, and the history of how it came to them."""
    backbone, history = pretrain_on_phantoms(COURSE, None)
    return weights_of(backbone), history


def weights_of(backbone):
    return [np.array(value) for value in backbone.get_weights()]


class TestCourse:
    def test_most_rounds_are_of_a_smaller_size(self) -> None:
        sizes = PretrainingConfig(slices=80, size=160, batch=4).sizes
        assert sizes == [96] * 12 + [160] * 8
        assert PretrainingConfig(slices=8, size=160, batch=4, low_resolution_fraction=0).sizes == [
            160,
            160,
        ]
        assert PretrainingConfig(slices=4, size=160, batch=4).sizes == [160]

    def test_slices_are_rounded_up_to_whole_rounds(self) -> None:
        assert len(PretrainingConfig(slices=9, batch=4).sizes) == 3

    @pytest.mark.parametrize("size", [32, 100, 352])
    def test_a_size_that_no_network_takes_is_refused(self, size: int) -> None:
        with pytest.raises(BadInput, match=f"multiple of 32 from 64 to 320, got {size}"):
            PretrainingConfig(slices=8, size=size)

    def test_the_rate_rises_and_falls_at_each_size(self) -> None:
        schedule = pretraining._Waves(1e-3, [1000, 200])
        rates = [float(schedule(step)) for step in (0, 15, 30, 515, 1000, 1003, 1006, 1200)]
        expected = [0, 5e-4, 1e-3, 5e-4, 0, 5e-4, 1e-3, 0]
        np.testing.assert_allclose(rates, expected, atol=1e-9)


class TestTasks:
    def test_every_task_has_its_answers_at_any_size(self) -> None:
        network = task_network(build_backbone(pretraining.BACKBONE, None, None), "minus_one_one")
        for size in (64, 96):
            logits = network.predict_on_batch(np.zeros((2, size, size, 1), np.float32))
            for task in TASKS:
                places = (size // 32, size // 32) if task.placed else ()
                assert logits[task.name].shape == (2, *places, task.answers)

    def test_at_first_tumors_are_expected_to_be_rare(self) -> None:
        network = task_network(build_backbone(pretraining.BACKBONE, None, None), "minus_one_one")
        where = network.predict_on_batch(np.zeros((2, 64, 64, 1), np.float32))["where"]
        assert (1 / (1 + np.exp(-where))).max() < 0.05


class TestPretrain:
    def test_history_has_a_row_a_round(self, whole) -> None:
        _, history = whole
        assert history["slices"].tolist() == [4, 8, 12]
        assert history["size"].tolist() == [64, 64, 96]
        assert np.isfinite(history.to_numpy()).all()
        for mark in ("auc", "kind", "appearance", "plane", "pointing"):
            assert history[mark].between(0, 1).all()

    @pytest.mark.parametrize(("step", "rounding"), [(3, 1e-6), (5, 2e-3)])
    def test_what_is_killed_ends_as_if_it_had_not_been(
        self, whole, tmp_path, step, rounding
    ) -> None:
        """To the bit before views become larger; after, TensorFlow chooses other kernels."""

        def kill(progress) -> None:
            if progress.done == step:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            pretrain_on_phantoms(COURSE, None, folder=tmp_path, listener=kill)
        assert multiprocessing.active_children() == []
        heard = []
        resumed, history = pretrain_on_phantoms(COURSE, None, folder=tmp_path, listener=heard.append)
        assert heard[0].done == step
        weights, told = whole
        for ours, theirs in zip(weights_of(resumed), weights, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=rounding)
        assert history["loss"].to_numpy() == pytest.approx(told["loss"].to_numpy(), rel=rounding)
