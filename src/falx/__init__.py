"""falx: from a folder of brain MRI slices to a tumor detector that one can trust.

Decision support for research, not a medical device.

    import falx

    run = falx.train("data/", recipe="lite")
    findings = falx.load(run.folder).predict("slice.png")

The verbs import what they need when they are first used, so `import falx` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from falx.errors import FalxError
from falx.offline import forbid_network, is_offline, silence_telemetry

if TYPE_CHECKING:
    from falx.data.catalog import Catalog, build_catalog
    from falx.data.read import Slice, read_slices
    from falx.detect.detector import Detector, load
    from falx.detect.finding import Finding, Findings, LeftOut, SeriesFinding, StudyFinding
    from falx.recipe import Recipe, load_recipe
    from falx.runs.reading import open_run
    from falx.runs.run import Run
    from falx.verbs.adapt import adapt
    from falx.verbs.audit import audit
    from falx.verbs.bench import bench
    from falx.verbs.card import card
    from falx.verbs.crossval import crossval
    from falx.verbs.demo import demo
    from falx.verbs.doctor import doctor
    from falx.verbs.evaluate import evaluate
    from falx.verbs.export import export
    from falx.verbs.fetch import fetch
    from falx.verbs.pretrain import pretrain
    from falx.verbs.train import train

__version__ = "0.1.0"

_HOMES = {
    "Catalog": "falx.data.catalog",
    "build_catalog": "falx.data.catalog",
    "Slice": "falx.data.read",
    "read_slices": "falx.data.read",
    "Detector": "falx.detect.detector",
    "load": "falx.detect.detector",
    "Finding": "falx.detect.finding",
    "Findings": "falx.detect.finding",
    "LeftOut": "falx.detect.finding",
    "SeriesFinding": "falx.detect.finding",
    "StudyFinding": "falx.detect.finding",
    "Recipe": "falx.recipe",
    "load_recipe": "falx.recipe",
    "Run": "falx.runs.run",
    "open_run": "falx.runs.reading",
    "adapt": "falx.verbs.adapt",
    "audit": "falx.verbs.audit",
    "bench": "falx.verbs.bench",
    "card": "falx.verbs.card",
    "crossval": "falx.verbs.crossval",
    "demo": "falx.verbs.demo",
    "doctor": "falx.verbs.doctor",
    "evaluate": "falx.verbs.evaluate",
    "export": "falx.verbs.export",
    "fetch": "falx.verbs.fetch",
    "pretrain": "falx.verbs.pretrain",
    "train": "falx.verbs.train",
}

__all__ = [
    "Catalog",
    "Detector",
    "FalxError",
    "Finding",
    "Findings",
    "LeftOut",
    "Recipe",
    "Run",
    "SeriesFinding",
    "Slice",
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
