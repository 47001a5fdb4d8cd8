"""Which files of a folder are masks of tumors, and of which images."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from falx.data.read import holds_dicom

MASK_WORDS = frozenset(
    {"mask", "masks", "seg", "segm", "segmentation", "segmentations", "label", "labels"}
    | {"labelstr", "labelsts", "roi", "rois", "gt", "groundtruth", "annotation", "annotations"}
)
"""Words that name a mask, or the folder of masks."""

IMAGE_FOLDERS = frozenset({"image", "images", "imagestr", "imagests", "volumes", "img", "imgs"})
"""Names of folders that stand beside a folder of masks."""

_OF_THE_HEAD = frozenset({"brain", "head", "skull", "bet", "face", "air"})
"""Words before "mask" that say that it is none of a tumor."""

_DIGIT = re.compile(r"\d")
_CHANNEL = re.compile(r"_0\d{3}$")
"""How nnU-Net numbers the images of one case (Isensee et al., Nature Methods 18, 2021)."""


_Key = TypeVar("_Key")

Pairs = dict[Path, tuple[Path, ...]]
"""The masks of each image that has any; what any of them outlines is a tumor."""


def pair_masks(root: Path, files: Sequence[Path]) -> tuple[Pairs, set[Path]]:
    """The masks of each image that has any, and all files that are masks by their names.

    A mask lies beside its image and is named like it with a word such as "mask" or "seg" added;
    without any image of just that name, it is of all images whose names begin like it, and one
    whose name says no more than that word is of all images in its folder. Or it lies in a parallel
    folder such as `masks/` or `labelsTr/`, at the path that the image has in its own. Several that
    are named alike, as `t1_mask_1` and `t1_mask_2` are, are all of that image.

    Args:
        root: of the dataset; only folders below it are looked at.
        files: all files of the dataset.
    """
    masks = {file for file in files if _is_mask(root, file)}
    images = [file for file in files if file not in masks]
    pairs = _beside(images, [file for file in masks if not in_mask_folder(root, file)])
    for image, of_image in _parallel(root, images, masks).items():
        pairs.setdefault(image, of_image)
    return pairs, masks


def pair_segmentations(files: Sequence[Path]) -> tuple[Pairs, set[Path]]:
    """The DICOM segmentations of each DICOM image whose series they name, and all segmentations.

    Which of the images one was drawn on, it says itself (see falx.data.masks).
    """
    from falx.data.dicom import segmented_series, series_uid

    dicom = [file for file in files if holds_dicom(file)]
    masks = {file for file in dicom if _is_segmentation(file)}
    of_series = _by_key((segmented_series(mask), mask) for mask in masks)
    of_series.pop("", None)
    images = [file for file in dicom if file not in masks] if of_series else []
    series = {file: series_uid(file) for file in images}
    return {file: of_series[uid] for file, uid in series.items() if uid in of_series}, masks


def masks_in(folder: Path, root: Path, images: Iterable[Path]) -> Pairs:
    """The masks of images in a folder of their own, at the path that the image has below the root.

    Their names may differ by the suffix, and by a word such as "mask" added. An image is no mask,
    also where the folder is that of the images.
    """
    named = set(images)
    files = [file for file in folder.rglob("*") if file.is_file() and file not in named]
    known = _by_key((_place(folder, file), file) for file in files)
    places = ((image, _place(root, image)) for image in named if image.is_relative_to(root))
    return {image: known[place] for image, place in places if place in known}


def segmentations_in(folder: Path) -> list[Path]:
    """The DICOM segmentations in a folder, sorted."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return [file for file in files if holds_dicom(file) and _is_segmentation(file)]


def in_mask_folder(root: Path, file: Path) -> bool:
    """Whether a file lies in a folder of masks below the root."""
    return any(part.lower() in MASK_WORDS for part in file.relative_to(root).parent.parts)


def stem(file: Path) -> str:
    """The name of a file without its suffix, which may be one of two parts."""
    name = file.name[: -len(".gz")] if file.name.lower().endswith(".gz") else file.name
    return Path(name).stem if "." in name else name


def _is_segmentation(file: Path) -> bool:
    from falx.data.dicom import is_segmentation

    return is_segmentation(file)


def _is_mask(root: Path, file: Path) -> bool:
    return in_mask_folder(root, file) or _around_word(file) is not None


def _around_word(file: Path) -> tuple[str, str] | None:
    """What stands before and after the word that makes a name that of a mask; None without one."""
    tokens = _tokens(file)
    for number in range(0, len(tokens), 2):
        before = tokens[number - 2].lower() if number else ""
        if tokens[number].lower() in MASK_WORDS and before not in _OF_THE_HEAD:
            return "".join(tokens[: max(number - 1, 0)]), "".join(tokens[number + 2 :])
    return None


def _base(mask: Path) -> str:
    """The name that a mask has in common with its images; "" where it has none of its own.

    After the word, only what holds a number names an image, as in "mask_12".
    """
    before, after = _around_word(mask) or ("", "")
    return before or (after if _DIGIT.search(after) else "")


def _image_name(file: Path) -> str:
    """The name of an image without a word such as "image" before it."""
    tokens = _tokens(file)
    return "".join(tokens[2:] if len(tokens) > 1 and tokens[0].lower() in IMAGE_FOLDERS else tokens)


def _tokens(file: Path) -> list[str]:
    """The words of a name, and between them what parts them."""
    return re.split(r"([_\-. ])", stem(file))


def _beside(images: Iterable[Path], masks: Iterable[Path]) -> Pairs:
    """Pairs within one folder; the longest common name decides."""
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for image in images:
        by_folder[image.parent].append(image)
    pairs: Pairs = {}
    of_base = _by_key(((mask.parent, _base(mask)), mask) for mask in masks)
    for (folder, base), alike in sorted(of_base.items(), key=lambda item: -len(item[0][1])):
        neighbors = by_folder[folder]
        exact = [image for image in neighbors if base in (stem(image), _image_name(image))]
        for image in exact or [image for image in neighbors if _begins(stem(image), base)]:
            pairs.setdefault(image, alike)
    return pairs


def _by_key(masks: Iterable[tuple[_Key, Path]]) -> dict[_Key, tuple[Path, ...]]:
    """Masks by what says which image they are of, sorted."""
    found: dict[_Key, list[Path]] = defaultdict(list)
    for key, mask in masks:
        found[key].append(mask)
    return {key: tuple(sorted(alike)) for key, alike in found.items()}


def _begins(name: str, base: str) -> bool:
    """Whether a name begins with a base, and not in the middle of a word or number."""
    return name.startswith(base) and (not base or not name[len(base) : len(base) + 1].isalnum())


def _parallel(root: Path, images: Iterable[Path], masks: Iterable[Path]) -> Pairs:
    """Pairs of a folder of images and one of masks beside it."""
    known = _by_key((_place(root, mask), mask) for mask in masks if in_mask_folder(root, mask))
    pairs = {}
    for image in images if known else ():
        folder, name = _place(root, image)
        for candidate in (name, _CHANNEL.sub("", name)):
            if (folder, candidate) in known:
                pairs[image] = known[folder, candidate]
                break
    return pairs


def _place(root: Path, file: Path) -> tuple[tuple[str, ...], str]:
    """Where a file lies, without the folder that says image or mask, and its name without that."""
    before, after = _around_word(file) or ("", "")
    folders = file.relative_to(root).parent.parts
    kept = tuple(part for part in folders if part.lower() not in MASK_WORDS | IMAGE_FOLDERS)
    return kept, before or after or _image_name(file)
