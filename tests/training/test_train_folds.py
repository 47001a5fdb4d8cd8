"""Every slice is tested once a repeat, side by side or not, and a stopped run goes on."""

import multiprocessing
import os
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from falx.data.catalog import Catalog, build_catalog
from falx.errors import BadInput, UnusableData, UnusableTraining
from falx.progress import silent
from falx.recipe import load_recipe
from falx.training import crossval
from falx.training.crossval import make_folds, train_folds
from falx.training.setup import Setup

RECIPE = load_recipe("lite").changed({
    "rendering.size": "64",
    "backbone.width": "0.35",
    "phases.0.epochs": "2",
    "phases.1.epochs": "1",
})  # fmt: skip


@pytest.fixture(scope="module")
def setup(phantoms, weights):
    return Setup(build_catalog(phantoms).usable(), RECIPE, weights, "fp32", 1)


@pytest.fixture(scope="module")
def folds(setup):
    return make_folds(setup.catalog, folds=2, repeats=2, seed=0)


@pytest.fixture(scope="module")
def one_by_one(setup, folds, tmp_path_factory):
    """A cross-validation in this process, and the folder that it left."""
    folder = tmp_path_factory.mktemp("folds")
    return train_folds(setup, folds, folder), folder


def test_each_repeat_tests_every_slice_once_and_no_group_is_on_two_sides(folds, setup):
    groups = setup.catalog.groups
    for repeat in (1, 2):
        tested = np.concatenate([fold.split.test for fold in folds if fold.repeat == repeat])
        assert sorted(tested) == list(range(len(groups)))
    for fold in folds:
        seen = np.concatenate([fold.split.train, fold.split.validation])
        assert not set(groups[fold.split.test]) & set(groups[seen])
        assert not set(groups[fold.split.train]) & set(groups[fold.split.validation])
    assert [fold.seed for fold in folds] == [0, 0, 1, 1]
    assert (folds[0].split.names() != folds[2].split.names()).any()


def test_each_fold_gives_a_probability_of_each_test_slice_and_a_history(one_by_one, folds):
    for fold, result in zip(folds, one_by_one[0], strict=True):
        assert result.probabilities.shape == (len(fold.split.test), 2)
        np.testing.assert_allclose(result.probabilities.sum(axis=1), 1)
        assert result.history["epoch"].tolist() == [1, 2, 3]


def test_folds_that_are_done_are_not_trained_again(one_by_one, setup, folds, monkeypatch):
    monkeypatch.setattr(crossval, "_train_fold", None)
    again = train_folds(setup, folds, one_by_one[1])
    for ours, theirs in zip(again, one_by_one[0], strict=True):
        np.testing.assert_array_equal(ours.probabilities, theirs.probabilities)


def test_folds_side_by_side_give_what_they_give_one_by_one(one_by_one, setup, folds, tmp_path):
    heard = []
    beside = train_folds(setup, folds[:3], tmp_path, jobs=2, listener=heard.append)
    for ours, theirs in zip(beside, one_by_one[0][:3], strict=True):
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-3)
    assert heard[-1].done == heard[-1].total == 3


def test_a_folds_answers_do_not_depend_on_the_labels_of_its_test_slices(
    one_by_one, setup, folds, tmp_path
):
    table = setup.catalog.table.copy()
    tested = table.index[folds[0].split.test]
    swapped = {"no": "yes", "yes": "no"}
    table.loc[tested, "label"] = table.loc[tested, "label"].map(swapped)
    blind = replace(setup, catalog=replace(setup.catalog, table=table))
    result = train_folds(blind, folds[:1], tmp_path)[0]
    np.testing.assert_array_equal(result.probabilities, one_by_one[0][0].probabilities)


def test_answers_differ_from_fold_to_fold_and_slice_to_slice(one_by_one, folds):
    """Else the other tests would say little."""
    first, second = (result.probabilities[:, 1] for result in one_by_one[0][:2])
    assert first.std() > 0.01
    assert abs(np.sort(first) - np.sort(second)).max() > 0.01


def test_a_fold_that_fails_in_a_process_ends_all_with_its_reason(setup, folds, tmp_path):
    broken = replace(setup, recipe=RECIPE.changed({"phases.1.train_from": "9999"}))
    with pytest.raises(BadInput, match="trains from layer 9999"):
        crossval._train_beside(broken, folds, folds, tmp_path, 2, silent)


def test_a_process_that_is_killed_is_told_of(setup, folds, tmp_path):
    def kill(step):
        for child in multiprocessing.active_children():
            child.kill()

    with pytest.raises(
        UnusableTraining, match=r"ended before its time .*run the same command again"
    ):
        crossval._train_beside(setup, folds, folds, tmp_path, 2, kill)


def test_processes_end_with_the_one_that_began_them(tmp_path):
    script = """
        import multiprocessing, sys, time
        from falx.parallel import end_with_parent

        def work():
            end_with_parent()
            open(sys.argv[1], "w").write("up")
            time.sleep(60)

        if __name__ == "__main__":
            child = multiprocessing.get_context("spawn").Process(target=work)
            child.start()
            print(child.pid, flush=True)
            time.sleep(60)
    """
    (tmp_path / "parent.py").write_text(textwrap.dedent(script))
    up = tmp_path / "up"
    command = [sys.executable, tmp_path / "parent.py", up]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        wait_until(up.exists)
        parent.kill()
    wait_until(lambda: not is_running(child))


def wait_until(holds):
    for _ in range(300):
        if holds():
            return
        time.sleep(0.1)
    pytest.fail("It did not come about in half a minute.")


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def some_catalog(labels, groups):
    table = pd.DataFrame({"label": np.array(["no", "yes"])[labels], "group": groups})
    return Catalog(Path("data"), ("no", "yes"), table)


def test_too_few_groups_for_the_folds_are_told():
    catalog = some_catalog(np.array([0, 0, 1, 1]), np.arange(4))
    with pytest.raises(UnusableData, match="parts need at least 5"):
        make_folds(catalog, folds=5, repeats=1, seed=0)


@pytest.mark.parametrize(("folds", "repeats"), [(1, 1), (2, 0)])
def test_a_cross_validation_takes_two_folds_and_a_repeat(folds, repeats):
    catalog = some_catalog(np.arange(8) % 2, np.arange(8))
    with pytest.raises(BadInput, match="takes two folds and a repeat"):
        make_folds(catalog, folds=folds, repeats=repeats, seed=0)


def test_jobs_are_at_least_one(setup, folds, tmp_path):
    with pytest.raises(BadInput, match="--jobs must be at least 1, got 0"):
        train_folds(setup, folds, tmp_path, jobs=0)
