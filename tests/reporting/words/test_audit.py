"""Verdicts: each says what was found and what to do, the most urgent first."""

from dataclasses import replace
from math import nan

import pandas as pd
import pytest

from falx.data.auditing import Leak
from falx.data.catalog import Catalog
from falx.data.label_check import LabelCheck, LabelIssue
from falx.data.outliers import Outlier
from falx.data.shortcuts import LEVEL_PROBE, Shortcut
from falx.reporting.words.audit import verdicts


def verdict(audit, name):
    (found,) = [each for each in verdicts(audit) if each.name == name]
    return found


def test_sound_data_are_fine(make_audit):
    quiet = Shortcut("file properties", 0.5, 0.4, 0.6)
    found = verdicts(make_audit(shortcuts=(quiet,)))
    assert [each.name for each in found] == [
        "Usable slices", "Unusable files", "Identical files", "Distinct slices",
        "Conflicting labels", "Patient identifiers", "Outliers", "Shortcut: file properties",
    ]  # fmt: skip
    assert {each.state for each in found} == {"fine"}
    assert {each.advice for each in found} == {""}
    assert found[0].figure == "12"
    assert found[0].meaning == "6 no and 6 yes."
    assert found[1].meaning == "All files can be read; none is blank or too small."


def test_what_needs_doing_comes_first(make_audit):
    audit = make_audit(
        conflicts=((0, 6),),
        outliers=(Outlier(3, 2.0, "darker"),),
        leaks=(Leak("test", "train", (1,), 1, 3),),
    )
    states = [each.state for each in verdicts(audit)]
    assert states == sorted(states, key=("act", "look", "fine").index)
    assert states.count("act") == 2
    assert {"look", "fine"} <= set(states)


def test_imbalanced_classes_are_worth_a_look(make_audit):
    assert verdict(make_audit(counts={"no": 6, "yes": 18}), "Usable slices").state == "fine"
    found = verdict(make_audit(counts={"no": 6, "yes": 19}), "Usable slices")
    assert (found.state, found.figure) == ("look", "25")
    assert found.advice == "The classes are imbalanced: read balanced accuracy, not accuracy."


@pytest.mark.parametrize(
    ("rows", "problems", "meaning"),
    [
        ((3,), ["blank: one gray level"], "1 slice is left out: 1 (blank: one gray level)."),
        (
            (3, 4, 5),
            ["'a.dcm' is a report.", "a CT image, not MR", "'b.dcm' is a report."],
            "3 slices are left out: 2 (the file is a report), 1 (a CT image, not MR).",
        ),
    ],
)
def test_unusable_files_are_counted_by_reason(make_audit, rows, problems, meaning):
    audit = make_audit(unreadable=rows)
    audit.catalog.table["problem"] = ""
    audit.catalog.table.loc[list(rows), "problem"] = problems
    found = verdict(audit, "Unusable files")
    assert (found.figure, found.state, found.meaning) == (str(len(rows)), "look", meaning)


@pytest.mark.parametrize(
    ("identical", "meaning"),
    [
        (((0, 1),), "1 slice is a byte-for-byte copy of another."),
        (((0, 1, 2), (6, 7)), "3 slices are byte-for-byte copies of others."),
    ],
)
def test_copies_are_counted_without_their_originals(make_audit, identical, meaning):
    assert verdict(make_audit(identical=identical), "Identical files").meaning == meaning


def test_it_is_said_what_a_random_split_would_leak(make_audit, plain):
    """Of 8 slices 3 are one group: 3 / 8 of (1 - 0.3²) are expected to leak."""
    groups = [0, 0, 0, 1, 2, 3, 4, 5]
    table = pd.DataFrame({"group": groups, "patient": "", "problem": "", "label": "no"})
    audit = make_audit(distinct=6)
    audit = replace(audit, catalog=Catalog(audit.catalog.root, audit.catalog.classes, table))
    found = verdict(audit, "Distinct slices")
    assert found.figure == "6"
    assert "6 of 8, with copies, near-duplicates" in found.meaning
    assert "about 34 % of test slices would share a group with" in plain(found.advice)


@pytest.mark.parametrize(
    ("conflicts", "meaning"),
    [
        (((0, 6),), "1 group has more than one label."),
        (((0, 6), (1, 7)), "2 groups have more than one label."),
    ],
)
def test_conflicting_labels_are_to_be_acted_on(make_audit, conflicts, meaning):
    found = verdict(make_audit(conflicts=conflicts), "Conflicting labels")
    assert (found.state, found.meaning) == ("act", meaning)
    assert verdict(make_audit(), "Conflicting labels").state == "fine"


def test_label_issues_are_worth_a_look_and_no_proof(make_audit):
    issues = (LabelIssue(4, "no", 0.021, 4), LabelIssue(0, "yes", 0.3, 5))
    check = LabelCheck(issues, checked=7, repeats=5)
    found = verdict(make_audit(label_check=check), "Label issues")
    assert (found.state, found.figure) == ("look", "2")
    assert found.meaning == (
        "Confident learning on the out-of-fold predictions of a cross-validation flags 2 of "
        "7 labels as likely wrong."
    )
    assert found.advice.startswith("A label issue is not proof of an error")


