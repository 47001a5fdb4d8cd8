"""The sentences of a report follow from its numbers, and claim no more."""

from math import nan

import pytest

from falx.data.outliers import Outlier
from falx.data.shortcuts import LEVEL_PROBE, Shortcut
from falx.evaluation.studies import StudyScores
from falx.reporting.words import report as sentences

FOUR = ("glioma", "meningioma", "notumor", "pituitary")
RANDOM = {"split": "random 70/15/15, ignoring groups"}
NO_SHORTCUT = (Shortcut("file properties", 0.5, 0.4, 0.6),)


def limitations(report):
    return " ".join(sentences.limitations(report))


def test_the_lede_counts_errors_of_both_kinds(make_report):
    report = make_report()
    (_, false_positives), (false_negatives, _) = report.scores.confusion.tolist()
    assert (false_positives, false_negatives) == (2, 2)
    assert sentences.lede(report) == (
        "34 of 38 test slices classified correctly: of 19 “yes”, 2 false negatives; "
        "of 19 “no”, 2 false positives."
    )


def test_the_lede_of_several_classes_counts_classes(make_report, make_evaluation):
    assert sentences.lede(make_report(make_evaluation(50, 60, FOUR))) == (
        "50 of 60 test slices classified correctly, in 4 classes."
    )


def test_the_lede_of_repeats_counts_slices_by_how_often_they_were_correct(
    make_report, make_evaluation
):
    evaluation = make_evaluation((36, 38, 39), 40, folds=2)
    assert sentences.lede(make_report(evaluation, "crossval")) == (
        "Of 40 slices, 36 were classified correctly in all 3 repeats, 1 misclassified in all, "
        "and 3 in some."
    )


def test_only_a_training_has_test_slices(make_report):
    assert sentences.tested(make_report()) == "38 test slices"
    assert sentences.tested(make_report(verb="evaluate")) == "38 slices"


def test_the_baseline_is_that_of_the_majority_class(make_evaluation):
    labels = [1] * 30 + [0] * 10
    words = sentences.accuracy_words(make_evaluation(38, 40, labels=labels).scores)
    assert words.startswith("Majority-class baseline (always “yes”): 75")


def test_a_baseline_inside_the_interval_is_pointed_out(make_evaluation, plain):
    inside = "50 %, inside the confidence interval."
    assert inside in plain(sentences.accuracy_words(make_evaluation(20, 38).scores))
    assert "inside" not in sentences.accuracy_words(make_evaluation(34, 38).scores)


def test_the_width_of_the_interval_is_judged(make_evaluation):
    wide = sentences.accuracy_words(make_evaluation(34, 38, groups=30).scores)
    assert "The interval is wide (" in wide
    assert "it rests on 38 slices in 30 groups, too few for a precise estimate." in wide
    narrow = sentences.accuracy_words(make_evaluation(900, 1000).scores)
    assert "The interval is narrow (4 percentage points): it rests on 1,000 slices." in narrow


def test_the_auc_is_explained_as_ranking(make_evaluation, plain):
    two = plain(sentences.auc_words(make_evaluation(600, 1000).scores))
    assert two.startswith("Ranks “yes” above “no” in ")
    assert two.endswith(" % of pairs; 50 % is chance.")
    four = sentences.auc_words(make_evaluation(50, 60, FOUR).scores)
    assert four.startswith("Ranks a class above the rest in ")


def test_the_auc_of_a_single_class_is_undefined(make_evaluation):
    scores = make_evaluation(3, 3, labels=[1, 1, 1]).scores
    assert sentences.auc_words(scores) == "Undefined: a class has no slices."


def test_a_log_loss_above_that_of_class_frequencies_is_called_overconfident(make_evaluation):
    better = sentences.loss_words(make_evaluation(38, 38).scores)
    assert better == "0 is perfect; predicting the class frequencies gives 0.69."
    assert "overconfident" in sentences.loss_words(make_evaluation(0, 38).scores)


def test_the_notice_of_a_leak_free_split_is_fine(make_report):
    notice = sentences.notice(make_report())
    assert notice.state == "fine"
    assert notice.heading == "None of 38 test slices shares a group with a training slice."
    assert "Near-duplicates and the slices of a patient are on the same side" in notice.text


