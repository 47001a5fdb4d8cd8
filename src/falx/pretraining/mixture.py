"""What a batch of a pretraining is drawn from: phantoms, slices, and implants in healthy slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator, default_rng

from falx.image import augment, tone
from falx.image.render import render_with_region, shown_in
from falx.phantoms import MIN_SIZE, Anatomies, draw, implant, paint
from falx.pretraining.batch import Batch, localized_batch
from falx.pretraining.sources import Source
from falx.recipe import Augmentation, Rendering

AUGMENTATION = Augmentation(
    rotation=18,
    shift_x=0.06,
    shift_y=0.06,
    zoom=0.15,
    flip=True,
    gamma=0.3,
    bias_field=0.15,
    blur=1.6,
    downsample=0.5,
    contrast=0.15,
    brightness=0.05,
    noise=0.05,
)
"""Variation of views, beyond that of the phantoms themselves."""

_CROPPED = 0.7
"""Fraction of the phantoms whose views are cropped to the head."""
_SIZES = (1.0, 1.25, 1.5)
"""Sides of slices of phantoms, relative to the view."""


@dataclass(frozen=True)
class Mixture:
    """What every batch consists of; every second slice of each part has a tumor.

    Attributes:
        size: side of the views in pixels.
        phantoms: number of phantoms.
        slices: number of slices of the sources, each source as likely as any other.
        implants: number of their slices without a tumor that get a lesion painted in.
        sources: datasets; needed for slices and implants.
        anatomies: heads that phantoms are drawn of; None for procedural ones.
        augmentation: of all views.
    """

    size: int
    phantoms: int
    slices: int = 0
    implants: int = 0
    sources: tuple[Source, ...] = ()
    anatomies: Anatomies | None = None
    augmentation: Augmentation = AUGMENTATION

    @property
    def batch_size(self) -> int:
        return self.phantoms + self.slices + self.implants

    def draw(self, seed: Sequence[int]) -> Batch:
        """The batch of a seed.

        Raises:
            BadInput: a label map can't be used.
        """
        rng = default_rng(tuple(seed))
        drawn = [
            *(self._phantom(rng, n % 2 == 1) for n in range(self.phantoms)),
            *(self._slice(rng, n % 2 == 1) for n in range(self.slices)),
            *(self._implant(rng, n % 2 == 1) for n in range(self.implants)),
        ]
        views, covers = zip(*(self._varied(rng, *each[:2]) for each in drawn), strict=True)
        return localized_batch(views, covers, [tumor for *_, tumor in drawn])

    def _phantom(self, rng: Generator, tumor: bool) -> _Drawn:
        crop = "head" if rng.random() < _CROPPED else "none"
        side = max(round(self.size * float(rng.choice(_SIZES))), MIN_SIZE)
        phantom = paint(draw(rng, tumor, self.anatomies), side, self.anatomies)
        rendering = Rendering(size=self.size, crop=crop)
        view, region = render_with_region(phantom.pixels / np.float32(255), rendering)
        cover = shown_in(region, phantom.mask, self.size)
        # A lesion that fills no pixel by half is none to be seen.
        return view, cover, bool(phantom.mask.any())

    def _slice(self, rng: Generator, tumor: bool) -> _Drawn:
        source = self._source(rng, tumor)
        row = source.pick(rng, tumor=tumor)
        return np.array(source.views[row]), source.cover(row), tumor

    def _implant(self, rng: Generator, tumor: bool) -> _Drawn:
        source = self._source(rng, tumor=False)
        view = np.array(source.views[source.pick(rng, tumor=False)])
        view, mask = implant(view, rng, tumor=tumor)
        return view, mask.astype(np.float32), bool(mask.any())

    def _source(self, rng: Generator, tumor: bool) -> Source:
        having = [source for source in self.sources if source.has(tumor)]
        return having[rng.integers(len(having))]

    def _varied(
        self, rng: Generator, view: np.ndarray, cover: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        warp, levels = augment.draw(rng, self.augmentation), tone.draw(rng, self.augmentation)
        varied = tone.apply(levels, augment.apply(warp, view))
        if cover is None:
            return varied, None
        size = (self.size, self.size)
        moved = cv2.warpAffine(cover, augment.matrix(warp, self.size), size)
        return varied, moved


_Drawn = tuple[np.ndarray, np.ndarray | None, bool]
"""A view, how much of each pixel is tumor or None if unknown, and whether there is one."""
