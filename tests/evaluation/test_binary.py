"""Classes are folded into two, tumor or none, of the detector and of the data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from falx.data.catalog import Catalog
from falx.detect.rules import Rules
from falx.errors import BadInput
from falx.evaluation.binary import (
    binary_catalog,
    binary_classes,
    binary_probabilities,
    binary_rules,
)

KINDS = ("notumor", "glioma", "pituitary")


def test_the_class_of_any_tumor_is_named_as_by_the_detector_or_by_the_data():
    assert binary_classes(("no", "yes"), KINDS) == ("no", "yes")
    assert binary_classes(KINDS, ("no", "yes")) == ("notumor", "yes")
    assert binary_classes(KINDS, ("normal", "glioma", "meningioma")) == ("notumor", "tumor")


def test_a_kind_never_stands_for_any_tumor():
    assert binary_classes(KINDS, ("no", "pituitary")) == ("notumor", "tumor")
    assert binary_classes(("no", "glioma"), KINDS) == ("no", "tumor")


@pytest.mark.parametrize("detector", [("benign", "malignant"), ("no", "notumor", "glioma")])
def test_a_detector_without_exactly_one_negative_class_is_not_folded(detector):
    with pytest.raises(BadInput, match="leave --binary out"):
        binary_classes(detector, KINDS)


def test_data_of_tumors_alone_are_all_tumors_with_a_warning(caplog):
    data = ("glioma", "pituitary")
    table = pd.DataFrame({"label": data, "path": ["a", "b"]})
    names = binary_classes(("no", "yes"), data)
    assert binary_catalog(Catalog(Path(), data, table), names).labels.tolist() == [1, 1]
    assert "all slices (glioma, pituitary) count as tumors" in caplog.text


def test_a_misspelled_class_is_not_counted_as_tumors():
    with pytest.raises(BadInput, match=r"\(noo, yes\) means “no tumor”, though one means any"):
        binary_classes(("no", "yes"), ("noo", "yes"))


def test_every_name_for_no_tumor_counts():
    data = ("no", "notumor", "glioma")
    table = pd.DataFrame({"label": data, "path": ["a", "b", "c"]})
    assert binary_catalog(Catalog(Path(), data, table), ("no", "yes")).labels.tolist() == [0, 0, 1]


def test_all_kinds_become_the_second_class():
    table = pd.DataFrame({"label": ["glioma", "notumor", "pituitary"], "path": ["a", "b", "c"]})
    folded = binary_catalog(Catalog(Path(), KINDS, table), ("no", "yes"))
    assert folded.classes == ("no", "yes")
    assert folded.table["label"].tolist() == ["yes", "no", "yes"]
    assert folded.labels.tolist() == [1, 0, 1]


def test_the_probability_of_any_tumor_is_the_sum_over_its_kinds():
    probabilities = np.array([[0.4, 0.35, 0.25], [0.9, 0.1, 0.0]])
    np.testing.assert_allclose(binary_probabilities(probabilities), [[0.4, 0.6], [0.9, 0.1]])


def test_a_detector_of_several_classes_has_a_threshold_of_one_half():
    rules = Rules(
        threshold=0.3, operating_point="youden", conformal_threshold=0.2, ood_threshold=5.0
    )
    assert binary_rules(rules, 2) == rules
    assert binary_rules(rules, 4) == Rules(conformal_threshold=0.2, ood_threshold=5.0)
