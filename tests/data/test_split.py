"""Splits never separate a group, keep classes in proportion, and depend on the seed alone."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.data.split import (
    Split,
    assign_groups,
    describe_split,
    fold_splits,
    folds_by_group,
    predefined_split,
    random_split,
    read_split,
    shares_group_with_training,
    source_splits,
    split_by_group,
    split_table,
    stratify,
)
from falx.errors import BadInput, UnusableData


@st.composite
def datasets(draw):
    """Labels and groups: at least ten groups in each of two or three classes, of 1 to 6 rows."""
    classes = draw(st.integers(2, 3))
    labels, groups = [], []
    for label in range(classes):
        for size in draw(st.lists(st.integers(1, 6), min_size=10, max_size=40)):
            group = len(set(groups))
            labels += [label] * size
            groups += [group] * size
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(labels))
    return np.array(labels)[order], np.array(groups)[order]


@settings(deadline=None)
@given(datasets(), st.integers(0, 1000))
def test_no_group_is_in_two_parts_and_every_row_is_in_one(data, seed):
    labels, groups = data
    split = split_by_group(labels, groups, seed=seed)
    parts = [set(groups[rows]) for rows in (split.train, split.validation, split.test)]
    for one, other in itertools.combinations(parts, 2):
        assert one.isdisjoint(other)
    rows = np.concatenate([split.train, split.validation, split.test])
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(labels)))


@settings(deadline=None)
@given(datasets(), st.integers(0, 1000))
def test_every_part_holds_every_class_in_about_its_share(data, seed):
    labels, groups = data
    split = split_by_group(labels, groups, seed=seed)
    for label in np.unique(labels):
        total = (labels == label).sum()
        for rows, share in ((split.train, 0.7), (split.validation, 0.15), (split.test, 0.15)):
            count = (labels[rows] == label).sum()
            assert count > 0
            assert abs(count - share * total) <= 7


@settings(deadline=None)
@given(datasets(), st.integers(2, 5), st.integers(0, 1000))
def test_every_row_and_every_group_is_in_one_fold(data, folds, seed):
    labels, groups = data
    fold = folds_by_group(labels, groups, folds=folds, seed=seed)
    assert set(fold) == set(range(folds))
    assert all(len(set(fold[groups == group])) == 1 for group in np.unique(groups))
    assert all(set(labels[fold == number]) == set(labels) for number in range(folds))


@settings(deadline=None)
@given(datasets(), st.integers(3, 5), st.integers(0, 1000))
def test_fold_splits_test_every_row_once_and_separate_no_group(data, folds, seed):
    """Each of three folds or more has a group of every class, so two are left to validate on."""
    labels, groups = data
    splits = fold_splits(labels, groups, folds=folds, seed=seed)
    assert len(splits) == folds
    assert sorted(np.concatenate([split.test for split in splits])) == list(range(len(labels)))
    for split in splits:
        parts = [set(groups[rows]) for rows in split.parts.values()]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]
        assert all(set(labels[rows]) == set(labels) for rows in split.parts.values())


def test_a_class_that_one_fold_leaves_a_single_group_of_can_not_be_validated_on():
    sizes = [9, 1, 1, 1]
    labels, groups = np.repeat([0, 1], sum(sizes)), np.repeat(np.arange(8), 2 * sizes)
    with pytest.raises(UnusableData, match=r"only 1 group\(s\) of slices, and 2 parts need"):
        fold_splits(labels, groups, folds=2)


@given(datasets())
def test_the_seed_decides(data):
    labels, groups = data
    first, again = (assign_groups(labels, groups, (0.7, 0.15, 0.15), 1) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_another_seed_gives_another_split():
    labels, groups = np.arange(200) % 2, np.arange(200)
    splits = {tuple(split_by_group(labels, groups, seed=seed).test) for seed in range(5)}
    assert len(splits) == 5


def test_single_slices_are_split_by_share_to_within_a_slice_a_class():
    labels = np.repeat([0, 1], [98, 155])
    split = split_by_group(labels, np.arange(253))
    for rows, share in ((split.train, 0.7), (split.validation, 0.15), (split.test, 0.15)):
        np.testing.assert_allclose(np.bincount(labels[rows]), [98 * share, 155 * share], atol=1)


def test_a_random_split_leaks_and_the_slices_that_share_a_group_with_training_are_found():
    labels = np.repeat([0, 1], 50)
    groups = np.repeat(np.arange(50), 2)
    split = random_split(labels, seed=0)
    leaked = shares_group_with_training(split, groups)
    by_hand = [any(groups[t] == groups[r] for r in split.train) for t in split.test]
    assert leaked.tolist() == by_hand
    assert leaked.sum() > 5
    assert shares_group_with_training(split_by_group(labels, groups), groups).sum() == 0


def test_too_few_groups_is_one_sentence_that_says_what_to_do():
    labels, groups = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 2, 3, 4])
    with pytest.raises(UnusableData, match=r"2 group\(s\).*3 parts.*add slices of other patients"):
        split_by_group(labels, groups)


def test_shares_must_sum_to_one():
    with pytest.raises(BadInput, match="sum to 1"):
        split_by_group(np.arange(20) % 2, np.arange(20), shares=(0.5, 0.2, 0.2))


def test_a_split_contains_every_row_once():
    with pytest.raises(ValueError, match="exactly once"):
        Split(np.array([0, 1]), np.array([1]), np.array([2]))


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ("random", "random 70/15/15, ignoring groups"),
        ("predefined", "predefined"),
        ("80/10/10", "leak-free 80/10/10"),
        ("split.csv", "from split.csv"),
    ],
)
def test_a_strategy_is_described(strategy, words):
    assert describe_split(strategy) == words


def test_a_split_survives_its_csv_file(tmp_path):
    labels = np.arange(60) % 2
    table = pd.DataFrame(
        {"path": [f"{i}.png" for i in range(60)], "index": 0, "label": labels, "group": range(60)}
    )
    split = split_by_group(labels, np.arange(60))
    split_table(table, split).to_csv(tmp_path / "split.csv", index=False)
    again = read_split(tmp_path / "split.csv", table, labels, np.arange(60))
    np.testing.assert_array_equal(again.names(), split.names())


def test_a_split_file_must_contain_every_slice(tmp_path):
    file = tmp_path / "split.csv"
    file.write_text("path,part\na.png,train\n")
    table = pd.DataFrame({"path": ["a.png", "b.png"], "index": [0, 0]})
    with pytest.raises(BadInput, match=r"lacks 1 slices.*'b\.png'"):
        read_split(file, table, np.zeros(2, int), np.arange(2))


def test_a_predefined_split_needs_train_and_test_and_a_part_for_every_slice():
    labels, groups = np.zeros(3, int), np.arange(3)
    with pytest.raises(BadInput, match="no test slices"):
        predefined_split(["train", "validation", "train"], labels, groups)
    with pytest.raises(BadInput, match="1 slices don't say"):
        predefined_split(["train", "test", ""], labels, groups)


def test_a_predefined_split_without_validation_takes_it_from_training_by_group():
    labels, groups = np.arange(240) % 2, np.arange(240) // 4
    names = ["train"] * 200 + ["test"] * 40
    split = predefined_split(names, labels, groups)
    np.testing.assert_array_equal(split.test, np.arange(200, 240))
    assert len(split.validation) in range(28, 33)
    assert set(groups[split.train]).isdisjoint(groups[split.validation])


def test_every_group_is_equally_likely_to_be_validated_on():
    groups = np.repeat(np.arange(40), [8, 5] + [2] * 8 + [1] * 30)
    labels = np.arange(len(groups)) % 2
    labels = labels[np.searchsorted(groups, groups)]
    times = np.zeros(40)
    for seed in range(60):
        for split in fold_splits(labels, groups, seed=seed):
            times[np.unique(groups[split.validation])] += 1
    # A fifth of the four times in five that a group is not tested: 48 of 300, give or take 6.
    assert 25 < times.min() < times.max() < 75
    assert abs(times[0] - 48) < 25


@pytest.mark.parametrize("count", [6, 7, 8, 20])
def test_small_classes_can_be_validated_on_too(count):
    labels = np.repeat([0, 1], count)
    for split in fold_splits(labels, np.arange(2 * count), folds=5):
        assert set(labels[split.validation]) == set(labels[split.train]) == {0, 1}


@st.composite
def several_sources(draw):
    """Labels, groups and sources of rows; some groups reach across sources."""
    n = draw(st.integers(90, 150))
    labels, sources, groups = (np.arange(n) // 3) % 2, np.arange(n) % 3, np.arange(n)
    for one, other in draw(
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=12)
    ):
        groups[groups == groups[one]] = groups[other]
    return labels, groups, sources


@settings(deadline=None)
@given(several_sources(), st.integers(0, 100))
def test_leave_one_source_out_tests_all_of_a_source_and_shares_no_group_with_training(data, seed):
    labels, groups, sources = data
    for number, split in enumerate(source_splits(labels, groups, sources, seed=seed)):
        assert split.test.tolist() == np.flatnonzero(sources == number).tolist()
        tested = set(groups[split.test])
        others = np.flatnonzero(sources != number)
        assert split.excluded.tolist() == [row for row in others if groups[row] in tested]
        assert not tested & set(groups[split.train])
        assert not tested & set(groups[split.validation])
        assert not set(groups[split.train]) & set(groups[split.validation])
        assert set(labels[split.train]) == set(labels[split.validation]) == {0, 1}
        assert (split.names()[split.excluded] == "excluded").all()
        share = len(split.validation) / (len(split.train) + len(split.validation))
        assert 0.08 < share < 0.25


def test_rows_are_stratified_by_source_where_groups_allow_and_else_by_class():
    labels, sources = np.array([0, 1, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 0])
    assert stratify(labels, sources, np.arange(6), 1).tolist() == [0, 1, 2, 3, 3, 1]
    assert stratify(labels, sources, np.arange(6), 2).tolist() == labels.tolist()
    assert stratify(labels, np.zeros(6, int), np.arange(6), 1).tolist() == labels.tolist()


def test_a_stratified_split_gives_every_part_its_share_of_each_source():
    sources = np.repeat([0, 1], [40, 200])
    labels, groups = np.arange(240) % 2, np.arange(240)
    split = split_by_group(stratify(labels, sources, groups, 3), groups, shares=(0.5, 0.25, 0.25))
    for rows, share in ((split.train, 0.5), (split.validation, 0.25), (split.test, 0.25)):
        counts = np.bincount(sources[rows] * 2 + labels[rows])
        np.testing.assert_allclose(counts, share * np.array([20, 20, 100, 100]), atol=1)
