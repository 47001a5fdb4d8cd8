"""Training is determined by recipe, data and seed, also when it is interrupted and resumed."""

import numpy as np
import pandas as pd
import pytest

from falx.detect.finding import class_probabilities
from falx.errors import UnusableTraining
from falx.model.network import build_network, scale_logits
from falx.model.scaling import network_input
from falx.progress import Progress
from falx.recipe import load_recipe
from falx.training import checkpoint, recorder
from falx.training.disk_cache import DiskCache
from falx.training.fit import KerasTrainer
from falx.training.views import Views

CHANGES = {
    "rendering.size": "64",
    "backbone.width": "0.35",
    "head.hidden": "8",
    "batch_size": "8",
    "phases.0.epochs": "2",
    "phases.1.epochs": "2",
    "phases.1.unfreeze_from": "140",
    "plateau.patience": "1",
}
RECIPE = load_recipe("paper").changed(CHANGES)
TRAIN, VALIDATION = np.arange(20), np.arange(20, 28)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return DiskCache(tmp_path_factory.mktemp("cache"), 1)


def make_views(n=28, recipe=RECIPE):
    """Noise with a bright square in every other view, and their labels."""
    generator = np.random.default_rng(0)
    labels = np.arange(n) % 2
    plain = generator.integers(0, 120, (n, 64, 64), np.uint8)
    plain[labels == 1, 20:40, 20:40] += 120
    return Views(plain, np.arange(n, dtype=np.uint64), recipe.augmentation, "squares"), labels


def make_trainer(cache, weights, recipe=RECIPE, classes=2, listener=lambda step: None):
    views, labels = make_views(recipe=recipe)
    return KerasTrainer(
        recipe, views, labels if classes == 2 else np.arange(28) % classes, classes,
        np.zeros(28, int),
        weights=weights, cache=cache, listener=listener,
    )  # fmt: skip


def train_in(folder, cache, weights, listener=lambda step: None):
    folder.mkdir(exist_ok=True)
    trainer = make_trainer(cache, weights, listener=listener)
    history = trainer.train(TRAIN, VALIDATION, seed=3, folder=folder)
    return trainer, history.drop(columns="seconds")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, cache, weights):
    """An uninterrupted training: trainer, final weights, history, and reported progress."""
    steps: list[Progress] = []
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    trainer, history = train_in(folder, cache, weights, steps.append)
    return trainer, trainer.network.get_weights(), history, steps


class Killed(Exception):
    pass


