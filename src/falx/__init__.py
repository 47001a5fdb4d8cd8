"""falx: from a folder of brain MRI slices to a tumor detector that one can trust.

Decision support for research, not a medical device.

    import falx

    findings = falx.load().predict("scan.nii.gz")  # or arrays, or images of other libraries
    run = falx.train("data/")
    run.scores.accuracy, run.detector, run.figures["roc"], run.report

Every verb of the command line is a function with the same options; in a notebook, results show
themselves. They import what they need when they are first used, so `import falx` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from falx.errors import FalxError
from falx.offline import forbid_network, is_offline, silence_telemetry

if TYPE_CHECKING:
    from falx.data.auditing import Audit
    from falx.data.catalog import Catalog, build_catalog
    from falx.data.read import Slice, read_slices
    from falx.deployment.attempts import Export
    from falx.detect.detector import Detector, load
    from falx.detect.finding import Finding, Findings, LeftOut, SeriesFinding, StudyFinding
    from falx.detect.site import SiteCheck
    from falx.evaluation.evaluation import Evaluation
    from falx.evaluation.metrics import Scores
    from falx.recipe import Recipe, load_recipe
    from falx.runs.reading import open_run
    from falx.runs.run import Run
    from falx.statistics import Estimate
    from falx.verbs.adapt import Adapted, adapt
    from falx.verbs.audit import audit
    from falx.verbs.bench import Benchmark, bench
    from falx.verbs.card import CardFiles, card
    from falx.verbs.crossval import crossval
    from falx.verbs.demo import Demo, demo
    from falx.verbs.doctor import Check, doctor
    from falx.verbs.evaluate import evaluate
    from falx.verbs.export import export
    from falx.verbs.fetch import Fetched, fetch
    from falx.verbs.phantom import phantom
    from falx.verbs.predict import predict
    from falx.verbs.pretrain import PretrainingResult, pretrain
    from falx.verbs.slice_classifier import SliceClassifier
    from falx.verbs.train import train

__version__ = "0.1.0"

_HOMES = {
    "Adapted": "falx.verbs.adapt",
    "Audit": "falx.data.auditing",
    "Benchmark": "falx.verbs.bench",
    "CardFiles": "falx.verbs.card",
    "Catalog": "falx.data.catalog",
    "Check": "falx.verbs.doctor",
    "Demo": "falx.verbs.demo",
    "Detector": "falx.detect.detector",
    "Estimate": "falx.statistics",
    "Evaluation": "falx.evaluation.evaluation",
    "Export": "falx.deployment.attempts",
    "Fetched": "falx.verbs.fetch",
    "Finding": "falx.detect.finding",
    "Findings": "falx.detect.finding",
    "LeftOut": "falx.detect.finding",
    "PretrainingResult": "falx.verbs.pretrain",
    "Recipe": "falx.recipe",
    "Run": "falx.runs.run",
    "Scores": "falx.evaluation.metrics",
    "SeriesFinding": "falx.detect.finding",
    "SiteCheck": "falx.detect.site",
    "Slice": "falx.data.read",
    "SliceClassifier": "falx.verbs.slice_classifier",
    "StudyFinding": "falx.detect.finding",
    "adapt": "falx.verbs.adapt",
    "audit": "falx.verbs.audit",
    "bench": "falx.verbs.bench",
    "build_catalog": "falx.data.catalog",
    "card": "falx.verbs.card",
    "crossval": "falx.verbs.crossval",
    "demo": "falx.verbs.demo",
    "doctor": "falx.verbs.doctor",
    "evaluate": "falx.verbs.evaluate",
    "export": "falx.verbs.export",
    "fetch": "falx.verbs.fetch",
    "load": "falx.detect.detector",
    "load_recipe": "falx.recipe",
    "open_run": "falx.runs.reading",
    "phantom": "falx.verbs.phantom",
    "predict": "falx.verbs.predict",
    "pretrain": "falx.verbs.pretrain",
    "read_slices": "falx.data.read",
    "train": "falx.verbs.train",
}

__all__ = [
    "Adapted",
    "Audit",
    "Benchmark",
    "CardFiles",
    "Catalog",
    "Check",
    "Demo",
    "Detector",
    "Estimate",
    "Evaluation",
    "Export",
    "FalxError",
    "Fetched",
    "Finding",
    "Findings",
    "LeftOut",
    "PretrainingResult",
    "Recipe",
    "Run",
    "Scores",
    "SeriesFinding",
    "SiteCheck",
    "Slice",
    "SliceClassifier",
    "StudyFinding",
    "adapt",
    "audit",
    "bench",
    "build_catalog",
    "card",
    "crossval",
    "demo",
    "doctor",
    "evaluate",
    "export",
    "fetch",
    "load",
    "load_recipe",
    "open_run",
    "phantom",
    "predict",
    "pretrain",
    "read_slices",
    "train",
]

silence_telemetry()
if is_offline():
    forbid_network()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'falx' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
