"""What is trained on what, found and checked before anything is split or trained."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from falx.data.catalog import Catalog
from falx.data.class_names import means_none
from falx.data.fingerprints import Fingerprints
from falx.data.joining import build_joined_catalog, find_datasets
from falx.data.mask_rule import MaskRule
from falx.data.sources import entries_of
from falx.declaration import compared
from falx.environment import version
from falx.errors import BadInput
from falx.evaluation.calibration import check_rules
from falx.logs import import_keras
from falx.model.weights import Weights, find_weights
from falx.pretraining.corpus import Corpus, build_corpus, check_other_dataset
from falx.progress import Listener, silent
from falx.recipe import Precision, Recipe, load_recipe
from falx.runs.options import TrainingOptions
from falx.runs.run import Record, Verb
from falx.seeds import check_seed
from falx.training.ood import OOD_LAYER_TRAINED, trains_ood_layer
from falx.training.setup import TrainingSetup, open_cache

if TYPE_CHECKING:
    from falx.pretraining.backbone import PretrainedBackbone

logger = logging.getLogger(__name__)

_NAMED = 3
PRETRAINING_FILE = "pretraining.parquet"
"""The catalog of what a backbone was pretrained on, in a run folder."""


@dataclass(frozen=True)
class TrainingInputs:
    """All that decides a training, but for the split.

    Attributes:
        data: folders or tables.
        catalog: of the data, unusable files included.
        operating_point, alpha: see falx.evaluation.calibration.calibrate.
        precision: of the arithmetic.
        cache_gb: maximum size of the cache of views and features.
        options: as they were asked for.
        corpus: what the backbone is to be pretrained on, or None.
        pretrained: the backbone, once that is done.
    """

    data: tuple[Path, ...]
    catalog: Catalog
    recipe: Recipe
    weights: Weights
    seed: int
    operating_point: str
    alpha: float
    precision: Precision
    cache_gb: float
    options: TrainingOptions
    corpus: Corpus | None = None
    pretrained: PretrainedBackbone | None = None

    @cached_property
    def usable(self) -> Catalog:
        """The slices that take part."""
        return self.catalog.usable()

    @cached_property
    def seen(self) -> np.ndarray:
        """Which of these the initial weights have learned from, or their group: bool (n,).

        Known of weights of a detector that keeps fingerprints, as the one that ships with falx.
        """
        file = self.weights.file
        known = Fingerprints.load(file.parent) if file and file.suffix == ".xml" else None
        return known.seen(self.usable) if known else np.zeros(len(self.usable), bool)

    @property
    def title(self) -> str:
        """Such as "paper on navoneel"."""
        return f"{self.recipe.name} on {self.catalog.name}"

    def with_backbone(self, listener: Listener = silent) -> TrainingInputs:
        """The same with a pretrained backbone, where pretraining is asked for.

        Raises:
            FalxError: it can't be done.
        """
        if self.corpus is None:
            return self
        import_keras()
        from falx.pretraining.backbone import pretrained_backbone

        pretrained = pretrained_backbone(
            self.corpus,
            self.recipe,
            self.weights,
            open_cache(self.cache_gb),
            precision=self.precision,
            listener=listener,
        )
        return replace(self, pretrained=pretrained)

    def setup(self) -> TrainingSetup:
        """What trains the recipe on the slices; warns where its OOD threshold will be too tight."""
        if trains_ood_layer(self.recipe):
            logger.warning(OOD_LAYER_TRAINED)
        assert self.pretrained or not self.corpus
        return self._setup

    @property
    def _setup(self) -> TrainingSetup:
        weights = self.pretrained.file if self.pretrained else self.weights.file
        return TrainingSetup(self.usable, self.recipe, weights, self.precision, self.cache_gb)

    def request(self) -> dict[str, Any]:
        """What a resumed training must have in common with the one that began; JSON values."""
        return {
            "falx": version("falx"),
            "options": compared(TrainingOptions, self.options),
            "data": self.catalog.digest(),
            "classes": self.catalog.classes,
            "recipe": self.recipe.model_dump(mode="json"),
            "weights": self.weights.sha256 or self.weights.name,
            "backend": self._setup.backend,
            "pretraining": self.corpus.summary() if self.corpus else None,
        }

    def record(
        self, verb: Verb, options: Mapping[str, Any], folder: Path, *, split: str, seconds: float
    ) -> Record:
        """Where a run of these inputs comes from.

        Args:
            options: of the verb, all of them.
            folder: of the run.
            split: in words.
            seconds: that training took, feature bank included, in the process that ended it.
        """
        return Record(
            verb=verb,
            arguments=[str(path) for path in self.data],
            options=Record.options_of(verb, options, folder),
            title=self.title,
            split=split,
            data={"name": self.catalog.name, "sha256": self.catalog.digest()},
            weights={"name": self.weights.name, "sha256": self.weights.sha256},
            pretraining=self.pretraining(),
            backend=self._setup.backend,
            training_seconds=round(seconds, 1),
        )

    def save_pretraining(self, folder: Path) -> None:
        """Keep the catalog of what the backbone was pretrained on, where it was, in a folder."""
        if self.corpus:
            self.corpus.catalog.save(folder / PRETRAINING_FILE)

    def pretraining(self) -> dict[str, Any] | None:
        """What the backbone is pretrained on, with its scores once it is; None where it is not."""
        if self.corpus is None:
            return None
        import_keras()
        from falx.pretraining.rehearsal import phantoms_per_batch

        scores = asdict(self.pretrained.held_out_scores) if self.pretrained else {}
        batch_size = self.recipe.batch_size
        phantoms = phantoms_per_batch(batch_size, self.recipe.pretraining.phantom_fraction)
        return {**self.corpus.summary(), "phantom_fraction": phantoms / batch_size, **scores}


def find_inputs(
    data: Sequence[Path], options: TrainingOptions, *, listener: Listener = silent
) -> TrainingInputs:
    """Read recipe, weights and data; the cheapest checks come first.

    Args:
        data: folders or tables.
        options: all of them.
        listener: receives progress.

    Raises:
        FalxError: what was asked for can't be done.
    """
    check_seed(options["seed"])
    # Nothing is downloaded for data that are not there.
    find_datasets(data)
    other = Path(options["pretrain_on"]) if options["pretrain_on"] else None
    if other:
        for path in data:
            check_other_dataset(other, path)
        entries_of(other)
    named = options["recipe"] or ("best" if _names_weights(options) else None)
    chosen = _chosen(named, options) if named else None
    masks = MaskRule(options["tumor_area"], options["tumor_margin"])
    catalog = build_joined_catalog(
        data, positive=options["positive"], masks=masks, listener=listener
    )
    recipe, weights = chosen or _chosen(_default_recipe(catalog.classes), options)
    operating_point, alpha = str(options["operating_point"]), options["alpha"]
    if recipe.backbone.localization:
        _check_localized(recipe, catalog, other)
    check_rules(catalog.classes, operating_point=operating_point, alpha=alpha)
    corpus = (
        build_corpus(other, catalog, seed=recipe.pretraining.seed, listener=listener)
        if other
        else None
    )
    return TrainingInputs(
        data=tuple(data),
        catalog=catalog,
        recipe=recipe,
        weights=weights,
        seed=options["seed"],
        operating_point=operating_point,
        alpha=alpha,
        precision=options["precision"],
        cache_gb=options["cache_gb"],
        # 0.5 and "0.5" are one request.
        options={**options, "operating_point": operating_point},
        corpus=corpus,
    )


def _chosen(recipe: str | Path | Recipe, options: TrainingOptions) -> tuple[Recipe, Weights]:
    """A recipe with what was changed, and the weights that it starts from."""
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe)
    recipe = recipe.changed(options["changes"] or {})
    return recipe, find_weights(str(options["weights"] or recipe.backbone.weights), recipe.backbone)


def _names_weights(options: TrainingOptions) -> bool:
    """Whether weights are named, or a dataset to pretrain on."""
    changed = "backbone.weights" in (options["changes"] or {})
    return bool(options["weights"] or options["pretrain_on"] or changed)


def _default_recipe(classes: tuple[str, ...]) -> str:
    """What is best on data from elsewhere, see docs/accuracy.md and docs/elsewhere.md."""
    return "localized" if len(classes) == 2 and means_none(classes[0]) else "best"


def _check_localized(recipe: Recipe, catalog: Catalog, other: Path | None) -> None:
    """Check that a localization head can answer for the classes of the data."""
    if len(catalog.classes) != 2:
        raise BadInput(
            f"Recipe '{recipe.name}' tells tumor from none, and the data have the classes "
            f"{', '.join(catalog.classes)}; use --recipe lite."
        )
    if means_none(catalog.classes[1]):
        raise BadInput(
            f"Recipe '{recipe.name}' finds tumors, and here '{catalog.classes[1]}' is the positive "
            "class, which means none; name the other one with --positive."
        )
    if other:
        raise BadInput(
            f"Recipe '{recipe.name}' takes a backbone with its localization head as it is; leave "
            "out --pretrain-on, and name the dataset to falx pretrain."
        )


def run_name(what: str, data: Sequence[Path]) -> str:
    """A name for a run folder, safe in any file system; it names at most three datasets."""
    stems = [re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-") or "data" for path in data]
    more = [f"and-{len(stems) - _NAMED}-more"] if len(stems) > _NAMED else []
    return "-".join([what, *stems[:_NAMED], *more])