@pytest.mark.parametrize(("step", "checkpoints"), [(3, 0), (7, 1), (15, 3), (15, 1)])
def test_a_resumed_training_gives_the_result_of_an_uninterrupted_one(
    uninterrupted, tmp_path, cache, weights, step, checkpoints, monkeypatch
):
    """Killed in the first epoch, in the second, in the next phase, and there with an old checkpoint."""
    monkeypatch.setattr(recorder, "CHECKPOINT_SECONDS", 0)
    save, saved, steps = checkpoint.save, 0, 0

    def save_some(*arguments):
        nonlocal saved
        if saved < checkpoints:
            save(*arguments)
            saved += 1

    def kill(progress):
        nonlocal steps
        steps += progress.task == "Training"
        if steps == step:
            raise Killed("in a step")

    monkeypatch.setattr(checkpoint, "save", save_some)
    with pytest.raises(Killed, match="in a step"):
        train_in(tmp_path / "run", cache, weights, kill)
    assert saved == checkpoints
    monkeypatch.setattr(checkpoint, "save", save)
    trainer, history = train_in(tmp_path / "run", cache, weights)
    pd.testing.assert_frame_equal(history, uninterrupted[2])
    for ours, theirs in zip(trainer.network.get_weights(), uninterrupted[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_second_training_gives_the_result_of_a_new_trainer(cache, weights):
    used, new = make_trainer(cache, weights), make_trainer(cache, weights)
    used.train(TRAIN, VALIDATION, seed=1)
    # As when the network is calibrated for export.
    scale_logits(used.network, 3.0)
    again = used.train(TRAIN, VALIDATION, seed=2).drop(columns="seconds")
    expected = new.train(TRAIN, VALIDATION, seed=2).drop(columns="seconds")
    pd.testing.assert_frame_equal(again, expected)
    np.testing.assert_array_equal(used.probabilities(VALIDATION), new.probabilities(VALIDATION))


def test_without_pretrained_weights_each_seed_has_its_own_random_initialization(cache):
    changes = {"phases.0.epochs": "1", "phases.1.epochs": "0"}
    trainer = make_trainer(cache, None, RECIPE.changed(changes))
    trainer.train(TRAIN, VALIDATION, seed=1)
    first = trainer.network.get_weights()[0]
    trainer.train(TRAIN, VALIDATION, seed=2)
    assert (trainer.network.get_weights()[0] != first).any()


def test_the_whole_network_agrees_with_the_tail_on_bank_features(uninterrupted):
    trainer = uninterrupted[0]
    views = trainer.views.plain[VALIDATION]
    logits = trainer.network.predict_on_batch(network_input(views))
    np.testing.assert_allclose(
        trainer.probabilities(VALIDATION), class_probabilities(logits), atol=1e-3
    )


def test_the_history_has_a_row_per_epoch_and_flags_the_best(uninterrupted):
    history = uninterrupted[2]
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history["phase"].tolist() == ["frozen", "frozen", "tuned", "tuned"]
    assert history["best"].sum() == 1
    assert history["val_loss"][history["best"]].item() == history["val_loss"].min()
    assert history["learning_rate"].iloc[0] == pytest.approx(1e-4)
    assert history["learning_rate"].iloc[2] == pytest.approx(1e-5)


def test_the_best_weights_are_kept(uninterrupted):
    trainer, _, history, _ = uninterrupted
    probabilities = trainer.probabilities(VALIDATION)[np.arange(8), trainer.labels[VALIDATION]]
    assert -np.log(probabilities).mean() == pytest.approx(history["val_loss"].min(), rel=1e-3)


def test_frozen_layers_do_not_change(cache, weights):
    trainer = make_trainer(cache, weights, RECIPE.changed({"keep": "last"}))
    trainer.train(TRAIN, VALIDATION, seed=3)
    ours = trainer.network.get_layer("mobilenetv2_0.35_64")
    theirs = build_network(RECIPE, 2, str(weights)).get_layer("mobilenetv2_0.35_64")
    changed = [
        (a != b).any()
        for layer, other in zip(ours.layers, theirs.layers, strict=True)
        for a, b in zip(layer.get_weights(), other.get_weights(), strict=True)
    ]
    frozen = sum(len(layer.weights) for layer in ours.layers[:140])
    assert not any(changed[:frozen])
    assert any(changed[frozen:])


def test_progress_is_reported_for_every_step(uninterrupted):
    steps = [step for step in uninterrupted[3] if step.task == "Training"]
    # Also at the start of each phase and at the end of each epoch.
    expected = [0, 1, 2, 3, 3, 4, 5, 6, 6, 6, 7, 8, 9, 9, 10, 11, 12, 12]
    assert [step.done for step in steps] == expected
    assert {step.total for step in steps} == {12}
    assert "loss" in steps[-1].detail
    assert "auc" in steps[-1].detail


def test_several_classes_are_trained_with_a_softmax(cache, weights):
    recipe = RECIPE.changed({"phases.0.epochs": "1", "phases.1.epochs": "0"})
    trainer = make_trainer(cache, weights, recipe, classes=3)
    history = trainer.train(TRAIN, VALIDATION, seed=0)
    assert len(history) == 1
    assert np.isfinite(history["loss"].item())
    np.testing.assert_allclose(trainer.probabilities(VALIDATION).sum(axis=1), 1)


def test_balanced_class_weights_enter_the_loss(cache, weights):
    changes = {"rendering.size": "64", "backbone.width": "0.35", "head.dropout": "0"}
    one_epoch = {"phases.0.epochs": "1", "phases.0.learning_rate": "1e-12", "phases.1.epochs": "0"}
    trainer = make_trainer(cache, weights, load_recipe("lite").changed(changes | one_epoch))
    rare = np.concatenate([np.arange(0, 20, 2), [1, 3]])
    history = trainer.train(rare, VALIDATION, seed=0)
    # At this learning rate the network does not change; class 0 has ten slices, class 1 two.
    logits = trainer.network.predict_on_batch(network_input(trainer.views.take(1, rare)))
    probabilities = class_probabilities(logits)[np.arange(12), trainer.labels[rare]]
    expected = (-np.log(probabilities) * np.where(trainer.labels[rare] == 1, 3.0, 0.6)).mean()
    assert history["loss"].item() == pytest.approx(expected, rel=1e-3)


def test_a_bank_that_no_other_training_shares_is_closed(weights, tmp_path):
    changes = {"phases.0.unfreeze_from": "146", "phases.1.unfreeze_from": "150"}
    epochs = {"phases.0.epochs": "1", "phases.1.epochs": "1"}
    trainer = make_trainer(DiskCache(tmp_path, 1), weights, RECIPE.changed(changes | epochs))
    for seed in range(2):
        trainer.train(TRAIN, VALIDATION, seed=seed)
        assert len(trainer.banks) == 2


def test_a_loss_that_is_not_finite_ends_the_training_with_advice(cache, tmp_path):
    trainer = make_trainer(cache, None, RECIPE.changed({"class_weights": "none"}))
    trainer.targets = np.full_like(trainer.targets, np.nan)
    with pytest.raises(
        UnusableTraining, match="loss of epoch 1 is not a finite number; train with a lower"
    ):
        trainer.train(TRAIN, VALIDATION, seed=0, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
