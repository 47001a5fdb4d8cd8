"""Paths are shown as short as they can be told apart."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.cli.names import shortest_tails

PARTS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/data/a/t1.nii", "/data/b/t2.nii"], ["t1.nii", "t2.nii"]),
        (["/data/a/t1.nii", "/data/b/t1.nii"], ["a/t1.nii", "b/t1.nii"]),
        (["/x/p/1/t1.nii", "/x/q/1/t1.nii"], ["p/1/t1.nii", "q/1/t1.nii"]),
        (["/data/t1.nii", "/data/a/t1.nii"], ["data/t1.nii", "a/t1.nii"]),
        (["t1.nii", "a/t1.nii"], ["t1.nii", "a/t1.nii"]),
        (["/data/a", "/data/a/t1.nii"], ["a", "t1.nii"]),
    ],
)
def test_the_last_parts_are_shown_that_tell_a_path_from_the_others(paths, names):
    found = shortest_tails(map(Path, paths))
    assert [found[Path(path)] for path in paths] == names


@given(st.sets(PARTS.map(lambda parts: Path("/", *parts)), min_size=1, max_size=12))
def test_every_name_is_the_end_of_its_path_and_of_no_other(paths):
    found = shortest_tails(paths)
    assert set(found) == paths
    for path, name in found.items():
        parts = Path(name).parts
        assert path.parts[-len(parts) :] == parts
        assert sum(each.parts[-len(parts) :] == parts for each in paths) == 1


def test_no_paths_have_no_names():
    assert shortest_tails([]) == {}
