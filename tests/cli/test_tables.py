"""The terminal shows the numbers of a report."""

from pathlib import Path

import numpy as np
import pandas as pd

from falx.cli.tables import show_heat_map_scores
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
    scores = LocalizationScores(12, GAIN, 0.05, GAIN, 0.4, GAIN, 0.06)
    show_heat_map_scores(evaluated(localization=scores))
    assert "pointing game" in (shown := capsys.readouterr().out)
    assert "0.200 (0.100 to 0.300), chance 0.050" in shown


def test_without_measurements_nothing_is_shown(capsys):
    show_heat_map_scores(evaluated())
    assert capsys.readouterr().out == ""
