"""The doctor says what is there, and what to do where something is missing."""

import pytest

import falx


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
