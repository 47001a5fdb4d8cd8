"""What is said about several datasets follows from their numbers."""

import numpy as np

from falx.reporting.words.sources import source_columns, source_rows, source_words

LEFT_OUT = {"options": {"leave_one_source_out": True}}


def report_of(make_report, make_evaluation, n, sources, groups=None, **options):
    """A cross-validation of n slices, a fold for each of two sources."""
    columns = {"source": np.asarray(sources)} | ({} if groups is None else {"group": groups})
    evaluation = make_evaluation(n - 4, n, folds=2, columns=columns)
    return make_report(evaluation, "crossval", **options).run


def test_few_groups_left_to_train_on_are_named(make_report, make_evaluation):
    sources, groups = np.repeat(["a", "b"], 40), np.r_[np.arange(40), np.arange(36), 100:104]
    run = report_of(make_report, make_evaluation, 80, sources, groups, record=LEFT_OUT)
    words = " ".join(source_words(run))
    assert "Left out of training were 36 slices when “a” was tested and 36 slices" in words
    for source in "ab":
        assert (
            f"Too few were left for training and validation when “{source}” was tested, 2 groups "
            "of “no” and 2 groups of “yes”: its numbers say little about the recipe."
        ) in words


def test_sources_that_have_enough_in_common_with_none_need_no_warning(make_report, make_evaluation):
    sources = np.repeat(["a", "b"], 40)
    run = report_of(make_report, make_evaluation, 80, sources, record=LEFT_OUT)
    (words,) = source_words(run)
    assert words.startswith("Each was tested by networks trained on the others")
    rows = list(source_rows(run.evaluation))
    assert [(name, n, groups) for name, n, groups, _ in rows] == [("a", 40, 40), ("b", 40, 40)]
    assert all(len(measures) == len(source_columns(run.evaluation)) for *_, measures in rows)


def test_datasets_that_were_trained_on_together_are_called_so(make_report, make_evaluation):
    run = report_of(make_report, make_evaluation, 80, np.repeat(["a", "b"], 40))
    (words,) = source_words(run)
    assert "falx crossval --leave-one-source-out shows" in words


def test_a_source_of_one_class_is_named(make_report, make_evaluation):
    run = report_of(make_report, make_evaluation, 80, ["a", "b"] * 40)
    assert "“a” has slices of “no” only, so its AUC is undefined." in source_words(run)


def test_one_dataset_has_nothing_to_be_said(make_report):
    assert source_words(make_report().run) == []
