"""Probes for shortcuts: as many folds as groups allow, and the level of volumes as what it is."""

import math

import numpy as np
import pandas as pd
import pytest

from falx.data.shortcuts import LEVEL_PROBE, Shortcut, probe_shortcuts


def volumes(patients=20, slices=12, *, single=0):
    """Volumes whose middle slices have a tumor, and some single slices; files tell nothing."""
    n = patients * slices + single
    rng = np.random.default_rng(0)
    level = np.full(n, np.nan)
    level[: patients * slices] = np.tile(np.linspace(0, 1, slices), patients)
    table = pd.DataFrame(
        {
            "width": 96, "height": 96, "bytes": 9000, "mean": rng.uniform(0.2, 0.3, n),
            "standard_deviation": rng.uniform(0.1, 0.2, n), "border": 0.0, "color": False,
            "format": "nifti", "surroundings": list(rng.integers(0, 9, (n, 256))), "level": level,
        }
    )  # fmt: skip
    labels = ((level > 0.3) & (level < 0.7)).astype(int)
    labels[patients * slices :] = np.arange(single) % 2
    groups = np.arange(n) // slices
    groups[patients * slices :] = patients + np.arange(single)
    return table, labels, groups


def probed(*data, classes=2):
    return {each.probe: each for each in probe_shortcuts(*data, classes=classes)}


def test_the_level_alone_predicts_the_class_in_volumes_and_is_not_alarming():
    found = probed(*volumes())
    level = found[LEVEL_PROBE]
    assert level.auc > 0.95
    assert level.is_level
    assert not level.alarming
    assert found["file properties"].auc == pytest.approx(0.5, abs=0.15)


def test_single_slices_have_no_level_to_probe():
    table, labels, groups = volumes(patients=0, single=60)
    assert list(probed(table, labels, groups)) == [
        "file properties", "the background outside the head",
    ]  # fmt: skip


def test_among_both_only_slices_of_volumes_are_probed_for_their_level():
    both = probed(*volumes(single=60))[LEVEL_PROBE]
    assert both == probed(*volumes())[LEVEL_PROBE]


@pytest.mark.parametrize(("patients", "interval"), [(2, False), (5, False), (12, True)])
def test_few_patients_are_probed_in_as_many_folds_as_they_allow(patients, interval):
    found = probed(*volumes(patients))
    assert len(found) == 3
    assert found[LEVEL_PROBE].auc > 0.9
    assert math.isnan(found["file properties"].low) != interval


def test_one_patient_cannot_be_probed():
    assert probed(*volumes(1)) == {}


def test_a_class_without_slices_cannot_be_probed():
    assert probed(*volumes(), classes=3) == {}


def test_a_shortcut_of_few_groups_is_unsettled_and_not_alarming():
    assert Shortcut("file properties", 0.9, math.nan, math.nan).unsettled
    assert not Shortcut("file properties", 0.9, math.nan, math.nan).alarming
    assert not Shortcut("file properties", 0.6, math.nan, math.nan).unsettled
    assert not Shortcut(LEVEL_PROBE, 0.9, math.nan, math.nan).unsettled
