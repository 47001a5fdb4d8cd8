"""Every metric has a gloss."""

from falx.evaluation.weighted_metrics import METRIC_NAMES
from falx.reporting.words.metrics import GLOSSES


def test_every_metric_has_a_gloss():
    assert list(GLOSSES) == list(METRIC_NAMES)
