"""What is trained on what, found and checked before anything is split or trained."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras

import falx
from falx import defaults
from falx.data.catalog import Catalog, build_catalog
from falx.data.sources import entries_of
from falx.environment import environment
from falx.errors import BadInput
from falx.evaluation.calibrate import check_rules
from falx.model.weights import Weights, find_weights
from falx.progress import Listener, silent
from falx.recipe import Precision, Recipe, load_recipe
from falx.training.corpus import Corpus, check_other, find_corpus
from falx.training.pretrained import Pretrained, pretrained_backbone
from falx.training.reference import TRAINED, trains_reference
from falx.training.rehearsal import phantoms_in
from falx.training.setup import Setup, open_shelf

logger = logging.getLogger(__name__)

PRETRAINING_FILE = "pretraining.parquet"
"""The catalog of what a backbone was pretrained on, in a run folder."""


@dataclass(frozen=True)
class Basis:
    """All that decides a training, but for the split.

    Attributes:
        catalog: the data, unusable files included.
        operating_point, error: see falx.evaluation.calibrate.calibrate.
        precision: of the arithmetic.
        arguments: of a command line that asks for the same, but for the split.
        corpus: what the backbone is to be pretrained on, or None.
        pretrained: the backbone, when that is done.
    """

    catalog: Catalog
    recipe: Recipe
    weights: Weights
    seed: int
    operating_point: str
    error: float
    precision: Precision
    arguments: tuple[str, ...]
    corpus: Corpus | None = None
    pretrained: Pretrained | None = None

    @cached_property
    def usable(self) -> Catalog:
        """The slices that take part."""
        return self.catalog.usable()

    @property
    def title(self) -> str:
        """Such as "paper on navoneel"."""
        return f"{self.recipe.name} on {self.catalog.root.name}"

    def with_backbone(self, bank_gb: float, listener: Listener = silent) -> Basis:
        """The same with a backbone that was pretrained, where that is asked for.

        Raises:
            FalxError: it can't be done.
        """
        if self.corpus is None:
            return self
        pretrained = pretrained_backbone(
            self.corpus,
            self.recipe,
            self.weights,
            open_shelf(bank_gb),
            precision=self.precision,
            listener=listener,
        )
        return replace(self, pretrained=pretrained)

    def setup(self, bank_gb: float) -> Setup:
        """What trains the recipe on the slices; warns where its limit will be too tight."""
        if trains_reference(self.recipe):
            logger.warning(TRAINED)
        assert self.pretrained or not self.corpus
        weights = self.pretrained.file if self.pretrained else self.weights.file
        return Setup(self.usable, self.recipe, weights, self.precision, bank_gb)

    def command(self, verb: str, *more: str) -> str:
        """The command line that repeats it."""
        return shlex.join(["falx", verb, *self.arguments, *more])

    def request(self) -> dict[str, Any]:
        """What a resumed training must have in common with the one that began; JSON values."""
        return {
            "falx": falx.__version__,
            "data": self.catalog.digest(),
            "classes": self.catalog.classes,
            "recipe": self.recipe.model_dump(mode="json"),
            "weights": self.weights.sha256 or self.weights.name,
            "seed": self.seed,
            "operating_point": self.operating_point,
            "error": self.error,
            "precision": self.precision,
            "backend": keras.backend.backend(),
            "pretraining": self.corpus.about() if self.corpus else None,
        }

    def pretraining(self) -> dict[str, Any] | None:
        """What the backbone is pretrained on, and its marks when it is; or None where it is not."""
        if self.corpus is None:
            return None
        marks = asdict(self.pretrained.marks) if self.pretrained else {}
        batch = self.recipe.batch
        phantoms = phantoms_in(batch, self.recipe.pretraining.phantoms) / batch
        return {**self.corpus.about(), "phantoms": phantoms, **marks}

    def save_catalogs(self, folder: Path) -> None:
        """Write what a run folder says of all slices that were seen."""
        self.catalog.save(folder / "catalog.parquet")
        if self.corpus:
            self.corpus.catalog.save(folder / PRETRAINING_FILE)

    def environment(self, command: str, seconds: float) -> dict[str, Any]:
        """What environment.json says.

        Args:
            seconds: that training took, feature bank included, in the process that ended it.
        """
        return {
            **environment(),
            "seed": self.seed,
            "backend": keras.backend.backend(),
            "precision": self.precision,
            "weights": {"name": self.weights.name, "sha256": self.weights.sha256},
            "data": {"name": self.catalog.root.name, "sha256": self.catalog.digest()},
            **({"pretraining": self.pretraining()} if self.corpus else {}),
            "training_seconds": round(seconds, 1),
            "command": command,
        }


def check_seed(seed: int) -> None:
    """See that all that is random can be drawn by a seed.

    Raises:
        BadInput: it can't.
    """
    if not 0 <= seed <= defaults.MOST_SEED:
        raise BadInput(f"A seed must be from 0 to {defaults.MOST_SEED}, got {seed}.")


def find_basis(
    data: Path,
    *,
    recipe: str | Path | Recipe,
    changes: Mapping[str, str],
    weights: str,
    seed: int,
    positive: str | None,
    operating_point: str = defaults.OPERATING_POINT,
    error: float = defaults.ERROR,
    precision: Precision = "fp32",
    pretrain_on: str | Path | None = None,
    listener: Listener = silent,
) -> Basis:
    """Read recipe, weights and data; the cheapest checks come first.

    Args:
        pretrain_on: another dataset, or None.

    Raises:
        FalxError: what was asked for can't be done.
    """
    check_seed(seed)
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    chosen = chosen.changed(changes)
    # Nothing is downloaded for data that are not there.
    entries_of(data)
    other = Path(pretrain_on) if pretrain_on else None
    if other:
        check_other(other, data)
        entries_of(other)
    found = find_weights(weights, chosen.backbone)
    catalog = build_catalog(data, positive=positive, listener=listener)
    check_rules(catalog.classes, operating_point=operating_point, error=error)
    draw = chosen.pretraining.seed
    corpus = find_corpus(other, catalog, seed=draw, listener=listener) if other else None
    # A recipe that was made in Python is found beside the report that names it.
    named = "recipe.yaml" if isinstance(recipe, Recipe) else str(recipe)
    arguments = [str(data), "--recipe", named, "--weights", weights, "--seed", str(seed)]
    arguments += ["--positive", positive] if positive else []
    if operating_point != defaults.OPERATING_POINT:
        arguments += ["--operating-point", operating_point]
    arguments += ["--error", f"{error:g}"] if error != defaults.ERROR else []
    arguments += ["--precision", precision] if precision != "fp32" else []
    arguments += ["--pretrain-on", str(other)] if other else []
    for field, value in changes.items():
        arguments += ["--set", f"{field}={value}"]
    return Basis(
        catalog, chosen, found, seed, operating_point, error, precision, tuple(arguments), corpus
    )


def run_name(what: str, data: Path) -> str:
    """A name for a run folder, safe in any file system."""
    return f"{what}-{re.sub(r'[^A-Za-z0-9._-]+', '-', data.stem).strip('-') or 'data'}"
