"""The doctor says what is there, and what to do where something is missing."""

import pytest

import falx
from falx.extras import EXTRAS


def state(what):
    (check,) = [check for check in falx.doctor() if check.what == what]
    return check


def test_versions_of_what_matters_are_named():
    named = {check.what: check.state for check in falx.doctor()}
    assert named["falx"] == falx.__version__
    assert {"keras", "openvino", "numpy", "processor", "Keras backend", "GPU"} <= set(named)


@pytest.mark.parametrize(("value", "words"), [("1", "forbidden"), ("0", "allowed")])
def test_it_says_whether_the_network_may_be_used(monkeypatch, value, words):
    monkeypatch.setenv("FALX_OFFLINE", value)
    assert state("network").state.startswith(words)


def test_weights_that_are_not_there_are_told_how_to_get(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert "fetched when needed, or set FALX_WEIGHTS" in state("ImageNet weights").state
    monkeypatch.setenv("FALX_WEIGHTS", str(tmp_path / "nowhere.h5"))
    assert state("ImageNet weights").good is False


def test_the_cache_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("FALX_CACHE", str(tmp_path))
    (tmp_path / "facts.sqlite").write_bytes(bytes(2_000_000))
    assert state("cache").state == f"{tmp_path}, 2.0 MB"


def test_a_cache_that_is_not_there_yet_is_said_to_be_empty(monkeypatch, tmp_path):
    monkeypatch.setenv("FALX_CACHE", str(tmp_path / "cache"))
    assert state("cache").state == f"{tmp_path / 'cache'}, empty so far"


def test_weights_that_are_there_are_named(monkeypatch, tmp_path):
    file = tmp_path / "weights.h5"
    file.touch()
    monkeypatch.setenv("FALX_WEIGHTS", str(file))
    found = state("ImageNet weights")
    assert (found.state, found.good) == (str(file), True)


def test_an_extra_that_is_there_is_said_to_be():
    found = state("falx[train]")
    assert (found.state, found.good) == ("installed", True)


def test_an_extra_that_lacks_a_module_is_told_how_to_get(monkeypatch):
    monkeypatch.setitem(EXTRAS, "other", ("json", "no_such_module"))
    found = state("falx[other]")
    assert found.state == 'lacks no_such_module: pip install "falx[other]"'
    assert found.good is False


def test_telemetry_is_off():
    assert state("telemetry").state.startswith("none")
