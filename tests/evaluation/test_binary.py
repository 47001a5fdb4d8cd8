"""Classes are folded into two, tumor or none, on the side of the detector and of the data."""

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


def test_the_two_classes_are_called_as_whoever_has_two_calls_them():
    assert binary_classes(("no", "yes"), KINDS) == ("no", "yes")
    assert binary_classes(KINDS, ("no", "yes")) == ("no", "yes")
    assert binary_classes(KINDS, ("normal", "glioma", "meningioma")) == ("notumor", "tumor")


@pytest.mark.parametrize(
    ("detector", "data", "whose"),
    [
        (("benign", "malignant"), KINDS, "detector name none so (benign, malignant)"),
        (("no", "yes"), ("glioma", "pituitary"), "data name none so (glioma, pituitary)"),
    ],
)
def test_without_a_class_that_means_no_tumor_nothing_is_folded(detector, data, whose):
    with pytest.raises(BadInput) as caught:
        binary_classes(detector, data)
    assert whose in str(caught.value)


def test_all_kinds_become_the_second_class():
    table = pd.DataFrame({"label": ["glioma", "notumor", "pituitary"], "path": ["a", "b", "c"]})
    folded = binary_catalog(Catalog(Path(), KINDS, table), ("no", "yes"))
    assert folded.classes == ("no", "yes")
    assert folded.table["label"].tolist() == ["yes", "no", "yes"]
    assert folded.labels.tolist() == [1, 0, 1]


def test_a_tumor_is_as_probable_as_its_kinds_together():
    given = np.array([[0.4, 0.35, 0.25], [0.9, 0.1, 0.0]])
    np.testing.assert_allclose(binary_probabilities(given), [[0.4, 0.6], [0.9, 0.1]])


def test_a_detector_of_kinds_calls_a_tumor_from_one_half_on():
    rules = Rules(threshold=0.3, operating_point="youden", inclusion=0.2, limit=5.0)
    assert binary_rules(rules, 2) == rules
    assert binary_rules(rules, 4) == Rules(inclusion=0.2, limit=5.0)
