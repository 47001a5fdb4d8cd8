"""An export is compared with its network slice by slice, and over all views by AUC."""

import json
from dataclasses import replace

import numpy as np
import pytest

from falx.deployment.parity import BOUNDS, compare
from falx.detect.rules import Rules
from falx.exporting.runtimes import Outputs
from falx.serialization import to_json

LABELS = np.array([0, 1] * 10)
CLASSES = ("no", "yes")


def outputs(positive, offset=0.0):
    """Outputs with some probabilities, and heat maps from 1 to 4 plus an offset."""
    p = np.asarray(positive, float)
    logits = np.log(p / (1 - p))[:, None]
    maps = np.broadcast_to(np.array([[1.0, 2.0], [3.0, 4.0]])[None, ..., None], (len(p), 2, 2, 1))
    return Outputs(logits, maps + offset, np.column_stack([1 - p, p]), np.ones(len(p)))


def compared(expected, actual, precision="fp32", threshold=0.5, ood_threshold=None):
    expected, actual = (
        each if isinstance(each, Outputs) else outputs(each) for each in (expected, actual)
    )
    return compare(
        expected, actual, LABELS, np.arange(20), CLASSES,
        rules=Rules(threshold=threshold, ood_threshold=ood_threshold), precision=precision,
    )  # fmt: skip


def at_distances(distances):
    """Outputs with the same probabilities and other distances."""
    return replace(outputs(probabilities()), distances=np.asarray(distances, float))


def probabilities(views=1):
    return np.random.default_rng(0).uniform(0.05, 0.95, 20 * views)


def test_equal_outputs_pass():
    parity = compared(probabilities(), probabilities())
    assert (parity.problem, parity.largest, parity.changed, parity.auc_loss, parity.heat_map) == (
        "", 0, 0, 0, 0,
    )  # fmt: skip
    assert parity.as_dict()["passed"] is True


def test_one_slice_that_changes_too_much_is_a_problem():
    changed = probabilities()
    changed[3] += 0.002
    parity = compared(probabilities(), changed)
    assert parity.problem == "it changes the probability of a slice by 0.0020, more than 0.001"
    assert compared(probabilities(), changed, "fp16").problem == ""


def test_lost_auc_is_a_problem_even_where_no_slice_changes_much():
    perfect = np.where(LABELS == 1, 0.501, 0.5)
    reversed_ = np.where(LABELS == 1, 0.5, 0.501)
    parity = compared(perfect, reversed_, "int8")
    assert parity.auc_loss == 1
    assert parity.problem == "it loses 1.0000 AUC, more than 0.005"


def test_outputs_that_are_not_finite_are_a_problem():
    broken = outputs(probabilities())
    broken.probabilities[0] = np.nan
    parity = compared(probabilities(), broken)
    assert parity.problem == "it gives outputs that are not finite"
    assert json.loads(json.dumps(to_json(parity), allow_nan=False))["passed"] is False


def test_heat_maps_must_agree_too():
    parity = compared(probabilities(), outputs(probabilities(), offset=0.4))
    assert parity.problem == "it changes heat maps by 10.0% of their maximum, more than 0.1%"
    undefined = compared(probabilities(), outputs(probabilities(), offset=np.nan))
    assert undefined.problem == "it gives outputs that are not finite"


def test_slices_are_compared_on_their_plain_view_and_auc_over_all_views():
    expected, actual = probabilities(3), probabilities(3)
    actual[20:] = 1 - actual[20:]
    parity = compared(expected, actual)
    assert parity.views == 3
    assert parity.largest == 0
    assert parity.auc_loss != 0


def test_a_prediction_changes_where_a_probability_crosses_the_threshold():
    expected, actual = np.full(20, 0.305), np.full(20, 0.305)
    actual[:4] = 0.2995
    assert compared(expected, actual, threshold=0.3).changed == 4
    assert compared(expected, actual, threshold=0.5).changed == 0


def test_the_class_of_an_out_of_distribution_slice_does_not_count():
    """It gets no label from either."""
    expected, actual = np.full(20, 0.305), np.full(20, 0.2995)
    assert compared(expected, actual, threshold=0.3, ood_threshold=2.0).changed == 20
    assert compared(expected, actual, threshold=0.3, ood_threshold=0.5).changed == 0


def test_a_slice_that_crosses_the_ood_threshold_is_a_problem_unless_it_lay_close_to_it():
    known = np.linspace(5, 9, 20)
    crossing = "it takes a slice across the OOD threshold by 11.0% of it, more than 2.0%"
    for distance, changed, problem in ((8.9, 0, ""), (10.1, 1, crossing)):
        parity = compared(
            at_distances(known), at_distances([*known[:-1], distance]), "fp16", ood_threshold=10.0
        )
        assert (parity.changed, parity.problem) == (changed, problem)
    inside, outside = (at_distances([*known[:-1], distance]) for distance in (9.99, 10.01))
    close = compared(inside, outside, "fp16", ood_threshold=10.0)
    assert (close.changed, close.problem) == (1, "")
    assert close.as_dict()["distance_across_threshold"] == pytest.approx(0.002)


def test_distances_that_are_not_finite_or_were_zero_are_a_problem():
    for expected, actual, problem in (
        (np.ones(20), np.full(20, np.nan), "it gives outputs that are not finite"),
        (np.zeros(20), np.ones(20), "it changes OOD distances by"),
    ):
        parity = compared(at_distances(expected), at_distances(actual), ood_threshold=2.0)
        assert parity.problem.startswith(problem)
        json.dumps(to_json(parity), allow_nan=False)
    assert compared(at_distances(np.zeros(20)), at_distances(np.zeros(20))).problem == ""


def test_probabilities_that_are_all_zero_are_a_tie():
    broken = replace(outputs(probabilities()), probabilities=np.zeros((20, 2)))
    assert compared(probabilities(), broken).problem.startswith(
        "it changes the probability of a slice by 0.4"
    )


def test_heat_maps_are_compared_relative_to_their_maximum():
    parity = compared(probabilities(), outputs(probabilities(), offset=0.4))
    assert parity.heat_map == pytest.approx(0.1)


def test_rounded_probabilities_need_not_sum_to_one():
    exact = outputs(probabilities())
    rounded = np.floor(exact.probabilities * 256) / 256
    parity = compared(probabilities(), replace(exact, probabilities=rounded), "int8")
    assert parity.problem == ""


@pytest.mark.parametrize("precision", BOUNDS)
def test_every_precision_has_a_bound(precision):
    assert 0 < BOUNDS[precision].probability <= 0.1
    assert 0 < BOUNDS[precision].auc <= 0.005
