"""`phantom`: what `falx phantom` writes, by a function."""

import cv2
import pytest

import falx
from falx.errors import BadInput
from label_maps import write_head


def contents(folder):
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.png")}


def test_slices_and_masks_are_written_twice_the_same(tmp_path):
    first = falx.phantom(str(tmp_path / "a"), slices=4, size=64, seed=2)
    second = falx.phantom(tmp_path / "b", slices=4, size=64, seed=2)
    assert (first, second) == (tmp_path / "a", tmp_path / "b")
    assert contents(first) == contents(second)
    assert len(contents(first)) == 4
    assert len(contents(tmp_path / "a-masks")) == 2
    assert cv2.imread(str(first / "yes" / "00001.png")).shape == (64, 64, 3)
    other = falx.phantom(tmp_path / "c", slices=4, size=64, seed=3)
    assert contents(other) != contents(first)


def test_volumes_need_label_maps(tmp_path):
    with pytest.raises(BadInput, match="name label maps with --anatomy"):
        falx.phantom(tmp_path / "a", volumes=2)


def test_volumes_are_drawn_of_label_maps(tmp_path):
    write_head(tmp_path / "heads" / "a.nii.gz")
    anatomy = str(tmp_path / "heads")
    folder = falx.phantom(tmp_path / "v", volumes=2, anatomy=anatomy, size=64)
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*.nii.gz"))
    assert names == [
        "head_000/image.nii.gz",
        "head_000/image_mask.nii.gz",
        "head_001/image.nii.gz",
        "head_001/image_mask.nii.gz",
    ]


def test_what_is_out_of_range_or_in_the_way_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="at least 2"):
        falx.phantom(tmp_path / "a", slices=1)
    with pytest.raises(BadInput):
        falx.phantom(tmp_path / "a", slices=2, size=8)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").touch()
    with pytest.raises(BadInput):
        falx.phantom(tmp_path / "b", slices=2, size=64)
    assert not (tmp_path / "a").exists()