def test_without_patient_identifiers_the_notice_claims_near_duplicates_only(
    make_report, make_audit
):
    text = sentences.notice(make_report(audit=make_audit(patient=""))).text
    assert text == (
        "Near-duplicates are on the same side of the split. Without patient identifiers, "
        "dissimilar slices of one patient can't be grouped."
    )


@pytest.mark.parametrize(
    ("leaked", "heading"),
    [
        (1, "Not independent: 1 of 38 test slices shares a group with training slices."),
        (11, "Not independent: 11 of 38 test slices share a group with training slices."),
    ],
)
def test_leakage_is_to_be_acted_on(make_report, make_evaluation, leaked, heading):
    evaluation = make_evaluation(34, 38, leaked=leaked)
    notice = sentences.notice(make_report(evaluation, record=RANDOM))
    assert (notice.state, notice.heading) == ("act", heading)
    rest = evaluation.without_leakage.scores.estimates
    assert f"On the other {38 - leaked}, accuracy is {rest['accuracy'].value:.3f}" in notice.text
    assert f"and AUC {rest['roc_auc'].value:.3f}." in notice.text
    assert "A leak-free split, the default, shows what the recipe is worth." in notice.text


def test_leakage_of_an_evaluation_is_from_what_the_detector_has_seen(make_report, make_evaluation):
    notice = sentences.notice(make_report(make_evaluation(34, 38, leaked=2), "evaluate"))
    assert notice.heading == (
        "Not independent: 2 of 38 slices share a group with slices the detector has seen."
    )
    assert "recipe" not in notice.text


def test_a_random_split_without_leakage_is_called_luck(make_report):
    notice = sentences.notice(make_report(record=RANDOM))
    assert (notice.state, notice.heading) == ("look", "The split was random.")
    assert "by luck" in notice.text


def test_unknown_leakage_is_worth_a_look(make_report, make_evaluation):
    notice = sentences.notice(make_report(make_evaluation(34, 38, leaked=None), "evaluate"))
    assert (notice.state, notice.heading) == ("look", "Leakage could not be checked.")


def test_an_evaluation_claims_independence_as_far_as_is_known(make_report):
    notice = sentences.notice(make_report(verb="evaluate"))
    assert notice.heading == (
        "None of 38 slices shares a group with a training slice, as far as is known."
    )


def test_a_cross_validation_keeps_groups_in_one_fold(make_report, make_evaluation):
    notice = sentences.notice(make_report(make_evaluation(34, 38, folds=5), "crossval"))
    assert notice.state == "fine"
    assert notice.heading == ("No slice was tested by a network that saw a slice of its group.")
    assert "in the same fold" in notice.text


def test_what_a_random_split_gains_is_said_with_its_uncertainty(make_report, make_evaluation):
    random = make_evaluation(37, 38, leaked=11)
    words = sentences.leakage_words(make_report(random_split=random))
    assert words.startswith(
        "With a random split, 11 of 38 test slices share a group with training slices, and the "
        "same recipe reaches an accuracy of 0.974: 0.079 higher than here. "
        "The confidence intervals overlap: the difference may be due to chance. On the other 27, "
    )


def test_no_gain_from_a_random_split_is_not_called_one(make_report, make_evaluation):
    words = sentences.leakage_words(make_report(random_split=make_evaluation(32, 38, leaked=11)))
    assert "no gain (−0.053)" in words
    assert "higher" not in words


def test_intervals_far_apart_leave_no_room_for_chance(make_report, make_evaluation):
    report = make_report(make_evaluation(600, 1000), random_split=make_evaluation(990, 1000))
    words = sentences.leakage_words(report)
    assert "0.390 higher than here." in words
    assert "overlap" not in words


def test_without_intervals_a_gain_may_be_due_to_chance(make_report, make_evaluation):
    report = make_report(
        make_evaluation(34, 38, groups=8), random_split=make_evaluation(37, 38, leaked=11)
    )
    words = sentences.leakage_words(report)
    assert "Without confidence intervals, the difference may be due to chance." in words
    assert "overlap" not in words


@pytest.mark.parametrize(("groups", "said"), [(9, True), (10, False)])
def test_that_groups_are_too_few_for_intervals_is_said_once(
    make_report, make_evaluation, groups, said
):
    report = make_report(make_evaluation(34, 38, groups=groups))
    few = sentences.few_groups_words(report.scores)
    assert few == (
        "The test has 9 groups, such as patients. Fewer than 10 are too few for bootstrap "
        "confidence intervals; only where all agree is an exact one given."
        if said
        else ""
    )
    assert limitations(report).count("too few for bootstrap") == said


