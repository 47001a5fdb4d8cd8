"""Regions by the outline of the head alone, on whole heads of which every structure is labeled."""

import nibabel
import numpy as np
import pytest

from falx.data.volumes import place
from falx.image.crop import Box

OTHER_BRAIN = (136, 137, 163, 164)


@pytest.fixture(scope="module")
def slices(heads):
    """Region and fraction of the cross-section that is brain, of each level of each head."""
    found = []
    for file in sorted(heads.glob("*.nii.gz")):
        labels = np.asarray(nibabel.as_closest_canonical(nibabel.load(file)).dataobj)
        head = (labels > 0).sum(axis=(0, 1))
        brain = (((labels > 0) & (labels < 100)) | np.isin(labels, OTHER_BRAIN)).sum(axis=(0, 1))
        areas = head / labels[:, :, 0].size
        placed = place(np.arange(len(areas)), areas, [Box(0, 0, 1, 1)] * len(areas), axial=True)
        found += [*zip(placed.regions, brain / np.maximum(head, 1), strict=True)]
    return np.array(found, dtype=[("region", "U20"), ("brain", float)])


def of(slices, region):
    return slices["brain"][slices["region"] == region]


def test_every_head_has_regions(slices):
    assert (slices["region"] != "").all()
    assert len(slices) > 4000


def test_slices_of_the_brain_are_mostly_brain(slices):
    brain = of(slices, "brain")
    assert (brain > 0.5).mean() > 0.9
    assert brain.min() > 0.3


def test_below_the_brain_and_at_the_vertex_there_is_little_of_it(slices):
    below, vertex = of(slices, "below the brain"), of(slices, "vertex")
    assert below.max() < 0.3
    assert np.quantile(below, 0.95) < 0.1
    assert np.quantile(vertex, 0.95) < 0.5


def test_most_slices_that_are_mostly_brain_are_called_so_and_none_is_called_below_it(slices):
    regions = slices["region"][slices["brain"] > 0.5]
    assert (regions == "brain").mean() > 0.65
    assert not (regions == "below the brain").any()
