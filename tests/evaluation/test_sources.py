"""Numbers by source are those of its slices alone."""

from dataclasses import replace

import numpy as np
import pytest

from falx.detect.rules import Rules
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.sources import score_sources


def of_sources(predictions, sources):
    return replace(predictions, table=predictions.table.assign(source=sources))


def test_each_source_is_scored_by_itself(cross_validated):
    sources = np.repeat(["a", "b"], [24, 16])
    whole = of_sources(cross_validated, sources)
    for each, rows in zip(score_sources(whole), (np.arange(24), np.arange(24, 40)), strict=True):
        alone = Evaluation(whole.take(rows), None)
        assert each.estimates["roc_auc"] == alone.scores.estimates["roc_auc"]
        assert each.estimates["coverage"] == alone.reliability.coverage
        assert each.estimates["out_of_distribution"] == alone.reliability.out_of_distribution
        assert (each.scores.n, each.related) == (len(rows), 0)


def test_one_source_has_no_numbers_by_source(cross_validated):
    assert score_sources(cross_validated) == ()
    assert "by_source" not in Evaluation(cross_validated, None).as_dict()


def test_slices_of_other_sources_in_a_group_of_a_source_are_counted(cross_validated):
    """Two slices make a group: five groups of `a` have a slice in `b`, and one in `c`."""
    sources = np.array(["a", "a"] * 14 + ["a", "b"] * 5 + ["a", "c"])
    found = score_sources(of_sources(cross_validated, sources))
    assert {each.source: each.related for each in found} == {"a": 6, "b": 5, "c": 1}
    assert found[0].unrelated_groups == {"no": 0, "yes": 0}
    assert found[1].unrelated_groups == {"no": 15, "yes": 15}


def test_the_auc_of_a_source_of_one_class_is_undefined(cross_validated):
    whole = of_sources(cross_validated, np.where(cross_validated.labels == 0, "a", "b"))
    healthy, ill = score_sources(whole)
    assert np.isnan(healthy.estimates["roc_auc"].value)
    assert np.isnan(healthy.estimates["sensitivity"].value)
    assert ill.estimates["sensitivity"].value == ill.estimates["accuracy"].value
    assert healthy.as_dict()["roc_auc"] == {"value": None, "low": None, "high": None}


def test_a_plane_that_a_fold_was_not_trained_on_is_referred(binary):
    """Each slice by the rules of its own fold."""
    found = binary(["no", "yes"], [0.01, 0.99])
    axial, coronal = (
        Rules(conformal_threshold=0.5, planes=(plane,)) for plane in ("axial", "coronal")
    )
    found = replace(
        found,
        table=found.table.assign(plane="axial"),
        folds=np.array([[1, 2]]),
        rules=((axial, coronal),),
    )
    assert found.statuses.tolist() == [["answer", "refer"]]


@pytest.mark.parametrize("sources", [["b", "a"], ["a", "b"]])
def test_sources_come_in_order_of_appearance(binary, sources):
    found = of_sources(binary(["no", "yes"], [0.1, 0.9]), sources)
    assert [each.source for each in score_sources(found)] == sources