def test_labels_without_issues_are_fine_and_unchecked_ones_are_not_mentioned(make_audit):
    found = verdict(make_audit(label_check=LabelCheck((), checked=12, repeats=1)), "Label issues")
    assert found.state == "fine"
    assert found.meaning.endswith("flags none of 12 labels.")
    assert "Label issues" not in {each.name for each in verdicts(make_audit())}


def test_leakage_between_predefined_parts_is_to_be_acted_on(make_audit, plain):
    leaks = (Leak("test", "train", (1,), 1, 3), Leak("validation", "train", (), 0, 3))
    audit = make_audit(leaks=leaks)
    found = verdict(audit, "Leakage from train to test")
    assert found.state == "act"
    assert plain(found.meaning) == (
        "1 of 3 test slices (33 %) shares a group with a train slice; 1 is identical to one, "
        "byte for byte."
    )
    none = verdict(audit, "Leakage from train to validation")
    assert (none.state, none.figure) == ("fine", "0")


@pytest.mark.parametrize(
    ("patients", "state", "meaning"),
    [
        (None, "fine", "Every slice has a patient identifier."),
        ("", "look", "None of 12 slices have a patient identifier."),
        (["a", *[""] * 11], "look", "1 of 12 slices has a patient identifier."),
    ],
)
def test_missing_patient_identifiers_are_worth_a_look(make_audit, patients, state, meaning):
    found = verdict(make_audit(patient=patients), "Patient identifiers")
    assert (found.state, found.meaning) == (state, meaning)


def test_outliers_are_worth_a_look(make_audit):
    outliers = (Outlier(3, 2.0, "darker"), Outlier(4, 1.5, "wider"))
    found = verdict(make_audit(outliers=outliers), "Outliers")
    assert (found.state, found.figure) == ("look", "2")
    assert found.meaning == "2 slices are least like the others; most are probably fine."


@pytest.mark.parametrize(
    ("low", "auc", "high", "state"),
    [(0.8, 0.85, 0.9, "act"), (0.55, 0.65, 0.75, "look"), (0.4, 0.5, 0.6, "fine")],
)
def test_a_shortcut_is_judged_by_its_interval(make_audit, low, auc, high, state):
    shortcut = Shortcut("file properties", auc, low, high)
    found = verdict(make_audit(shortcuts=(shortcut,)), "Shortcut: file properties")
    assert (found.state, found.figure) == (state, f"{auc:.2f}")
    assert f"has an AUC of {auc:.2f} ({low:.2f} to {high:.2f}); 0.50 is chance." in found.meaning
    assert ("Save all images in the same way" in found.advice) == (state == "act")


def test_a_shortcut_of_too_few_groups_is_unsettled(make_audit):
    """Five patients: an AUC of 0.9 may be chance, and 0.55 is nothing to look at."""
    name = "Shortcut: file properties"
    high = verdict(make_audit(shortcuts=(Shortcut("file properties", 0.9, nan, nan),)), name)
    assert (high.state, high.figure) == ("look", "0.90")
    assert "has an AUC of 0.90; 0.50 is chance." in high.meaning
    assert high.advice.startswith("Too few groups for a confidence interval")
    low = verdict(make_audit(shortcuts=(Shortcut("file properties", 0.55, nan, nan),)), name)
    assert (low.state, low.advice) == ("fine", "")


@pytest.mark.parametrize("bounds", [(0.7, 0.86), (nan, nan)])
def test_the_level_in_a_volume_is_anatomy_and_no_defect(make_audit, bounds):
    level = Shortcut(LEVEL_PROBE, 0.78, *bounds)
    found = verdict(make_audit(shortcuts=(level,)), "Level in the volume")
    assert (found.state, found.figure, level.alarming) == ("look", "0.78", False)
    assert "alone predicts the class with an AUC of 0.78" in found.meaning
    assert "This is anatomy, not a defect of the files" in found.meaning
    assert found.advice.startswith("Compare slices at the same level")


def test_that_shortcuts_were_not_probed_is_said(make_audit):
    found = verdict(make_audit(), "Shortcuts")
    assert (found.state, found.meaning) == ("look", "Not probed: a class has fewer than 2 groups.")


def test_every_verdict_but_a_fine_one_says_what_to_do(make_audit):
    audit = make_audit(
        patient="", counts={"no": 1, "yes": 11}, unreadable=(0,), identical=((0, 1),), distinct=11,
        conflicts=((0, 6),), outliers=(Outlier(3, 2.0, "darker"),),
        leaks=(Leak("test", "train", (1,), 1, 3),),
        label_check=LabelCheck((LabelIssue(4, "no", 0.021, 4),), checked=7, repeats=5),
        shortcuts=(Shortcut("file properties", 0.85, 0.8, 0.9),),
    )  # fmt: skip
    found = verdicts(audit)
    assert len(found) == 10
    assert "fine" not in {each.state for each in found}
    assert all(each.advice for each in found)
