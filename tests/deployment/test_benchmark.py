"""Measurements run in processes of their own, whose failure is a result."""

import numpy as np

from falx.deployment import benchmark


def test_an_export_that_does_not_run_says_why(tmp_path):
    file = tmp_path / "network.onnx"
    file.write_bytes(b"nothing")
    views = tmp_path / "views.npy"
    np.save(views, np.zeros((2, 32, 32), np.uint8))
    found = benchmark._measure_once(benchmark._Subject("onnx", file), views, 1, 0.1)
    assert isinstance(found, str)
    assert found.startswith("it could not be measured: ")
    assert "network.onnx" in found