def test_without_a_random_split_nothing_is_compared(make_report):
    assert sentences.leakage_words(make_report()) == ""


def test_the_paper_is_given_with_an_interval_of_its_own(plain):
    words = plain(sentences.paper_words())
    assert "29 of its 32 test slices were classified correctly" in words
    assert "the Wilson score interval is 76 % to 97 %" in words


def test_pretraining_is_described_with_what_was_left_out(plain):
    about = {
        "phantom_fraction": 0.25, "excluded": 5, "slices": 1205, "trained_on": 1080, "name": "msoud",
        "held_out": 120, "accuracy": 0.9, "auc": 0.95,
    }  # fmt: skip
    assert plain(sentences.pretraining_words(about)) == (
        "The backbone was pretrained on 1,080 slices of “msoud”; 5 of its 1,205 slices share a "
        "group with a slice of this dataset and were left out. Of each batch, 25 % were phantoms. "
        "On 120 held-out slices it reached an accuracy of 0.900 and an AUC of 0.950."
    )
    assert "phantoms" not in sentences.pretraining_words(about | {"phantom_fraction": 0})


@pytest.mark.parametrize(
    ("rejected", "referred", "words"),
    [
        (0, 0, ""),
        (1, 0, "; 1 more was rejected as out-of-distribution"),
        (2, 3, "; 3 of them referred; 2 more were rejected as out-of-distribution"),
    ],
)
def test_studies_without_an_answer_are_counted(make_evaluation, rejected, referred, words):
    scores = make_evaluation(3, 4).scores
    assert sentences.unanswered_studies(StudyScores(0.1, rejected, referred, scores)) == words


@pytest.mark.parametrize(
    ("findings", "expected", "absent"),
    [
        ({}, "found no strong shortcut", "No slice has a patient identifier"),
        ({"patient": ""}, "No slice has a patient identifier", "lack"),
        ({"patient": ["", "", *"abcdefghij"]}, "2 slices lack a patient identifier", "No slice has"),
        ({"patient": ["", *"abcdefghijk"]}, "1 slice lacks a patient identifier", "No slice has"),
        ({"shortcuts": ()}, "Shortcuts were not probed", "strong shortcut"),
        ({"shortcuts": (Shortcut("file properties", 0.85, 0.8, 0.9),)},
         "predicted without the brain, from file properties (AUC 0.85)", "no strong shortcut"),
        ({"shortcuts": (Shortcut("file properties", 0.85, nan, nan),)},
         "can't be told whether this is a shortcut", "no strong shortcut"),
        ({"shortcuts": (*NO_SHORTCUT, Shortcut(LEVEL_PROBE, 0.85, 0.8, 0.9))},
         "found no strong shortcut", "without the brain"),
        ({"conflicts": ((0, 6),)}, "1 group with conflicting labels, not removed.", "No slice has"),
        ({"outliers": (Outlier(3, 2.0, "darker"),)}, "1 outlier, not removed;", "No slice has"),
    ],
)  # fmt: skip
def test_limitations_follow_from_the_data(make_report, make_audit, findings, expected, absent):
    audit = make_audit(**{"shortcuts": NO_SHORTCUT, **findings})
    found = limitations(make_report(audit=audit))
    assert expected in found
    assert absent not in found


def test_limitations_follow_from_the_size_of_the_test(make_report, make_evaluation):
    small = limitations(make_report())
    assert "The test set is small: 38 slices in 30 groups." in small
    assert "A single slice changes accuracy by 2.6 percentage points." in small
    assert "The test set is small" not in limitations(make_report(make_evaluation(900, 1000)))
    rare = limitations(make_report(make_evaluation(8, 12)))
    assert "The test set holds only 6 of “no” and 6 of “yes”" in rare


@pytest.mark.parametrize(
    ("verb", "limitation"),
    [
        ("train", "This is one split with one seed."),
        ("crossval", "These are results of many networks"),
        ("evaluate", "This is not the dataset that the detector was trained on"),
    ],
)
def test_limitations_follow_from_how_it_was_tested(make_report, make_evaluation, verb, limitation):
    evaluation = make_evaluation(34, 38, folds=2 if verb == "crossval" else 1)
    assert limitation in limitations(make_report(evaluation, verb))
