"""The figure of the benchmark shows what was measured."""

from falx.deployment.benchmark import Row, Timing
from falx.reporting.benchmark_figure import benchmark_bars

TIMING = Timing(startup_s=0.5, median_ms=2.0, p95_ms=3.0, per_second=400.0, memory_mb=None)


def test_what_was_not_measured_is_left_out():
    rows = [
        Row("ONNX", "fp32", "passed", "", 9_000_000, None, None, {1: TIMING, 2: TIMING}),
        Row("LiteRT", "int8", "failed", "no", 0, None, None),
    ]
    latency, throughput, size = benchmark_bars(rows).axes
    assert [label.get_text() for label in latency.get_yticklabels()] == ["ONNX fp32"]
    assert [bar.get_width() for bar in latency.patches] == [2, 2]
    assert [bar.get_width() for bar in throughput.patches] == [400, 400]
    assert [bar.get_width() for bar in size.patches] == [9]
