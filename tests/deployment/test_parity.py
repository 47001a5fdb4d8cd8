"""An export is held to its network slice by slice, and over all views by AUC."""

import json
from dataclasses import replace

import numpy as np
import pytest

from falx.deployment.parity import BOUNDS, compare
from falx.detect.rules import Rules
from falx.exporting.runtimes import Outputs

LABELS = np.array([0, 1] * 10)
CLASSES = ("no", "yes")


def answers(positive, heat=0.0):
    p = np.asarray(positive, float)
    logits = np.log(p / (1 - p))[:, None]
    maps = np.broadcast_to(np.array([[1.0, 2.0], [3.0, 4.0]])[None, ..., None], (len(p), 2, 2, 1))
    return Outputs(logits, maps + heat, np.column_stack([1 - p, p]), np.ones(len(p)))


def held(expected, actual, precision="fp32", threshold=0.5, limit=None):
    expected, actual = (
        each if isinstance(each, Outputs) else answers(each) for each in (expected, actual)
    )
    return compare(
        expected, actual, LABELS, np.arange(20), CLASSES,
        rules=Rules(threshold=threshold, limit=limit), precision=precision,
    )  # fmt: skip


def far(distances):
    """Outputs with the same probabilities and other distances."""
    return replace(answers(probabilities()), distances=np.asarray(distances, float))


def probabilities(views=1):
    return np.random.default_rng(0).uniform(0.05, 0.95, 20 * views)


def test_what_answers_alike_passes():
    parity = held(probabilities(), probabilities())
    assert (parity.problem, parity.largest, parity.changed, parity.auc_loss, parity.heat) == (
        "", 0, 0, 0, 0,
    )  # fmt: skip
    assert parity.as_dict()["passed"] is True


def test_one_slice_that_moves_too_far_is_a_problem():
    moved = probabilities()
    moved[3] += 0.002
    parity = held(probabilities(), moved)
    assert parity.problem == "it moves the probability of a slice by 0.0020, more than 0.001"
    assert held(probabilities(), moved, "fp16").problem == ""


def test_lost_auc_is_a_problem_even_where_no_slice_moves_far():
    truth = np.where(LABELS == 1, 0.501, 0.5)
    moved = np.where(LABELS == 1, 0.5, 0.501)
    parity = held(truth, moved, "int8")
    assert parity.auc_loss == 1
    assert parity.problem == "it loses 1.0000 of AUC, more than 0.005"


def test_not_a_number_is_a_problem():
    broken = answers(probabilities())
    broken.probabilities[0] = np.nan
    parity = held(probabilities(), broken)
    assert parity.problem == "it gives answers that are not numbers"
    assert json.loads(json.dumps(parity.as_dict(), allow_nan=False))["passed"] is False


def test_heat_maps_must_be_true_too():
    parity = held(probabilities(), answers(probabilities(), heat=0.4))
    assert (
        parity.problem == "it moves places of heat maps by 10.0% of the strongest, more than 0.1%"
    )
    nowhere = held(probabilities(), answers(probabilities(), heat=np.nan))
    assert nowhere.problem == "it gives answers that are not numbers"


def test_slices_are_judged_by_their_plain_view_and_auc_by_all():
    expected, actual = probabilities(3), probabilities(3)
    actual[20:] = 1 - actual[20:]
    parity = held(expected, actual)
    assert parity.views == 3
    assert parity.largest == 0
    assert parity.auc_loss != 0


def test_a_label_changes_where_a_probability_crosses_the_threshold():
    expected, actual = np.full(20, 0.305), np.full(20, 0.305)
    actual[:4] = 0.2995
    assert held(expected, actual, threshold=0.3).changed == 4
    assert held(expected, actual, threshold=0.5).changed == 0


def test_a_label_that_changes_on_a_foreign_slice_is_no_change():
    """It gets no label from either."""
    expected, actual = np.full(20, 0.305), np.full(20, 0.2995)
    assert held(expected, actual, threshold=0.3, limit=2.0).changed == 20
    assert held(expected, actual, threshold=0.3, limit=0.5).changed == 0


def test_one_slice_that_becomes_foreign_is_a_problem_unless_it_lay_at_the_limit():
    known = np.linspace(5, 9, 20)
    for moved, changed, problem in (
        (8.9, 0, ""),
        (
            10.1,
            1,
            "it takes a slice across the limit of foreign ones by 11.0% of it, more than 2.0%",
        ),
    ):
        parity = held(far(known), far([*known[:-1], moved]), "fp16", limit=10.0)
        assert (parity.changed, parity.problem) == (changed, problem)
    at_it = held(far([*known[:-1], 9.99]), far([*known[:-1], 10.01]), "fp16", limit=10.0)
    assert (at_it.changed, at_it.problem) == (1, "")
    assert at_it.as_dict()["distance_across_limit"] == pytest.approx(0.002)


def test_distances_that_are_no_numbers_or_were_zero_are_a_problem():
    for expected, actual, problem in (
        (np.ones(20), np.full(20, np.nan), "it gives answers that are not numbers"),
        (np.zeros(20), np.ones(20), "it moves distances from training slices by"),
    ):
        parity = held(far(expected), far(actual), limit=2.0)
        assert parity.problem.startswith(problem)
        json.dumps(parity.as_dict(), allow_nan=False)
    assert held(far(np.zeros(20)), far(np.zeros(20))).problem == ""


def test_probabilities_that_are_all_zero_are_a_tie():
    broken = replace(answers(probabilities()), probabilities=np.zeros((20, 2)))
    assert held(probabilities(), broken).problem.startswith(
        "it moves the probability of a slice by 0.4"
    )


def test_heat_maps_are_compared_in_shares_of_the_strongest_place():
    assert held(probabilities(), answers(probabilities(), heat=0.4)).heat == pytest.approx(0.1)


def test_rounded_probabilities_need_not_sum_to_one():
    rounded = answers(probabilities())
    steps = np.floor(rounded.probabilities * 256) / 256
    parity = held(probabilities(), replace(rounded, probabilities=steps), "int8")
    assert parity.problem == ""


@pytest.mark.parametrize("precision", BOUNDS)
def test_every_precision_has_a_bound(precision):
    assert 0 < BOUNDS[precision].probability <= 0.1
    assert 0 < BOUNDS[precision].auc <= 0.005
