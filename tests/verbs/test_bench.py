"""Every format and precision is exported, checked for parity, and measured by itself."""

import json

import pandas as pd
import pytest

import falx
from falx.cli.tables import show_benchmark
from falx.deployment import benchmark

pytestmark = pytest.mark.slow


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
