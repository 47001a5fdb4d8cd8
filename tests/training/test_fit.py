"""Training is a function of recipe, data and seed, and a killed one ends as if it had not been."""

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from falx.errors import UnusableTraining
from falx.model.network import build_network
from falx.progress import Progress
from falx.recipe import Augmentation, load_recipe
from falx.training.fit import _SoftmaxAUC, class_weights, fit
from falx.training.views import Examples, PlainViews, TrainingViews, targets

CHANGES = {
    "rendering.size": "64",
    "backbone.width": "0.35",
    "backbone.normalization": "training",
    "head.hidden": "8",
    "batch": "8",
    "phases.0.epochs": "2",
    "phases.1.epochs": "2",
    "phases.1.train_from": "140",
    "plateau.patience": "1",
}
RECIPE = load_recipe("paper").changed(CHANGES)


def examples(n, seed):
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    views = generator.integers(0, 120, (n, 64, 64), np.uint8)
    views[labels == 1, 20:40, 20:40] += 120
    return Examples(views, labels)


def trained(folder, listener=lambda step: None, recipe=RECIPE):
    folder.mkdir(exist_ok=True)
    keras.utils.set_random_seed(1)
    network = build_network(recipe, classes=2)
    history = fit(
        network, recipe, examples(20, 0), examples(8, 1), classes=2, seed=3, folder=folder,
        listener=listener,
    )  # fmt: skip
    return network, history.drop(columns="seconds")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An undisturbed training: the network, its history, and what its listener heard."""
    steps: list[Progress] = []
    return *trained(tmp_path_factory.mktemp("whole") / "run", steps.append), steps


class Killed(Exception):
    pass


@pytest.mark.parametrize("step", [3, 10])
def test_a_killed_training_ends_as_if_it_had_not_been(whole, tmp_path, step):
    steps = 0

    def kill(_):
        nonlocal steps
        steps += 1
        if steps == step:
            raise Killed

    with pytest.raises(Killed):
        trained(tmp_path / "run", kill)
    network, history = trained(tmp_path / "run")
    pd.testing.assert_frame_equal(history, whole[1])
    for ours, theirs in zip(network.get_weights(), whole[0].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_history_has_a_row_an_epoch_and_marks_the_best(whole):
    history = whole[1]
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history["phase"].tolist() == ["frozen", "frozen", "tuned", "tuned"]
    assert history["best"].sum() == 1
    assert history["val_loss"][history["best"]].item() == history["val_loss"].min()
    assert history["learning_rate"].iloc[0] == pytest.approx(1e-4)
    assert history["learning_rate"].iloc[2] == pytest.approx(1e-5)


def test_the_best_weights_are_kept(whole):
    network, history, _ = whole
    loss = network.evaluate(PlainViews(examples(8, 1), 2, batch=8), verbose=0)[0]
    assert loss == pytest.approx(history["val_loss"].min(), rel=1e-5)


def test_the_listener_hears_of_every_step(whole):
    steps = whole[2]
    # Each of the two phases begins by saying where it is.
    assert [step.done for step in steps] == [*range(7), *range(6, 13)]
    assert {step.total for step in steps} == {12}
    assert "loss" in steps[-1].remark
    assert "auc" in steps[-1].remark


def test_several_classes_are_trained_with_a_softmax(tmp_path):
    recipe = RECIPE.changed({"phases.0.epochs": "1", "phases.1.epochs": "0"})
    network = build_network(recipe, classes=3)
    views = examples(12, 0).views
    data = Examples(views, np.arange(12) % 3)
    history = fit(network, recipe, data, data, classes=3, seed=0, folder=tmp_path)
    assert len(history) == 1
    assert np.isfinite(history["loss"].item())


def test_balanced_weights_let_each_class_count_the_same():
    labels = np.array([0, 0, 0, 1])
    weights = class_weights(labels, 2)
    assert weights == {0: pytest.approx(2 / 3), 1: pytest.approx(2.0)}
    assert sum(weights[label] for label in labels) == pytest.approx(len(labels))


def test_views_are_fresh_each_epoch_and_the_same_for_the_same_seed():
    ranges = Augmentation(rotation=20, shift_x=0.1)

    def batches(seed, epoch):
        views = TrainingViews(examples(20, 0), 2, ranges, batch=8, seed=seed, epoch=epoch)
        return np.concatenate([views[index][0] for index in range(len(views))])

    first = batches(seed=1, epoch=0)
    assert first.shape == (20, 64, 64, 1)
    np.testing.assert_array_equal(batches(seed=1, epoch=0), first)
    assert (batches(seed=1, epoch=1) != first).any()
    assert (batches(seed=2, epoch=0) != first).any()


def test_an_epoch_shows_every_example_once_with_its_label():
    data = examples(20, 0)
    views = TrainingViews(data, 2, Augmentation(), batch=8, seed=1, epoch=0)
    shown = [view.astype(np.uint8).tobytes() for index in range(3) for view in views[index][0]]
    labels = np.concatenate([views[index][1][:, 0] for index in range(3)])
    known = {view.tobytes(): label for view, label in zip(data.views, data.labels, strict=True)}
    assert set(shown) == set(known)
    assert [known[view] for view in shown] == labels.tolist()


def test_targets_suit_the_loss():
    np.testing.assert_array_equal(targets(np.array([0, 1]), 2), [[0], [1]])
    np.testing.assert_array_equal(targets(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])


def test_a_loss_that_is_no_number_ends_the_training_with_one_sentence(tmp_path):
    recipe = RECIPE.changed({"phases.0.learning_rate": "1", "optimizer.clip_norm": "null"})
    broken = examples(16, 0)
    network = build_network(recipe, classes=2)
    network.get_layer("logits").kernel.assign(np.full((8, 1), np.nan))
    with pytest.raises(UnusableTraining, match="loss of epoch 1 is not a number any more"):
        fit(network, recipe, broken, broken, classes=2, seed=0, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_auc_of_several_classes_ranks_by_softmax():
    logits = np.random.default_rng(0).normal(size=(200, 3)) + np.linspace(-9, 9, 200)[:, None]
    labels = np.arange(200) % 3
    logits[np.arange(200), labels] += 1
    shares = np.exp(logits - logits.max(1, keepdims=True))
    metric = _SoftmaxAUC(multi_label=True, num_labels=3)
    metric.update_state(targets(labels, 3), logits)
    expected = roc_auc_score(labels, shares / shares.sum(1, keepdims=True), multi_class="ovr")
    assert float(metric.result()) == pytest.approx(expected, abs=0.01)
