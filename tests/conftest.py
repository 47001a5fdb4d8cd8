"""What all tests share: quiet libraries, a cache of their own, and small real inputs."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from pathlib import Path

import pytest
from hypothesis import settings

SHORT = {
    "backbone.width": "0.35",
    "rendering.size": "64",
    "phases.0.epochs": "1",
    "phases.1.epochs": "0",
}

settings.register_profile("falx", deadline=None, print_blob=True)
settings.load_profile("falx")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """No test reads or fills the cache, weights or settings of the person who runs it."""
    monkeypatch.setenv("FALX_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("FALX_WEIGHTS", raising=False)
    monkeypatch.delenv("FALX_OFFLINE", raising=False)


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory) -> Path:
    """A folder of 60 synthetic slices, half with tumors: yes/ and no/."""
    from falx.data.phantom import write_phantoms

    folder = tmp_path_factory.mktemp("data") / "phantoms"
    write_phantoms(folder, 60, seed=1, size=96)
    return folder


@pytest.fixture(scope="session")
def short() -> dict[str, str]:
    """Changes that make a recipe train in seconds: a narrow network, small views, its head alone."""
    return SHORT


@pytest.fixture(scope="session")
def run(phantoms, tmp_path_factory) -> Path:
    """The run folder of a real, short training on `phantoms`."""
    import falx

    return falx.train(
        phantoms,
        changes=SHORT | {"phases.0.epochs": "2"},
        weights="random",
        out=tmp_path_factory.mktemp("runs") / "short",
    ).folder
