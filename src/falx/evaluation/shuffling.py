"""Model parameter randomization: do heat maps change when the network loses what it has learned?

Adebayo et al., Sanity checks for saliency maps (NeurIPS 2018). Layers are randomized from the top
down, each stage on top of the one before, and the maps compared with those of the trained network.
A map that stays the same shows edges or the middle of the head, and nothing that was learned.

Weights are randomized by shuffling each array, which keeps their distribution, so that signals
neither vanish nor explode on their way through the network.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from falx.detect.engine import BATCH
from falx.detect.finding import evidence_for
from falx.evaluation.randomization import STAGES, RandomizationScores
from falx.model.attribution import with_heat_maps
from falx.model.network import backbone_of
from falx.model.scaling import network_input
from falx.progress import Listener, Progress, silent
from falx.statistics import difference_interval

DRAWS = 3
"""Randomized networks by stage: each has a pattern of its own, which all slices share."""


def score_randomization(
    network: keras.Model,
    views: np.ndarray,
    codes: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    flip_tta: bool = False,
    seed: int = 0,
    listener: Listener = silent,
) -> RandomizationScores:
    """Compare heat maps with those of randomized networks; intervals are over groups.

    Args:
        network: as `build_network` made it, and trained; its weights are lost.
        views: uint8 (n, size, size), n at least 1.
        codes: class whose evidence is compared, int (n,).
        groups: group of each, int (n,).
        flip_tta: whether heat maps are means over a view and its mirror image.
        seed: of all shuffling.
    """
    rng = np.random.default_rng(seed)
    trained_weights, codes = network.get_weights(), np.asarray(codes)
    explaining = with_heat_maps(network)
    trained = _ranks(_evidence(explaining, views, codes, flip_tta))
    correlation = np.zeros((len(STAGES), len(views)))
    done = 0
    for _ in range(DRAWS):
        network.set_weights(trained_weights)
        for stage, layers in enumerate(_from_the_top(network)):
            _shuffle(layers, rng)
            randomized = _ranks(_evidence(explaining, views, codes, flip_tta))
            correlation[stage] += _correlation(trained, randomized)
            done += 1
            listener(Progress("Randomizing", done, DRAWS * len(STAGES)))
    means = correlation / DRAWS
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
    network: keras.Model, views: np.ndarray, codes: np.ndarray, flip_tta: bool
) -> np.ndarray:
    """Evidence for a class of each view, by its code: float (n, locations)."""
    maps = []
    for start in range(0, len(views), BATCH):
        batch = slice(start, start + BATCH)
        _, heat_maps = network.predict_on_batch(network_input(views[batch]))
        if flip_tta:
            _, mirrored = network.predict_on_batch(network_input(views[batch, :, ::-1]))
            heat_maps = (heat_maps + mirrored[:, :, ::-1]) / 2
        maps += [evidence_for(heat, k) for heat, k in zip(heat_maps, codes[batch], strict=True)]
    return np.stack(maps).reshape(len(views), -1)


def _ranks(maps: np.ndarray) -> np.ndarray:
    """Ranks of each map's locations, of mean 0 and length 1; all 0 where all are equal."""
    ranks = rankdata(maps, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1, keepdims=True)
    unit: np.ndarray = np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0)
    return unit


def _correlation(ranks: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of each pair of maps: (n,)."""
    return (ranks * others).sum(axis=1)
