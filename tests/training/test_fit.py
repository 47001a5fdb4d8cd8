"""Training is a function of recipe, data and seed, and a killed one ends as if it had not been."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from falx.detect.finding import class_probabilities
from falx.errors import UnusableTraining
from falx.model.network import build_network, cool, network_input
from falx.progress import Progress
from falx.recipe import load_recipe
from falx.training import checkpoint, recorder
from falx.training.batches import targets
from falx.training.fit import Trainer, _SoftmaxAUC, class_weights
from falx.training.shelf import Shelf
from falx.training.views import Views

CHANGES = {
    "rendering.size": "64",
    "backbone.width": "0.35",
    "head.hidden": "8",
    "batch": "8",
    "phases.0.epochs": "2",
    "phases.1.epochs": "2",
    "phases.1.train_from": "140",
    "plateau.patience": "1",
}
RECIPE = load_recipe("paper").changed(CHANGES)
TRAIN, VALIDATION = np.arange(20), np.arange(20, 28)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return Shelf(tmp_path_factory.mktemp("shelf"), 1)


def some_views(n=28, recipe=RECIPE):
    """Noise with a bright square in every other view, and which have it."""
    generator = np.random.default_rng(0)
    labels = np.arange(n) % 2
    plain = generator.integers(0, 120, (n, 64, 64), np.uint8)
    plain[labels == 1, 20:40, 20:40] += 120
    return Views(plain, np.arange(n, dtype=np.uint64), recipe.augmentation, "squares"), labels


def trainer(shelf, weights, recipe=RECIPE, classes=2, listener=lambda step: None):
    views, labels = some_views(recipe=recipe)
    return Trainer(
        recipe, views, labels if classes == 2 else np.arange(28) % classes, classes,
        weights=weights, shelf=shelf, listener=listener,
    )  # fmt: skip


def trained(folder, shelf, weights, listener=lambda step: None):
    folder.mkdir(exist_ok=True)
    made = trainer(shelf, weights, listener=listener)
    history = made.train(TRAIN, VALIDATION, seed=3, folder=folder)
    return made, history.drop(columns="seconds")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, shelf, weights):
    """An undisturbed training: its trainer, its history, and what its listener heard."""
    steps: list[Progress] = []
    made, history = trained(tmp_path_factory.mktemp("whole") / "run", shelf, weights, steps.append)
    return made, made.network.get_weights(), history, steps


class Killed(Exception):
    pass


@pytest.mark.parametrize(("step", "checkpoints"), [(3, 0), (7, 1), (15, 3), (15, 1)])
def test_a_killed_training_ends_as_if_it_had_not_been(
    whole, tmp_path, shelf, weights, step, checkpoints, monkeypatch
):
    """Killed in the first epoch, in the second, in the next phase, there with an old checkpoint."""
    monkeypatch.setattr(recorder, "CHECKPOINT_SECONDS", 0)
    save, saved, steps = checkpoint.save, 0, 0

    def save_some(*arguments):
        nonlocal saved
        if saved < checkpoints:
            save(*arguments)
            saved += 1

    def kill(heard):
        nonlocal steps
        steps += heard.task == "Training"
        if steps == step:
            raise Killed

    monkeypatch.setattr(checkpoint, "save", save_some)
    with pytest.raises(Killed):
        trained(tmp_path / "run", shelf, weights, kill)
    assert saved == checkpoints
    monkeypatch.setattr(checkpoint, "save", save)
    made, history = trained(tmp_path / "run", shelf, weights)
    pd.testing.assert_frame_equal(history, whole[2])
    for ours, theirs in zip(made.network.get_weights(), whole[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_phases_that_freeze_nothing_have_an_optimizer_each(shelf, weights):
    changes = {"phases.0.train_from": "0", "phases.1.train_from": "1"}
    made = trainer(shelf, weights, RECIPE.changed(changes))
    made._begin(0)
    stages = [made._stage(0), made._stage(1)]
    assert all(stage.parts.trunk is None for stage in stages)
    assert all(stage.parts.rest.optimizer is stage.optimizer for stage in stages)


def test_a_second_training_of_a_trainer_is_that_of_a_new_one(shelf, weights):
    used, fresh = trainer(shelf, weights), trainer(shelf, weights)
    used.train(TRAIN, VALIDATION, seed=1)
    # As it is when it was deployed.
    cool(used.network, 3.0)
    again = used.train(TRAIN, VALIDATION, seed=2).drop(columns="seconds")
    expected = fresh.train(TRAIN, VALIDATION, seed=2).drop(columns="seconds")
    pd.testing.assert_frame_equal(again, expected)
    np.testing.assert_array_equal(used.probabilities(VALIDATION), fresh.probabilities(VALIDATION))


def test_without_pretrained_weights_a_second_training_begins_from_other_random_ones(shelf):
    changes = {"phases.0.epochs": "1", "phases.1.epochs": "0"}
    made = trainer(shelf, None, RECIPE.changed(changes))
    made.train(TRAIN, VALIDATION, seed=1)
    first = made.network.get_weights()[0]
    made.train(TRAIN, VALIDATION, seed=2)
    assert (made.network.get_weights()[0] != first).any()


def test_the_whole_network_answers_as_the_bank_does(whole):
    made = whole[0]
    views = made.views.plain[VALIDATION]
    logits = made.network.predict_on_batch(network_input(views))
    np.testing.assert_allclose(
        made.probabilities(VALIDATION), class_probabilities(logits), atol=1e-3
    )


def test_the_history_has_a_row_an_epoch_and_marks_the_best(whole):
    history = whole[2]
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history["phase"].tolist() == ["frozen", "frozen", "tuned", "tuned"]
    assert history["best"].sum() == 1
    assert history["val_loss"][history["best"]].item() == history["val_loss"].min()
    assert history["learning_rate"].iloc[0] == pytest.approx(1e-4)
    assert history["learning_rate"].iloc[2] == pytest.approx(1e-5)


def test_the_best_weights_are_kept(whole):
    made, _, history, _ = whole
    chances = made.probabilities(VALIDATION)[np.arange(8), made.labels[VALIDATION]]
    assert -np.log(chances).mean() == pytest.approx(history["val_loss"].min(), rel=1e-3)


def test_frozen_layers_stay_as_they_were(shelf, weights):
    made = trainer(shelf, weights, RECIPE.changed({"keep": "last"}))
    made.train(TRAIN, VALIDATION, seed=3)
    ours = made.network.get_layer("mobilenetv2_0.35_64")
    theirs = build_network(RECIPE, 2, str(weights)).get_layer("mobilenetv2_0.35_64")
    moved = [
        (a != b).any()
        for layer, other in zip(ours.layers, theirs.layers, strict=True)
        for a, b in zip(layer.get_weights(), other.get_weights(), strict=True)
    ]
    frozen = sum(len(layer.weights) for layer in ours.layers[:140])
    assert not any(moved[:frozen])
    assert any(moved[frozen:])


def test_the_listener_hears_of_the_bank_and_of_every_step(whole):
    steps = [step for step in whole[3] if step.task == "Training"]
    # Each of the two phases begins, and each epoch ends, by saying where it is.
    expected = [0, 1, 2, 3, 3, 4, 5, 6, 6, 6, 7, 8, 9, 9, 10, 11, 12, 12]
    assert [step.done for step in steps] == expected
    assert {step.total for step in steps} == {12}
    assert "loss" in steps[-1].remark
    assert "auc" in steps[-1].remark


def test_several_classes_are_trained_with_a_softmax(shelf, weights):
    recipe = RECIPE.changed({"phases.0.epochs": "1", "phases.1.epochs": "0"})
    made = trainer(shelf, weights, recipe, classes=3)
    history = made.train(TRAIN, VALIDATION, seed=0)
    assert len(history) == 1
    assert np.isfinite(history["loss"].item())
    np.testing.assert_allclose(made.probabilities(VALIDATION).sum(axis=1), 1)


def test_rare_classes_count_more_in_the_loss(shelf, weights):
    changes = {"rendering.size": "64", "backbone.width": "0.35", "head.dropout": "0"}
    once = {"phases.0.epochs": "1", "phases.0.learning_rate": "1e-12", "phases.1.epochs": "0"}
    made = trainer(shelf, weights, load_recipe("lite").changed(changes | once))
    rare = np.concatenate([np.arange(0, 20, 2), [1, 3]])
    history = made.train(rare, VALIDATION, seed=0)
    # At so low a rate the network stays as it was; class 0 has ten slices, class 1 two.
    logits = made.network.predict_on_batch(network_input(made.views.take(1, rare)))
    chances = class_probabilities(logits)[np.arange(12), made.labels[rare]]
    expected = (-np.log(chances) * np.where(made.labels[rare] == 1, 3.0, 0.6)).mean()
    assert history["loss"].item() == pytest.approx(expected, rel=1e-3)


def test_a_bank_that_no_other_training_shares_is_let_go(weights, tmp_path):
    changes = {"phases.0.train_from": "146", "phases.1.train_from": "150"}
    epochs = {"phases.0.epochs": "1", "phases.1.epochs": "1"}
    made = trainer(Shelf(tmp_path, 1), weights, RECIPE.changed(changes | epochs))
    for seed in range(2):
        made.train(TRAIN, VALIDATION, seed=seed)
        assert len(made._banks) == 2


def test_balanced_weights_let_each_class_count_the_same():
    labels = np.array([0, 0, 0, 1])
    weights = class_weights(labels, 2)
    assert weights == {0: pytest.approx(2 / 3), 1: pytest.approx(2.0)}
    assert sum(weights[label] for label in labels) == pytest.approx(len(labels))


def test_a_loss_that_is_no_number_ends_the_training_with_one_sentence(shelf, tmp_path):
    made = trainer(shelf, None, RECIPE.changed({"class_weights": "none"}))
    made.targets = np.full_like(made.targets, np.nan)
    with pytest.raises(UnusableTraining, match="loss of epoch 1 is not a number any more"):
        made.train(TRAIN, VALIDATION, seed=0, folder=tmp_path)
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


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one_and_nothing_else(tmp_path):
    (tmp_path / "state").write_bytes(b"old")

    def write_half():
        with checkpoint.whole_file(tmp_path / "state") as stream:
            stream.write(b"half")
            raise Killed

    with pytest.raises(Killed):
        write_half()
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]
