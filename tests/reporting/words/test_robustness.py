"""Robustness in words: the sample, and the worst corruption at each strength."""

from dataclasses import replace

from falx.evaluation.robustness import RobustnessRow, RobustnessScores
from falx.reporting.words.robustness import robustness_table, robustness_words
from falx.statistics import Estimate


def exactly(value):
    return Estimate(value, value - 0.05, value + 0.05)


CLEAN = RobustnessRow(
    "none", 0, "", exactly(0.9), exactly(0.8), exactly(0.7), exactly(0.02), exactly(0.1), 0.0, 0.0
)


def row(corruption, strength, auc, rejected):
    return replace(
        CLEAN, corruption=corruption, strength=strength, amount="a little", roc_auc=exactly(auc),
        out_of_distribution=exactly(rejected), roc_auc_change=auc - 0.9,
        out_of_distribution_change=rejected - 0.02,
    )  # fmt: skip


SCORES = RobustnessScores(
    50, 900, CLEAN,
    (row("blur", 1, 0.89, 0.03), row("blur", 2, 0.6, 0.5), row("text", 1, 0.895, 0.06),
     row("text", 2, 0.88, 0.9)),
)  # fmt: skip


def test_the_worst_of_each_strength_is_named():
    first, mild, moderate = robustness_words(SCORES)
    assert first == (
        "Robustness, on 50 of 900 slices, uncorrupted: AUC 0.900 (0.850 to 0.950), "
        "2\N{NARROW NO-BREAK SPACE}% rejected as out-of-distribution."
    )
    assert "lowest with blur (0.890, −0.010)" in mild
    assert "highest with text (6\N{NARROW NO-BREAK SPACE}%)" in mild
    assert "lowest with blur (0.600, −0.300)" in moderate
    assert "highest with text (90\N{NARROW NO-BREAK SPACE}%)" in moderate


def test_the_table_begins_with_the_slices_as_they_are():
    table = robustness_table(SCORES)
    assert [name for name, _, _ in table.rows] == [
        "uncorrupted", "blur, 1", "blur, 2", "text, 1", "text, 2"
    ]  # fmt: skip
    _, amount, cells = table.rows[2]
    assert amount == "a little"
    assert [cell.value for cell in cells][:4] == ["0.600", "−0.300", "0.800", "0.700"]
    assert {len(cells) for _, _, cells in table.rows} == {7}


def test_nothing_is_said_where_nothing_was_measured():
    assert list(robustness_words(None)) == []
    assert robustness_table(None) is None
