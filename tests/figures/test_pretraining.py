"""The curves of a pretraining must show the history that they are given."""

import numpy as np
import pandas as pd

from falx.figures.pretraining import pretraining_curves


def test_loss_and_scores_are_drawn_by_thousands_of_views():
    rng = np.random.default_rng(0)
    columns = ("loss", "auc", "pointing", "auc_there", "pointing_there")
    history = pd.DataFrame({name: rng.random(4) for name in columns})
    # No tumor of the dataset is outlined.
    history = history.assign(slices=[1000, 2000, 3000, 4000], pointing_there=np.nan)
    loss, auc, pointing = pretraining_curves(history).axes
    np.testing.assert_allclose(
        loss.lines[0].get_xydata(), np.column_stack([[1, 2, 3, 4], history["loss"]])
    )
    drawn = {line.get_label(): line.get_ydata() for line in auc.lines}
    assert list(drawn) == ["phantoms", "there"]
    np.testing.assert_allclose(drawn["there"], history["auc_there"])
    assert [line.get_label() for line in pointing.lines] == ["phantoms"]
