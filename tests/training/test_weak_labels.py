"""Labels of whole volumes: which slices are learned from."""

import numpy as np
import pandas as pd
import pytest

from falx.training.weak_labels import choose_rows

SLICES = 20
TUMOR = range(8, 13)


@pytest.fixture
def volumes():
    """Twelve volumes of 20 slices; features say which slices show a tumor, labels do not."""
    rng = np.random.default_rng(0)
    group, level = (axis.ravel() for axis in np.indices((12, SLICES)))
    labels = (group % 2).astype(int)
    shows = (labels == 1) & np.isin(level, TUMOR)
    table = pd.DataFrame(
        {
            "volume": [f"v{number}" for number in group],
            "path": [f"v{number}/{at}.dcm" for number, at in zip(group, level, strict=True)],
            "group": group,
            "region": np.where((level >= 4) & (level < 18), "brain", "skull base"),
            "weak_label": True,
        }
    )
    features = rng.normal(0, 1, (len(table), 8)) + 4 * shows[:, None] * (np.arange(8) < 2)
    return table, labels, features, shows


def test_of_a_volume_with_a_tumor_the_slices_that_look_like_one_are_kept(volumes):
    table, labels, features, shows = volumes
    kept = np.isin(np.arange(len(table)), choose_rows(table, labels, features, top_fraction=0.1))
    positive = labels == 1
    assert kept[shows].mean() > 0.9
    assert kept[positive & ~shows].mean() < 0.2


def test_all_slices_of_a_volume_without_a_tumor_are_kept(volumes):
    table, labels, features, _ = volumes
    kept = choose_rows(table, labels, features, top_fraction=0.1)
    assert np.isin(np.flatnonzero(labels == 0), kept).all()


def test_every_volume_with_a_tumor_keeps_some_slices_and_only_of_the_brain(volumes):
    table, labels, features, _ = volumes
    # Nothing tells tumors apart, so that the fraction decides.
    kept = choose_rows(table, labels, np.zeros_like(features), top_fraction=0.25)
    positive = table.iloc[kept][labels[kept] == 1]
    assert set(positive["volume"]) == {f"v{number}" for number in range(1, 12, 2)}
    assert set(positive["region"]) == {"brain"}


def test_slices_with_a_label_of_their_own_are_always_kept(volumes):
    table, labels, features, _ = volumes
    kept = choose_rows(table.assign(weak_label=False), labels, features, top_fraction=0.1)
    assert kept.tolist() == list(range(len(table)))


def test_files_of_several_slices_whose_positions_are_unknown_are_chosen_from_one_by_one(volumes):
    table, labels, features, _ = volumes
    expected = choose_rows(table, labels, np.zeros_like(features), top_fraction=0.25)
    files = table.assign(path=table["volume"], volume="")
    found = choose_rows(files, labels, np.zeros_like(features), top_fraction=0.25)
    assert found.tolist() == expected.tolist()
