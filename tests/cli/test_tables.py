"""The terminal shows the numbers of a report."""

from pathlib import Path

import numpy as np
import pandas as pd

from falx.cli.tables import show_heat_map_scores, show_volumes
from falx.data.catalog import Catalog
from falx.detect.rules import Rules
from falx.evaluation.deletion import Curve, DeletionScores, PerturbationCurves
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.faithfulness import FaithfulnessScores
from falx.evaluation.localization import LocalizationScores
from falx.evaluation.predictions import Predictions
from falx.evaluation.randomization import STAGES, RandomizationScores
from falx.statistics import Estimate

GAIN = Estimate(0.2, 0.1, 0.3)


def evaluated(**measured) -> Evaluation:
    """An evaluation of two slices."""
    table = pd.DataFrame({"path": ["a", "b"], "index": 0, "label": ["no", "yes"], "group": [0, 1]})
    usable = Catalog(Path("data"), ("no", "yes"), table)
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    found = Predictions.of_detector(usable, np.arange(2), probabilities, np.ones(2), Rules())
    return Evaluation(found, None, **measured)


def test_faithfulness_is_shown_with_its_sample(capsys):
    curve = Curve((GAIN, GAIN), GAIN)
    curves = PerturbationCurves(curve, curve, curve, GAIN, GAIN)
    randomization = RandomizationScores(12, dict.fromkeys(STAGES, GAIN))
    scores = FaithfulnessScores(12, 30, DeletionScores(12, 10, curves, curves), randomization)
    show_heat_map_scores(evaluated(faithfulness=scores))
    shown = capsys.readouterr().out
    assert "heat maps on 12 of 30 slices:" in shown
    assert shown.count("0.200 (0.100 to 0.300)") == 9
    for name in ("deletion, gain over random order", "insertion, area under the curve"):
        assert name in shown
    assert "correlation with maps of randomized all" in shown


def test_localization_is_shown_beside_chance(capsys):
    scores = LocalizationScores(12, GAIN, 0.05, GAIN, 0.07, GAIN, 0.4, GAIN, 0.06)
    show_heat_map_scores(evaluated(localization=scores))
    assert "pointing game" in (shown := capsys.readouterr().out)
    assert "0.200 (0.100 to 0.300), chance 0.050" in shown


def of_volumes(patients: int) -> Evaluation:
    """Volumes of four slices, the third with a tumor that is found."""
    n = 4 * patients
    names = np.repeat([f"p{number}" for number in range(patients)], 4)
    table = pd.DataFrame(
        {
            "path": names, "index": np.arange(n) % 4, "group": np.arange(n) // 4,
            "label": np.tile(["no", "no", "yes", "no"], patients), "patient": names, "study": "",
            "series": "", "volume": names, "level": np.arange(n) % 4 / 100, "plane": "axial",
            "region": "brain",
            "contrast": False,
        }
    )  # fmt: skip
    positive = np.tile([0.1, 0.3, 0.8, 0.6], patients)
    usable = Catalog(Path("data"), ("no", "yes"), table)
    probabilities = np.column_stack([1 - positive, positive])
    found = Predictions.of_detector(usable, np.arange(n), probabilities, np.ones(n), Rules())
    return Evaluation(found, None)


def test_lesions_levels_and_studies_are_shown_of_volumes(capsys):
    show_volumes(of_volumes(12))
    lines = [line.strip().split("  ") for line in capsys.readouterr().out.splitlines()]
    shown = {line[0]: line[-1].strip() for line in lines}
    assert shown == {
        "ROC AUC at the same level": "1.000 (0.735 to 1.000)",
        "Sensitivity per lesion": "1.000 (0.735 to 1.000)",
        "False positives a volume": "1.000",
        "Sensitivity at 1 false positive a volume": "1.000 (0.735 to 1.000)",
        "Sensitivity at 2 false positives a volume": "1.000 (0.735 to 1.000)",
        "Sensitivity at 4 false positives a volume": "1.000 (0.735 to 1.000)",
        "ROC AUC by study (n = 12)": "undefined",
        "Sensitivity by study (n = 12)": "1.000 (0.735 to 1.000)",
        "Specificity by study (n = 12)": "undefined",
        "studies referred": "12 of 12",
    }


def test_single_slices_are_no_volumes(capsys):
    single = of_volumes(2)
    single.predictions.table[["volume", "level"]] = ["", np.nan]
    show_volumes(single)
    assert capsys.readouterr().out == ""


def test_without_measurements_nothing_is_shown(capsys):
    show_heat_map_scores(evaluated())
    assert capsys.readouterr().out == ""
