"""Every slice is tested once per repeat, in parallel or not, and interrupted runs are resumed."""

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
from falx.training import folds as folds_module
from falx.training.folds import make_folds, make_source_folds, train_folds
from falx.training.setup import TrainingSetup

RECIPE = load_recipe("lite").changed({
    "rendering.size": "64",
    "backbone.width": "0.35",
    "phases.0.epochs": "2",
    "phases.1.epochs": "1",
})  # fmt: skip


@pytest.fixture(scope="module")
def setup(phantoms, weights):
    return TrainingSetup(build_catalog(phantoms).usable(), RECIPE, weights, "fp32", 1)


@pytest.fixture(scope="module")
def folds(setup):
    return make_folds(setup.catalog, folds=2, repeats=2, seed=0)


@pytest.fixture(scope="module")
def sequential(setup, folds, tmp_path_factory):
    """The results of a cross-validation in this process, and their folder."""
    folder = tmp_path_factory.mktemp("folds")
    return train_folds(setup, folds, folder), folder


def test_each_repeat_tests_every_slice_once_and_keeps_groups_together(folds, setup):
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


def test_each_fold_has_probabilities_of_its_test_slices_and_a_history(sequential, folds):
    for fold, result in zip(folds, sequential[0], strict=True):
        assert result.probabilities.shape == (len(fold.split.test), 2)
        np.testing.assert_allclose(result.probabilities.sum(axis=1), 1)
        assert result.history["epoch"].tolist() == [1, 2, 3]


def test_completed_folds_are_not_trained_again(sequential, setup, folds, monkeypatch):
    monkeypatch.setattr(folds_module, "_train_fold", None)
    again = train_folds(setup, folds, sequential[1])
    for ours, theirs in zip(again, sequential[0], strict=True):
        np.testing.assert_array_equal(ours.probabilities, theirs.probabilities)


def test_parallel_folds_give_the_same_results(sequential, setup, folds, tmp_path):
    steps = []
    parallel = train_folds(setup, folds[:3], tmp_path, jobs=2, listener=steps.append)
    for ours, theirs in zip(parallel, sequential[0][:3], strict=True):
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-3)
    assert steps[-1].done == steps[-1].total == 3


def test_predictions_do_not_depend_on_the_labels_of_test_slices(sequential, setup, folds, tmp_path):
    table = setup.catalog.table.copy()
    tested = table.index[folds[0].split.test]
    swapped = {"no": "yes", "yes": "no"}
    table.loc[tested, "label"] = table.loc[tested, "label"].map(swapped)
    relabeled = replace(setup, catalog=replace(setup.catalog, table=table))
    result = train_folds(relabeled, folds[:1], tmp_path)[0]
    np.testing.assert_array_equal(result.probabilities, sequential[0][0].probabilities)


def test_predictions_differ_between_folds_and_slices(sequential, folds):
    """Otherwise the other tests would be meaningless."""
    first, second = (result.probabilities[:, 1] for result in sequential[0][:2])
    assert first.std() > 0.01
    assert abs(np.sort(first) - np.sort(second)).max() > 0.01


def test_a_fold_that_fails_in_a_process_ends_all_with_its_error(setup, folds, tmp_path):
    broken = replace(setup, recipe=RECIPE.changed({"phases.1.unfreeze_from": "9999"}))
    with pytest.raises(BadInput, match="trains from layer 9999"):
        folds_module._train_in_parallel(broken, folds, folds, tmp_path, 2, silent)


def test_a_killed_process_is_an_error_with_advice(setup, folds, tmp_path):
    def kill(progress):
        for child in multiprocessing.active_children():
            child.kill()

    with pytest.raises(UnusableTraining, match=r"was terminated .*run the same command again"):
        folds_module._train_in_parallel(setup, folds, folds, tmp_path, 2, kill)


@pytest.mark.skipif(os.name != "posix", reason="asks for processes by a signal")
def test_processes_exit_with_their_parent(tmp_path):
    script = """
        import multiprocessing, sys, time
        from falx.parallel import exit_with_parent

        def work():
            exit_with_parent()
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


def wait_until(condition):
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("The condition was not met within 30 seconds.")


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def make_catalog(labels, groups):
    names = np.array(["no", "yes"])[labels]
    table = pd.DataFrame({"label": names, "group": groups, "source": "data"})
    return Catalog(Path("data"), ("no", "yes"), table)


def test_too_few_groups_for_the_folds_are_an_error():
    catalog = make_catalog(np.array([0, 0, 1, 1]), np.arange(4))
    with pytest.raises(UnusableData, match="parts need at least 5"):
        make_folds(catalog, folds=5, repeats=1, seed=0)


@pytest.mark.parametrize(("folds", "repeats"), [(1, 1), (2, 0)])
def test_a_cross_validation_needs_two_folds_and_a_repeat(folds, repeats):
    catalog = make_catalog(np.arange(8) % 2, np.arange(8))
    with pytest.raises(BadInput, match="needs at least 2 folds and 1 repeat, got"):
        make_folds(catalog, folds=folds, repeats=repeats, seed=0)


def test_leave_one_source_out_needs_a_repeat_and_every_class_without_each_source():
    catalog = make_catalog(np.arange(8) % 2, np.arange(8))
    with pytest.raises(BadInput, match="needs at least 1 repeat, got 0"):
        make_source_folds(catalog, repeats=0, seed=0)
    table = catalog.table.assign(source=catalog.table["label"])
    with pytest.raises(UnusableData, match="Without 'no'"):
        make_source_folds(replace(catalog, table=table), repeats=1, seed=0)


def test_jobs_are_at_least_one(setup, folds, tmp_path):
    with pytest.raises(BadInput, match="--jobs must be at least 1, got 0"):
        train_folds(setup, folds, tmp_path, jobs=0)
