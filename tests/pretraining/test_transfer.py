"""Pretraining on another dataset: what is learned, kept, shared, and gone on with."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from falx import phantom
from falx.data.catalog import build_catalog
from falx.errors import BadInput, UnusableTraining
from falx.model.backbones import build_backbone
from falx.model.weights import find_weights
from falx.pretraining import backbone as pretrained
from falx.pretraining import transfer
from falx.pretraining.backbone import pretrained_backbone
from falx.pretraining.corpus import find_corpus
from falx.pretraining.transfer import Transfer, sizes_of
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
    return find_corpus(kinds, build_catalog(phantoms), seed=0)


@pytest.fixture(scope="module")
def start(weights):
    return find_weights(str(weights), RECIPE.backbone)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return DiskCache(tmp_path_factory.mktemp("cache"), 1)


@pytest.fixture(scope="module")
def done(corpus, start, cache):
    return pretrained_backbone(corpus, RECIPE, start, cache)


@pytest.fixture(scope="module")
def quick(corpus, start, cache):
    """What one epoch gives, half of it phantoms."""
    return pretrained_backbone(corpus, QUICK, start, cache)


def arrays(file):
    """The weights of a backbone in a file."""
    return build_backbone(RECIPE.backbone, 64, str(file)).get_weights()


@pytest.fixture(scope="module")
def alone(corpus, start, cache):
    """What one epoch gives without phantoms."""
    return pretrained_backbone(corpus, ALONE, start, cache)


def assert_same(file, other, atol=0.0):
    for ours, theirs in zip(arrays(file), arrays(other), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


def furthest(file, other):
    pairs = zip(arrays(file), arrays(other), strict=True)
    return max(abs(ours - theirs).max() for ours, theirs in pairs)


def test_the_first_half_of_the_epochs_looks_at_smaller_views():
    assert sizes_of(Pretraining(epochs=4), 224) == [160, 160, 224, 224]
    assert sizes_of(Pretraining(epochs=3, low_resolution_fraction=0), 224) == [224] * 3
    assert sizes_of(Pretraining(epochs=2, low_resolution_fraction=1), 224) == [160] * 2
    assert sizes_of(Pretraining(epochs=2), 32) == [32, 32]


def test_what_is_learned_are_weights_of_the_recipes_backbone(done, weights):
    assert furthest(done.file, weights) > 1e-3
    moving = [n for n, v in enumerate(build_backbone(RECIPE.backbone, 64, None).weights)
              if "moving" in v.path]  # fmt: skip
    ours, theirs = arrays(done.file), arrays(weights)
    for number in moving:
        np.testing.assert_allclose(ours[number], theirs[number], rtol=1e-3, atol=1e-3)


def test_the_slices_held_out_tell_how_well(done):
    assert 0 <= done.held_out_scores.accuracy <= 1
    assert 0 <= done.held_out_scores.auc <= 1
    assert done.held_out_scores.seconds > 0


def test_the_same_again_is_found_and_not_trained(done, corpus, start, cache, monkeypatch):
    monkeypatch.setattr(pretrained, "Transfer", None)
    assert pretrained_backbone(corpus, RECIPE, start, cache) == done
    names = {file.name for file in done.file.parent.iterdir()}
    assert names - {".lock"} == {"backbone.weights.h5", "held_out_scores.json"}


def test_who_asks_at_the_same_time_waits_and_shares(corpus, start, tmp_path, monkeypatch):
    trained, learn = [], Transfer.run

    def counted(training):
        trained.append(training)
        learn(training)

    monkeypatch.setattr(Transfer, "run", counted)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(
            lambda _: pretrained_backbone(corpus, ALONE, start, DiskCache(tmp_path, 1)), range(2)
        )
    assert one == other
    assert len(trained) == 1


def test_what_is_stopped_goes_on_after_its_last_epoch_and_ends_the_same(
    done, corpus, start, tmp_path
):
    """Not to the bit: the second epoch has larger views, for which TensorFlow chooses kernels."""

    def stop(progress):
        if progress.task == "Pretraining" and progress.done == 8:
            raise KeyboardInterrupt

    cache, heard = DiskCache(tmp_path, 1), []
    with pytest.raises(KeyboardInterrupt):
        pretrained_backbone(corpus, RECIPE, start, cache, listener=stop)
    assert not list(tmp_path.rglob("*.h5"))
    assert multiprocessing.active_children() == []
    again = pretrained_backbone(corpus, RECIPE, start, cache, listener=heard.append)
    assert next(each.done for each in heard if each.task == "Pretraining") == 6
    assert_same(again.file, done.file, atol=2e-3)
    assert again.held_out_scores.accuracy == done.held_out_scores.accuracy


def test_whatever_decides_what_is_learned_names_it(
    done, corpus, start, kinds, phantoms, monkeypatch
):
    def name(corpus=corpus, recipe=RECIPE, start=start, precision="fp32"):
        return pretrained._digest(corpus, recipe, start, precision)

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
        name(corpus=replace(corpus, catalog=fewer, held=corpus.held[:-1])),
        name(corpus=replace(corpus, catalog=replace(corpus.catalog, table=relabeled))),
        name(corpus=find_corpus(kinds, build_catalog(phantoms), seed=1)),
        name(start=find_weights("random", RECIPE.backbone)),
        name(precision="bf16"),
    ]
    monkeypatch.setattr(phantom, "VERSION", phantom.VERSION + 1)
    others.append(name())
    monkeypatch.undo()
    assert len({name(), *others}) == 1 + len(others)
    assert done.file.parent.name == f"backbone-{name()}"


@pytest.mark.parametrize("field", ["head.dropout", "augmentation.rotation", "phases.0.epochs"])
def test_what_does_not_decide_it_shares_it(corpus, start, field):
    other = RECIPE.changed({field: "0.5" if field == "head.dropout" else "3"})
    digests = [pretrained._digest(corpus, each, start, "fp32") for each in (RECIPE, other)]
    assert digests[0] == digests[1]


def test_another_seed_learns_otherwise(quick, corpus, start, cache):
    other = pretrained_backbone(corpus, QUICK.changed({"pretraining.seed": "1"}), start, cache)
    assert furthest(other.file, quick.file) > 1e-3


def test_the_same_is_learned_whoever_draws_the_phantoms(
    quick, corpus, start, tmp_path, monkeypatch
):
    monkeypatch.setattr("falx.pretraining.phantom_stream.cores", lambda: 1)
    again = pretrained_backbone(corpus, QUICK, start, DiskCache(tmp_path, 1))
    assert_same(again.file, quick.file)
    assert (again.held_out_scores.accuracy, again.held_out_scores.auc) == (
        quick.held_out_scores.accuracy,
        quick.held_out_scores.auc,
    )


def test_phantoms_change_what_is_learned(quick, alone):
    assert furthest(alone.file, quick.file) > 1e-3


def test_a_part_of_each_batch_is_phantoms_and_an_epoch_is_one_pass_over_the_slices(
    corpus, start, tmp_path, monkeypatch
):
    seen = []

    class Stopped(Exception):
        pass

    def looked_at(parts, importance):
        seen.append([len(part.views) for part in parts])
        return mixed(parts, importance)

    def stop(progress):
        if progress.task == "Pretraining" and progress.done == progress.total - 1:
            raise Stopped

    mixed = transfer.mixed
    monkeypatch.setattr(transfer, "mixed", looked_at)
    with pytest.raises(Stopped):
        pretrained_backbone(corpus, QUICK, start, DiskCache(tmp_path, 1), listener=stop)
    assert seen == [[4, 4]] * (27 // 4)


def test_nothing_is_learned_from_what_is_held_out(quick, corpus, start, cache):
    table = corpus.catalog.table.copy()
    held = table.index[corpus.held]
    table.loc[held, "label"] = np.roll(table.loc[held, "label"], 1)
    blind = replace(corpus, catalog=replace(corpus.catalog, table=table))
    assert_same(pretrained_backbone(blind, QUICK, start, cache).file, quick.file)


@pytest.mark.parametrize("recipe", [QUICK, ALONE], ids=["with phantoms", "without"])
def test_two_classes_work_as_well(corpus, start, cache, recipe):
    table = corpus.catalog.table
    two = table.assign(label=np.where(table["label"] == "healthy", "no", "yes"))
    binary = replace(corpus, catalog=replace(corpus.catalog, classes=("no", "yes"), table=two))
    held_out_scores = pretrained_backbone(binary, recipe, start, cache).held_out_scores
    assert 0 <= held_out_scores.auc <= 1


def test_a_shelf_too_small_says_how_to_go_on_before_anything_is_learned(corpus, start, tmp_path):
    heard = []
    with pytest.raises(BadInput, match=r"Checkpoints .* no room; raise --cache-gb to at least"):
        pretrained_backbone(corpus, RECIPE, start, DiskCache(tmp_path, 1e-3), listener=heard.append)
    assert "Pretraining" not in {progress.task for progress in heard}


def test_a_loss_that_is_no_number_ends_it_with_advice(corpus, start, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "falx.pretraining.transfer.class_weights", lambda *_: dict.fromkeys(range(3), np.nan)
    )
    with pytest.raises(UnusableTraining, match=r"epoch 1; lower the rate .*pretraining\.learning"):
        pretrained_backbone(corpus, ALONE, start, DiskCache(tmp_path, 1))
