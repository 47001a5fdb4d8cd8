"""The localization head: its shapes, what it starts from, and what its loss weighs."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from falx.model.backbones import build_backbone
from falx.model.cells import STRIDE
from falx.model.localization import CellLoss, localization_network
from falx.recipe import Backbone


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    localizing = build_backbone(Backbone(width=0.35, localization=True), None, None)
    return localization_network(localizing, "minus_one_one", classes=3)


@pytest.mark.parametrize("size", [64, 96])
def test_every_eight_pixels_have_a_cell_at_any_size(network, size) -> None:
    logits = network.predict_on_batch(np.zeros((2, size, size, 1), np.float32))
    assert logits["tumor_map"].shape == (2, size // STRIDE, size // STRIDE, 1)
    assert logits["tumor"].shape == (2, 1)
    assert logits["classes"].shape == (2, 3)


def test_the_slice_is_what_its_cells_sum_to(network) -> None:
    views = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 1)).astype(np.float32)
    logits = network.predict_on_batch(views)
    sums = np.log(np.exp(logits["tumor_map"].astype(float)).sum(axis=(1, 2)))
    kernel, bias = network.get_layer("tumor").get_weights()
    np.testing.assert_allclose(logits["tumor"], sums * kernel + bias, rtol=1e-5)


def test_the_first_map_is_almost_empty(network) -> None:
    logits = network.predict_on_batch(np.zeros((1, 64, 64, 1), np.float32))["tumor_map"]
    assert (1 / (1 + np.exp(-logits))).max() < 0.05


def test_the_head_is_small() -> None:
    plain, localizing = (
        build_backbone(Backbone(localization=localization), None, None)
        for localization in (False, True)
    )
    assert localizing.count_params() - plain.count_params() < 150_000


def test_cells_of_tumor_weigh_four_times_as_much() -> None:
    truth = np.zeros((2, 2, 2, 1), np.float32)
    truth[1] = 1
    empty, full = np.array(CellLoss(reduction=None)(truth, np.zeros_like(truth)))
    assert empty == pytest.approx(np.log(2))
    assert full == pytest.approx(4 * np.log(2))
