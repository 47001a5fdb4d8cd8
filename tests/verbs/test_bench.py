"""Every format and precision is exported, checked for parity, and measured by itself."""

import json

import numpy as np
import pandas as pd
import pytest

import falx
from falx.cli.tables import show_benchmark
from falx.deployment import benchmark
from falx.deployment.benchmark import Row, Timing
from falx.deployment.benchmark_table import as_markdown
from falx.reporting.figures.benchmark import benchmark_bars

pytestmark = pytest.mark.slow

TIMING = Timing(startup_s=0.5, median_ms=2.0, p95_ms=3.0, per_second=400.0, memory_mb=None)


@pytest.fixture(scope="module")
def benched(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FALX_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        return falx.bench(run, out=out, rounds=1, seconds=0.1)


def test_there_is_a_row_for_the_network_itself_and_for_every_export(benched):
    names = [row.format for row in benched.rows]
    assert names == ["Keras", *["OpenVINO"] * 3, *["ONNX"] * 3, *["LiteRT"] * 3]
    # Eight bits may move what two epochs taught a narrow network too far; that is for it to say.
    assert {row.outcome for row in benched.rows if row.precision == "fp32"} == {"passed"}
    assert "failed" not in {row.outcome for row in benched.rows}


def test_each_is_measured_with_one_thread_and_with_all(benched):
    for row in benched.rows:
        assert 1 in row.timings
        for timing in row.timings.values():
            assert 0 < timing.median_ms <= timing.p95_ms
            assert timing.startup_s > timing.median_ms / 1000
            assert timing.per_second > 0


def test_table_figure_and_exports_are_kept(benched):
    names = {path.name for path in benched.folder.iterdir()}
    assert names == {"bench.csv", "bench.json", "bench.md", "bench.png", "exports"}
    table = pd.read_csv(benched.folder / "bench.csv")
    content = json.loads((benched.folder / "bench.json").read_text())
    assert len(table) == len(content["rows"]) == len(benched.rows)
    assert content["command"].startswith("falx bench ")
    for row, size in zip(benched.rows[1:], table["bytes"].iloc[1:], strict=True):
        assert row.bytes == size
    assert (benched.folder / "exports" / "onnx-int8" / "classify.py").is_file()


def test_a_format_that_fails_does_not_stop_the_others(run, tmp_path, monkeypatch, capsys):
    def broken(source, folder, to, attempts, *, listener):
        (folder / "network.onnx").write_bytes(b"half")
        raise RuntimeError("no such operation\nand more")

    monkeypatch.setattr(benchmark, "write_export", broken)
    done = falx.bench(run, out=tmp_path / "out", rounds=1, seconds=0.1)
    assert [row.outcome for row in done.rows] == ["passed", *["failed"] * 9]
    assert done.rows[1].why == "RuntimeError: no such operation"
    assert done.rows[1].timings == {}
    assert not any((done.folder / "exports").iterdir())
    show_benchmark(done.rows)
    shown = capsys.readouterr()
    assert "OpenVINO fp32: RuntimeError: no such operation" in shown.err


@pytest.mark.parametrize("more", [{"rounds": 0}, {"seconds": 0}])
def test_no_rounds_or_seconds_are_refused(more, run, tmp_path):
    with pytest.raises(falx.FalxError, match="needs rounds and seconds"):
        falx.bench(run, out=tmp_path / "out", **more)


def test_an_export_that_does_not_run_says_why(tmp_path):
    file = tmp_path / "network.onnx"
    file.write_bytes(b"nothing")
    views = tmp_path / "views.npy"
    np.save(views, np.zeros((2, 32, 32), np.uint8))
    found = benchmark._measure_once(benchmark._Subject("onnx", file), views, 1, 0.1)
    assert isinstance(found, str)
    assert found.startswith("it could not be measured: ")
    assert "network.onnx" in found


def test_the_table_reads_as_markdown():
    rows = [
        Row("ONNX", "fp32", "passed", "", 9_000_000, None, None, {1: TIMING}),
        Row("LiteRT", "int8", "failed", "RuntimeError: no", 0, None, None),
    ]
    lines = as_markdown(rows).splitlines()
    assert lines[2] == "| ONNX fp32 | 9.00 |  |  | 2.0 (3.0) | 400 | 0.50 |  | passed |"
    assert lines[3] == "| LiteRT int8 |  |  |  |  |  |  |  | failed: RuntimeError: no |"
    assert len({line.count("|") for line in lines}) == 1


def test_the_figure_leaves_out_what_was_not_measured():
    rows = [
        Row("ONNX", "fp32", "passed", "", 9_000_000, None, None, {1: TIMING, 2: TIMING}),
        Row("LiteRT", "int8", "failed", "no", 0, None, None),
    ]
    panels = benchmark_bars(rows).axes
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["ONNX fp32"]
    assert len(panels[0].patches) == 2
