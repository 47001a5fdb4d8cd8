"""What a person has at hand, files or images or a list of them, as rendered slices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from falx.data.in_memory import is_image, is_stack
from falx.data.read import find_files
from falx.detect.finding import LeftOut
from falx.detect.scans import Item, rendered, rendered_images
from falx.errors import BadInput
from falx.progress import Listener
from falx.recipe import Rendering

Images: TypeAlias = Any
"""Paths of files and folders, and glob patterns; or images, see falx.data.in_memory; or a list."""


def items_of(
    images: Images, rendering: Rendering, left_out: list[LeftOut], listener: Listener
) -> Iterator[Item]:
    """The rendered slices of files and images, in order.

    Args:
        images: see `Images`.
        rendering: of the detector.
        left_out: receives what is not rendered, with the reason.
        listener: receives progress.

    Raises:
        BadInput: there are none, a path does not exist, or an image is none.
    """
    for paths, others in _by_kind(_listed(images)):
        if paths:
            files = find_files(paths)
            if not files:
                where = ", ".join(f"'{path}'" for path in paths)
                raise BadInput(f"There is no file in {where}; name images or their folder.")
            yield from rendered(files, rendering, left_out, listener)
        if others:
            yield from rendered_images(others, rendering, left_out, listener)


def is_one(images: Images) -> bool:
    """Whether images are a single path or image, and no list, column or stack."""
    if isinstance(images, str | Path) or is_image(images):
        return True
    if not hasattr(images, "__array__"):
        return False
    array = np.asarray(images)
    return array.dtype.kind not in "OUT" and not is_stack(array)


def _listed(images: Images) -> list[tuple[str, Any]]:
    """Paths and images, each with what it is called in messages."""
    if isinstance(images, str | Path) or is_image(images):
        return [("image", images)]
    if hasattr(images, "__array__"):
        array = np.asarray(images)
        # A column of a table holds paths.
        if array.dtype.kind not in "OUT":
            return [("image", array)]
        images = np.atleast_1d(array).tolist()
    if not isinstance(images, Iterable) or isinstance(images, bytes):
        return [("image", images)]
    listed = [(f"image[{number}]", each) for number, each in enumerate(images)]
    if not listed:
        raise BadInput("There is no file in an empty list; name images or their folder.")
    return listed


def _by_kind(
    listed: list[tuple[str, Any]],
) -> Iterator[tuple[list[str | Path], list[tuple[str, Any]]]]:
    """Runs of paths, each with the images behind it."""
    paths: dict[str, str | Path] = {}
    others: list[tuple[str, Any]] = []
    for name, each in listed:
        if isinstance(each, str | Path):
            # A file that is named twice is answered twice.
            if others or str(each) in paths:
                yield list(paths.values()), others
                paths, others = {}, []
            paths[str(each)] = each
        else:
            others.append((name, each))
    yield list(paths.values()), others
