"""Volumes in words: lesions, false positives and levels, and what is undefined said so."""

import numpy as np

from falx.reporting.words.volumes import volume_rows, volume_table, volume_words


def words(evaluation):
    return list(volume_words(evaluation))


def test_rows_are_the_numbers_of_the_evaluation(of_volumes):
    found = of_volumes()
    names, glosses, estimates = zip(*volume_rows(found), strict=True)
    assert names == (
        "ROC AUC at the same level", "Sensitivity per lesion", "False positives a volume",
        "Sensitivity at 1 false positive a volume", "Sensitivity at 2 false positives a volume",
        "Sensitivity at 4 false positives a volume",
    )  # fmt: skip
    assert estimates == (
        found.levels.same_level_auc, found.volumes.sensitivity, found.volumes.false_positives,
        *found.volumes.sensitivity_at.values(),
    )  # fmt: skip
    assert glosses[0] == "over pairs of slices whose levels differ by at most 0.05; 0.5 is chance"
    assert glosses[2] == "of 6.0 tumor-free slices on average"


def test_lesions_and_false_positives_are_counted(of_volumes, plain):
    """The last three of fifteen volumes are all wrong: no lesion found, six false positives."""
    lesions, _ = words(of_volumes(15))
    assert plain(lesions).startswith(
        "15 volumes in 15 groups, with 15 lesions: runs of adjacent slices with tumor. At the "
        "operating point, 80 % of lesions are found, and 1.20 ("
    )
    assert "of 6.0 tumor-free slices a volume are false positives. All slices count" in lesions


def test_the_level_is_said_to_predict_the_class(of_volumes):
    """Slices of neighboring levels lie 0.11 apart, so no pair is at the same level but equal."""
    evaluation = of_volumes()
    assert words(evaluation)[1] == (
        "No tumor slice lies at the level of a tumor-free one, so there is no AUC at the same "
        "level."
    )
    table = evaluation.predictions.table
    table["level"] = np.tile(np.linspace(0.4, 0.6, 10), 12)
    del evaluation.__dict__["levels"]
    auc, overall = evaluation.levels.same_level_auc, evaluation.scores.estimates["roc_auc"]
    assert words(evaluation)[1] == (
        "Tumors lie in the middle of volumes, so that the level of a slice alone predicts its "
        f"class. Over {evaluation.levels.pairs:,} pairs of slices at the same level, the AUC is "
        f"{auc}; over all pairs it is {overall}."
    )


def test_few_patients_have_numbers_without_intervals(of_volumes, plain):
    lesions, _ = words(of_volumes(5))
    assert "and 1.20 of 6.0 tumor-free slices a volume are false positives." in plain(lesions)


def test_healthy_volumes_have_no_lesions(of_volumes):
    found = of_volumes()
    healthy = of_volumes(5, correct=1.0)
    healthy.predictions.table["label"] = "no"
    lesions, _ = words(healthy)
    assert lesions.startswith("5 volumes in 5 groups, all without a tumor. At the operating point")
    assert len(words(found)) == 2


def test_single_slices_have_no_words(make_evaluation):
    evaluation = make_evaluation(34, 38)
    assert words(evaluation) == volume_rows(evaluation) == []
    assert volume_table(evaluation) is None


def test_at_most_fifty_patients_are_listed(of_volumes):
    table = volume_table(of_volumes(52))
    assert (len(table["patients"]), table["patients_hidden"]) == (50, 2)
    assert table["patients"][0] == ("p00", "10", "4", "1.000", "1.000", "1.000")
