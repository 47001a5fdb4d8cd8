"""The paper's recipe by falx and by a plain Keras notebook: time, memory and AUC.

    python benchmarks/training.py DATA --weights FILE --peer paper_notebook.py

Every round runs the notebook (one leak-free split), `falx train`, and `falx crossval` with 5 folds
once and 5 times, each a process from start to report, and each falx with an empty cache, so that no
round profits from an earlier one. A cross-validation is compared with as many notebooks as it
trains networks. Prints medians over the rounds, and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from processes import Measured, falx, medians, start

NETWORKS = {"train": 1, "5 folds": 5, "5 x 5 folds": 25}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--peer", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", nargs="+", default=["fp32"])
    parser.add_argument("--kinds", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--json", type=Path, default=Path("training.json"))
    arguments = parser.parse_args()
    measured: dict[str, list[Measured]] = {}
    aucs: dict[str, list[float]] = {}
    for seed in range(arguments.rounds):
        notebook = [
            sys.executable,
            arguments.peer,
            arguments.data,
            arguments.weights,
            str(seed),
            "grouped",
        ]
        found = start([str(part) for part in notebook])
        tuned = json.loads(found.output.splitlines()[-1])["tuned"]
        record("notebook", found, tuned["auc"], measured, aucs)
        for precision in arguments.precision:
            for kind in arguments.kinds:
                found, auc = run(kind, precision, arguments.data, arguments.weights, seed)
                record(f"{kind}, {precision}", found, auc, measured, aucs)
        summarize(measured, aucs, arguments.json)


def run(kind: str, precision: str, data: Path, weights: Path, seed: int) -> tuple[Measured, float]:
    """One run of falx with an empty cache, and its AUC."""
    scratch = Path(tempfile.mkdtemp())
    verb = ["train"] if kind == "train" else ["crossval", "--folds", "5"]
    verb += ["--repeats", "5"] if kind == "5 x 5 folds" else []
    options = ["--recipe", "paper", "--weights", weights, "--seed", str(seed)]
    command = falx(*verb, data, *options, "--precision", precision, "--out", scratch / "run")
    found = start(command, {"FALX_CACHE": str(scratch / "cache")})
    metrics = json.loads((scratch / "run" / "metrics.json").read_text("utf-8"))
    shutil.rmtree(scratch)
    return found, metrics["roc_auc"]["value"]


def record(
    name: str,
    found: Measured,
    auc: float,
    measured: dict[str, list[Measured]],
    aucs: dict[str, list[float]],
) -> None:
    measured.setdefault(name, []).append(found)
    aucs.setdefault(name, []).append(auc)
    print(f"{name}: {found.seconds:.0f} s, {found.megabytes:.0f} MB, AUC {auc:.3f}", flush=True)


def summarize(
    measured: dict[str, list[Measured]], aucs: dict[str, list[float]], file: Path
) -> None:
    """Print the table so far, and write it as JSON."""
    notebook = medians(measured["notebook"])[0]
    rows = {}
    for name, each in measured.items():
        seconds, megabytes = medians(each)
        networks = NETWORKS.get(name.split(",")[0], 1)
        rows[name] = {
            "seconds": seconds,
            "megabytes": megabytes,
            "speedup": networks * notebook / seconds,
            "auc": statistics.mean(aucs[name]),
            "all_seconds": [run.seconds for run in each],
            "all_aucs": aucs[name],
        }
    file.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    print(f"\n{'':20} {'seconds':>8} {'MB':>6} {'speedup':>8} {'AUC':>6}")
    for name, row in rows.items():
        ratio = row["speedup"]
        print(
            f"{name:20} {row['seconds']:8.0f} {row['megabytes']:6.0f} {ratio:8.1f} "
            f"{row['auc']:6.3f}"
        )
    print(flush=True)


if __name__ == "__main__":
    main()
