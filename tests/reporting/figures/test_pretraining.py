"""The curves of a pretraining must show the history that they are given."""

import numpy as np
import pandas as pd

from falx.reporting.figures.pretraining import pretraining_curves


def test_loss_and_scores_are_drawn_by_thousands_of_phantoms():
    rng = np.random.default_rng(0)
    scores = ("loss", "auc", "kind", "pointing", "appearance", "plane")
    history = pd.DataFrame({name: rng.random(4) for name in scores})
    history = history.assign(slices=[1000, 2000, 3000, 4000], size=[96, 96, 160, 160])
    loss, held_out = pretraining_curves(history).axes
    np.testing.assert_allclose(
        loss.lines[0].get_xydata(), np.column_stack([[1, 2, 3, 4], history["loss"]])
    )
    drawn = {line.get_label(): line.get_ydata() for line in held_out.lines[:5]}
    assert list(drawn) == [
        "tumor or not, ROC AUC", "kind of tumor", "peak on the tumor", "appearance", "plane"
    ]  # fmt: skip
    np.testing.assert_allclose(drawn["tumor or not, ROC AUC"], history["auc"])
    for axes in (loss, held_out):
        assert list(axes.lines[-1].get_xdata()) == [2, 2], (
            "views become larger after 2,000 phantoms"
        )
