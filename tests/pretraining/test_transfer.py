"""Pretraining on another dataset: its result, and how it is cached, shared and resumed."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from falx.data.catalog import build_catalog
from falx.errors import BadInput, UnusableTraining
from falx.model.backbones import build_backbone
from falx.model.weights import find_weights
from falx.phantoms import VERSION
from falx.pretraining import backbone as backbone_module
from falx.pretraining import transfer
from falx.pretraining.backbone import pretrained_backbone
from falx.pretraining.corpus import build_corpus
from falx.pretraining.transfer import Transfer, epoch_sizes
from falx.recipe import Pretraining, load_recipe
from falx.training.disk_cache import DiskCache

pytestmark = pytest.mark.slow

RECIPE = load_recipe("lite").changed({
    "rendering.size": "64",
    "backbone.width": "0.35",
    "batch_size": "8",
    "pretraining.epochs": "2",
    "pretraining.learning_rate": "1e-3",
})  # fmt: skip

QUICK = RECIPE.changed({"pretraining.epochs": "1"})

ALONE = QUICK.changed({"pretraining.phantom_fraction": "0"})
"""Without phantoms."""


@pytest.fixture(scope="module")
def corpus(kinds, phantoms):
    return build_corpus(kinds, build_catalog(phantoms), seed=0)


@pytest.fixture(scope="module")
def start(weights):
    return find_weights(str(weights), RECIPE.backbone)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return DiskCache(tmp_path_factory.mktemp("cache"), 1)


@pytest.fixture(scope="module")
def trained(corpus, start, cache):
    return pretrained_backbone(corpus, RECIPE, start, cache)


@pytest.fixture(scope="module")
def quick(corpus, start, cache):
    """The result of one epoch with phantoms."""
    return pretrained_backbone(corpus, QUICK, start, cache)


def arrays(file):
    """The weights of a backbone in a file."""
    return build_backbone(RECIPE.backbone, 64, str(file)).get_weights()


@pytest.fixture(scope="module")
def alone(corpus, start, cache):
    """The result of one epoch without phantoms."""
    return pretrained_backbone(corpus, ALONE, start, cache)


def assert_same(file, other, atol=0.0):
    for ours, theirs in zip(arrays(file), arrays(other), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


def furthest(file, other):
    pairs = zip(arrays(file), arrays(other), strict=True)
    return max(abs(ours - theirs).max() for ours, theirs in pairs)


def test_the_first_half_of_the_epochs_uses_smaller_views():
    assert epoch_sizes(Pretraining(epochs=4), 224) == [160, 160, 224, 224]
    assert epoch_sizes(Pretraining(epochs=3, low_resolution_fraction=0), 224) == [224] * 3
    assert epoch_sizes(Pretraining(epochs=2, low_resolution_fraction=1), 224) == [160] * 2
    assert epoch_sizes(Pretraining(epochs=2), 32) == [32, 32]


def test_weights_are_trained_and_moving_statistics_kept(trained, weights):
    assert furthest(trained.file, weights) > 1e-3
    moving = [n for n, v in enumerate(build_backbone(RECIPE.backbone, 64, None).weights)
              if "moving" in v.path]  # fmt: skip
    ours, theirs = arrays(trained.file), arrays(weights)
    for number in moving:
        np.testing.assert_allclose(ours[number], theirs[number], rtol=1e-3, atol=1e-3)


def test_there_are_scores_of_the_held_out_slices(trained):
    assert 0 <= trained.held_out_scores.accuracy <= 1
    assert 0 <= trained.held_out_scores.auc <= 1
    assert trained.held_out_scores.seconds > 0


def test_a_cached_backbone_is_not_trained_again(trained, corpus, start, cache, monkeypatch):
    monkeypatch.setattr(backbone_module, "Transfer", None)
    assert pretrained_backbone(corpus, RECIPE, start, cache) == trained
    names = {file.name for file in trained.file.parent.iterdir()}
    assert names - {".lock"} == {"backbone.weights.h5", "held_out_scores.json"}


def test_simultaneous_requests_train_once(corpus, start, tmp_path, monkeypatch):
    runs, run = [], Transfer.run

    def counting_run(transfer):
        runs.append(transfer)
        run(transfer)

    monkeypatch.setattr(Transfer, "run", counting_run)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(
            lambda _: pretrained_backbone(corpus, ALONE, start, DiskCache(tmp_path, 1)), range(2)
        )
    assert one == other
    assert len(runs) == 1


def test_an_interrupted_pretraining_is_resumed_after_its_last_epoch(
    trained, corpus, start, tmp_path
):
    """Not exactly: at the larger size of the second epoch, TensorFlow chooses other kernels."""

    def stop(progress):
        if progress.task == "Pretraining" and progress.done == 8:
            raise KeyboardInterrupt("in epoch 2")

    cache, steps = DiskCache(tmp_path, 1), []
    with pytest.raises(KeyboardInterrupt, match="in epoch 2"):
        pretrained_backbone(corpus, RECIPE, start, cache, listener=stop)
    assert not list(tmp_path.rglob("*.h5"))
    assert multiprocessing.active_children() == []
    again = pretrained_backbone(corpus, RECIPE, start, cache, listener=steps.append)
    assert next(each.done for each in steps if each.task == "Pretraining") == 6
    assert_same(again.file, trained.file, atol=2e-3)
    assert again.held_out_scores.accuracy == trained.held_out_scores.accuracy


def test_the_name_depends_on_all_that_determines_the_weights(
    trained, corpus, start, kinds, phantoms, monkeypatch
):
    def name(corpus=corpus, recipe=RECIPE, start=start, precision="fp32"):
        return backbone_module._digest(corpus, recipe, start, precision)

    fewer = replace(corpus.catalog, table=corpus.catalog.table.iloc[:-1])
    relabeled = corpus.catalog.table.assign(label=np.roll(corpus.catalog.table["label"], 1))
    others = [
        name(recipe=RECIPE.changed({field: value}))
        for field, value in {
            "pretraining.seed": "1",
            "pretraining.epochs": "3",
            "pretraining.phantom_fraction": "0.4",
            "pretraining.augmentation.gamma": "0.1",
            "rendering.crop": "none",
            "backbone.width": "0.5",
            "batch_size": "4",
        }.items()
    ]
    others += [
        name(corpus=replace(corpus, catalog=fewer, held_out=corpus.held_out[:-1])),
        name(corpus=replace(corpus, catalog=replace(corpus.catalog, table=relabeled))),
        name(corpus=build_corpus(kinds, build_catalog(phantoms), seed=1)),
        name(start=find_weights("random", RECIPE.backbone)),
        name(precision="bf16"),
    ]
    monkeypatch.setattr("falx.phantoms.VERSION", VERSION + 1)
    others.append(name())
    monkeypatch.undo()
    assert len({name(), *others}) == 1 + len(others)
    assert trained.file.parent.name == f"backbone-{name()}"


@pytest.mark.parametrize("field", ["head.dropout", "augmentation.rotation", "phases.0.epochs"])
def test_the_name_does_not_depend_on_anything_else(corpus, start, field):
    other = RECIPE.changed({field: "0.5" if field == "head.dropout" else "3"})
    digests = [backbone_module._digest(corpus, each, start, "fp32") for each in (RECIPE, other)]
    assert digests[0] == digests[1]


def test_another_seed_gives_other_weights(quick, corpus, start, cache):
    other = pretrained_backbone(corpus, QUICK.changed({"pretraining.seed": "1"}), start, cache)
    assert furthest(other.file, quick.file) > 1e-3


def test_the_weights_do_not_depend_on_the_number_of_workers(
    quick, corpus, start, tmp_path, monkeypatch
):
    monkeypatch.setattr("falx.pretraining.stream.cores", lambda: 1)
    again = pretrained_backbone(corpus, QUICK, start, DiskCache(tmp_path, 1))
    assert_same(again.file, quick.file)
    assert (again.held_out_scores.accuracy, again.held_out_scores.auc) == (
        quick.held_out_scores.accuracy,
        quick.held_out_scores.auc,
    )


def test_phantoms_change_the_weights(quick, alone):
    assert furthest(alone.file, quick.file) > 1e-3


def test_half_of_each_batch_is_phantoms_and_an_epoch_is_one_pass_over_the_slices(
    corpus, start, tmp_path, monkeypatch
):
    sizes = []

    class Stopped(Exception):
        pass

    def recording_join(parts):
        sizes.append([len(part.views) for part in parts])
        return joined(parts)

    def stop(progress):
        if progress.task == "Pretraining" and progress.done == progress.total - 1:
            raise Stopped("before the last step")

    joined = transfer.joined
    monkeypatch.setattr(transfer, "joined", recording_join)
    with pytest.raises(Stopped, match="before the last step"):
        pretrained_backbone(corpus, QUICK, start, DiskCache(tmp_path, 1), listener=stop)
    assert sizes == [[4, 4]] * (27 // 4)


def test_held_out_labels_do_not_affect_the_weights(quick, corpus, start, cache):
    table = corpus.catalog.table.copy()
    held_out = table.index[corpus.held_out]
    table.loc[held_out, "label"] = np.roll(table.loc[held_out, "label"], 1)
    relabeled = replace(corpus, catalog=replace(corpus.catalog, table=table))
    assert_same(pretrained_backbone(relabeled, QUICK, start, cache).file, quick.file)


@pytest.mark.parametrize("recipe", [QUICK, ALONE], ids=["with phantoms", "without"])
def test_a_dataset_of_two_classes_can_be_used(corpus, start, cache, recipe):
    table = corpus.catalog.table
    two = table.assign(label=np.where(table["label"] == "healthy", "no", "yes"))
    binary = replace(corpus, catalog=replace(corpus.catalog, classes=("no", "yes"), table=two))
    held_out_scores = pretrained_backbone(binary, recipe, start, cache).held_out_scores
    assert 0 <= held_out_scores.auc <= 1


def test_a_cache_without_room_is_an_error_before_the_training(corpus, start, tmp_path):
    steps = []
    with pytest.raises(BadInput, match=r"Checkpoints .* no room; raise --cache-gb to at least"):
        pretrained_backbone(corpus, RECIPE, start, DiskCache(tmp_path, 1e-3), listener=steps.append)
    assert "Pretraining" not in {progress.task for progress in steps}


def test_a_loss_that_is_not_finite_ends_the_training_with_advice(
    corpus, start, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "falx.pretraining.transfer.balanced_class_weights",
        lambda *_: dict.fromkeys(range(3), np.nan),
    )
    with pytest.raises(
        UnusableTraining, match=r"epoch 1; lower the learning rate .*pretraining\.learning"
    ):
        pretrained_backbone(corpus, ALONE, start, DiskCache(tmp_path, 1))
