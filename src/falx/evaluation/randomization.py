"""Randomization: do heat maps change when what the network has learned is taken from it?

Adebayo et al., Sanity checks for saliency maps (NeurIPS 2018). Layers are randomized from the top
down, each stage on top of the one before, and the maps compared with those of the trained network.
A map that stays the same shows edges, or the middle of the head, and nothing that was learned.

Weights are randomized by shuffling each array, which keeps their distribution, so that signals
neither vanish nor blow up on their way through the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from falx.detect.engine import BATCH
from falx.detect.finding import evidence_for
from falx.evaluation.intervals import Estimate, difference_interval
from falx.model.explain import explained
from falx.model.network import backbone_of, network_input
from falx.progress import Listener, Progress, silent

STAGES = ("head", "upper half", "all")
"""What is random: the head; also the upper half of the backbone's layers; everything."""
DRAWS = 3
"""Random networks a stage: each has a pattern of its own, which all slices share."""
ALIKE = 0.5
"""Rank correlation from which maps count as alike: a quarter of their order is shared."""


@dataclass(frozen=True)
class RandomizationScores:
    """How alike maps are to those of a network whose layers are random.

    Attributes:
        n: slices.
        correlation: Spearman's rank correlation of the evidence of the places, by what is random;
            mean over slices and draws, in [-1, 1]. Signs count: evidence against is not evidence
            for. A map without any differences correlates with none.
    """

    n: int
    correlation: dict[str, Estimate]

    @property
    def passed(self) -> bool:
        """Whether maps of a wholly random network are sure to be others than the trained one's."""
        return self.correlation[STAGES[-1]].high < ALIKE

    @property
    def outlasts_head(self) -> bool:
        """Whether maps stay much as they are when the head alone is random."""
        return self.correlation[STAGES[0]].value >= ALIKE

    def as_dict(self) -> dict[str, Any]:
        """The scores as plain values that JSON can hold."""
        found = {name: value.as_dict() for name, value in self.correlation.items()}
        return {"n": self.n, "passed": self.passed, "correlation": found}


def score_randomization(
    network: keras.Model,
    views: np.ndarray,
    asked: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    mirrored: bool = False,
    seed: int = 0,
    listener: Listener = silent,
) -> RandomizationScores:
    """Compare maps with those of random networks; intervals are drawn over groups.

    Args:
        network: as `build_network` made it, and trained; its weights are lost.
        views: uint8 (n, size, size), n at least 1.
        asked: class code of whose evidence is compared, int (n,).
        groups: group of each, int (n,).
        mirrored: whether it answers by a view and its mirror image, of which maps are the means.
        seed: of all shuffling.
    """
    rng = np.random.default_rng(seed)
    kept, codes, showing = network.get_weights(), np.asarray(asked), explained(network)
    trained = _ranks(_evidence(showing, views, codes, mirrored))
    found = np.zeros((len(STAGES), len(views)))
    done = 0
    for _ in range(DRAWS):
        network.set_weights(kept)
        for stage, layers in enumerate(_from_the_top(network)):
            _shuffle(layers, rng)
            found[stage] += _agreement(trained, _ranks(_evidence(showing, views, codes, mirrored)))
            done += 1
            listener(Progress("Randomizing", done, DRAWS * len(STAGES)))
    means = found / DRAWS
    return RandomizationScores(
        len(views),
        {
            name: difference_interval(of_stage, groups)
            for name, of_stage in zip(STAGES, means, strict=True)
        },
    )


def _from_the_top(network: keras.Model) -> list[list[keras.layers.Layer]]:
    """The layers that each stage randomizes on top of the stage before."""
    backbone = backbone_of(network)
    head = network.layers[network.layers.index(backbone) + 1 :]
    middle = len(backbone.layers) // 2
    return [head, backbone.layers[middle:], backbone.layers[:middle]]


def _shuffle(layers: Sequence[keras.layers.Layer], rng: np.random.Generator) -> None:
    for layer in layers:
        shuffled = [
            rng.permutation(each.ravel()).reshape(each.shape) for each in layer.get_weights()
        ]
        layer.set_weights(shuffled)


def _evidence(
    network: keras.Model, views: np.ndarray, codes: np.ndarray, mirrored: bool
) -> np.ndarray:
    """Evidence for the class asked for: float (n, places)."""
    maps = []
    for start in range(0, len(views), BATCH):
        some = slice(start, start + BATCH)
        _, heat_maps = network.predict_on_batch(network_input(views[some]))
        if mirrored:
            _, turned = network.predict_on_batch(network_input(views[some, :, ::-1]))
            heat_maps = (heat_maps + turned[:, :, ::-1]) / 2
        maps += [evidence_for(heat, k) for heat, k in zip(heat_maps, codes[some], strict=True)]
    return np.stack(maps).reshape(len(views), -1)


def _ranks(maps: np.ndarray) -> np.ndarray:
    """Ranks of the places of each map, of mean 0 and length 1, or all 0 where all are equal."""
    ranks = rankdata(maps, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1, keepdims=True)
    unit: np.ndarray = np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0)
    return unit


def _agreement(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of each pair of maps: (n,)."""
    return (some * others).sum(axis=1)
