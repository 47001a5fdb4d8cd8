"""Tests on real scans, which lie beside the project and are never part of it."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"


def _there(path: Path) -> Path:
    """What a test needs; without it, as in a clone alone, the test is skipped and says so."""
    if not path.exists():
        pytest.skip(f"needs real scans or weights at ../shared/{path.relative_to(SHARED)}")
    return path


@pytest.fixture(scope="session")
def navoneel() -> Path:
    """253 slices, yes/ and no/: the set of the paper."""
    return _there(SHARED / "data" / "navoneel")


@pytest.fixture(scope="session")
def msoud() -> Path:
    """6,202 slices of four classes."""
    return _there(SHARED / "data" / "msoud")


@pytest.fixture(scope="session")
def heads() -> Path:
    """Label maps of twenty whole heads."""
    return _there(SHARED / "data" / "heads")


@pytest.fixture(scope="session")
def syntaxes() -> Path:
    """DICOM files of rare transfer syntaxes."""
    return _there(SHARED / "data" / "dicom" / "syntaxes")


@pytest.fixture(scope="session")
def weights() -> Path:
    """MobileNetV2 as trained on ImageNet."""
    return _there(SHARED / "weights" / "mobilenet_v2_imagenet.weights.h5")
