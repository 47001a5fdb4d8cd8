"""A checkpoint is complete or the previous one, and restores all that a training needs."""

import keras
import numpy as np
import pytest

from falx.training import checkpoint
from falx.training.checkpoint import TrainingState
from falx.training.disk_cache import atomic_write


class Killed(Exception):
    pass


def make_network():
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    network.compile("adam", "mse")
    network.optimizer.build(network.trainable_variables)
    return network


def test_network_optimizer_state_and_best_weights_are_restored(tmp_path):
    network, new = make_network(), make_network()
    network.train_on_batch(np.ones((4, 3)), np.ones((4, 2)))
    state = TrainingState(1, 2, [{"epoch": 1, "val_loss": 0.5}], {"best": 0.5})
    best = [np.full((3, 2), 7.0), np.zeros(2)]
    checkpoint.save(tmp_path, network, network.optimizer, state, best)
    assert checkpoint.load_state(tmp_path) == state
    for ours, expected in zip(checkpoint.load_best(tmp_path), best, strict=True):
        np.testing.assert_array_equal(ours, expected)
    checkpoint.restore_network(tmp_path, new)
    checkpoint.restore_optimizer(tmp_path, new.optimizer)
    pairs = [
        *zip(new.variables, network.variables, strict=True),
        *zip(new.optimizer.variables, network.optimizer.variables, strict=True),
    ]
    for ours, expected in pairs:
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(expected)
        )


def test_without_a_checkpoint_there_is_no_state(tmp_path):
    assert checkpoint.load_state(tmp_path) is None
    assert checkpoint.load_best(tmp_path) is None


def test_a_removed_checkpoint_leaves_no_file(tmp_path):
    network = make_network()
    checkpoint.save(tmp_path, network, network.optimizer, TrainingState(), network.get_weights())
    assert len(list(tmp_path.iterdir())) == 2
    checkpoint.remove(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_previous_file_and_nothing_else(tmp_path):
    (tmp_path / "state").write_bytes(b"old")

    def write_half():
        with atomic_write(tmp_path / "state") as stream:
            stream.write(b"half")
            raise Killed("half-way")

    with pytest.raises(Killed, match="half-way"):
        write_half()
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]
