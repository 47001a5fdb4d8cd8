"""Numbers by patient: those of scikit-learn on the slices of each, undefined where one class is."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from falx.evaluation.patients import patient_table, score_patients


def test_each_patient_has_the_numbers_of_scikit_learn(of_volumes):
    found = of_volumes(patients=3, repeats=2)
    scores = score_patients(found)
    assert [each.patient for each in scores] == ["p00", "p01", "p02"]
    for each in scores:
        rows = (found.table["patient"] == each.patient).to_numpy()
        labels, positive = found.labels[rows], found.probabilities[:, rows, 1]
        assert (each.slices, each.tumor_slices) == (rows.sum(), labels.sum())
        wanted = np.mean(
            [
                (
                    metrics.roc_auc_score(labels, p),
                    metrics.recall_score(labels, p >= 0.5),
                    metrics.recall_score(labels, p >= 0.5, pos_label=0),
                )
                for p in positive
            ],
            axis=0,
        )
        assert (each.roc_auc, each.sensitivity, each.specificity) == pytest.approx(tuple(wanted))


def test_of_one_class_some_numbers_are_undefined(binary):
    tumor, healthy = score_patients(
        binary(["yes", "yes", "no"], [0.9, 0.2, 0.1], patients=["a", "a", "b"])
    )
    assert tumor.sensitivity == 0.5
    assert healthy.specificity == 1
    assert np.isnan([tumor.roc_auc, tumor.specificity, healthy.roc_auc, healthy.sensitivity]).all()


def test_unknown_patients_have_no_numbers(binary):
    found = binary(["yes", "no", "no"], [0.9, 0.2, 0.1], patients=["", "b", ""])
    assert [each.patient for each in score_patients(found)] == ["b"]
    assert score_patients(binary(["yes", "no"], [0.9, 0.2])) == ()


def test_without_a_negative_class_there_is_no_tumor_to_count(predicted):
    found = predicted(list("abc"), np.eye(3), tuple("abc"), patients=list("pqr"))
    assert score_patients(found) == ()
    named = replace(found, classes=("no", "b", "c"), table=found.table.assign(label="no"))
    assert [each.specificity for each in score_patients(named)] == [1, 0, 0]


def test_the_table_has_a_row_a_patient(of_volumes):
    table = patient_table(score_patients(of_volumes(patients=3)))
    assert table.columns.tolist() == [
        "patient", "slices", "tumor_slices", "roc_auc", "sensitivity", "specificity",
    ]  # fmt: skip
    assert table["slices"].tolist() == [48, 48, 48]
