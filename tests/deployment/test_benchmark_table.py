"""The benchmark as tables: in numbers, and in Markdown."""

from falx.deployment.benchmark import Row, Timing
from falx.deployment.benchmark_table import as_markdown, as_table
from falx.statistics import Estimate

TIMING = Timing(startup_s=0.5, median_ms=2.0, p95_ms=3.0, per_second=400.0, memory_mb=None)
ROWS = [
    Row("ONNX", "fp32", "passed", "", 9_000_000, Estimate(0.9, 0.8, 1.0), None, {1: TIMING}),
    Row("LiteRT", "int8", "failed", "RuntimeError: a|b", 0, None, None),
]


def test_a_row_in_numbers_has_its_timings_by_threads():
    table = as_table(ROWS)
    assert table["outcome"].tolist() == ["passed", "failed"]
    assert table.loc[0, ["auc", "auc_low", "median_ms_1", "per_second_1"]].tolist() == [
        0.9, 0.8, 2.0, 400.0
    ]  # fmt: skip
    assert table.loc[1, ["auc", "median_ms_1"]].isna().all()


def test_the_table_in_markdown_is_rectangular():
    lines = as_markdown(ROWS).splitlines()
    assert lines[2] == (
        "| ONNX fp32 | 9.00 | 0.900 (0.800 to 1.000) |  | 2.0 (3.0) | 400 | 0.50 |  | passed |"
    )
    assert lines[3] == r"| LiteRT int8 |  |  |  |  |  |  |  | failed: RuntimeError: a\|b |"
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1
