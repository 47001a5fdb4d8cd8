"""Whatever falx measures becomes JSON that any reader understands."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from falx.serialization import to_json, write_json
from falx.statistics import Estimate


@dataclass
class Pair:
    first: object
    second: object


@dataclass
class Flat:
    value: int

    def as_dict(self):
        return {"flattened": self.value}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Pair(1, Pair("a", None)), {"first": 1, "second": {"first": "a", "second": None}}),
        (Estimate(0.5, math.nan, math.nan), {"value": 0.5, "low": None, "high": None}),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.float64("inf"), None),
        ((1, True, "x"), [1, True, "x"]),
        ({1: Path("a/b")}, {"1": "a/b"}),
        ([Flat(3)], [{"flattened": 3}]),
    ],
)
def test_a_value_becomes_plain(value, expected):
    assert to_json(value) == expected


def test_a_file_holds_no_word_that_json_lacks(tmp_path):
    file = tmp_path / "metrics.json"
    write_json(file, {"auc": math.nan, "label": "Gewächs"})
    assert json.loads(file.read_text("utf-8"), parse_constant=pytest.fail) == {
        "auc": None,
        "label": "Gewächs",
    }
    assert "Gewächs" in file.read_text("utf-8")
