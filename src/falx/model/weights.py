"""Where backbone weights come from.

The phantom weights ship with falx. The ImageNet weights are looked for in this order: FALX_WEIGHTS,
a file or a folder; Keras' cache; Keras' download.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import h5py
import keras
import numpy as np

from falx.errors import BadInput, MissingWeights
from falx.offline import is_offline
from falx.recipe import Backbone

VARIABLE = "FALX_WEIGHTS"
PHANTOM_FILE = "mobilenet_v2_phantom.weights.h5"
PHANTOM_WIDTH = 1.0
"""Of the backbone whose weights ship with falx."""
_KERAS_NAME = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{width}_224_no_top.h5"
_ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"


@dataclass(frozen=True)
class Weights:
    """Backbone weights at hand.

    Attributes:
        name: "imagenet", "phantom", "random", or the path that was asked for.
        file: where they lie, or None for random initialization.
        sha256: of the file, or an empty string.
    """

    name: str
    file: Path | None
    sha256: str


def find_weights(name: str, backbone: Backbone) -> Weights:
    """The weights that a name stands for.

    Args:
        name: "imagenet", "phantom", "random", or the path of a Keras weights file.

    Raises:
        MissingWeights: they are neither at hand nor to be downloaded.
        BadInput: a file was named that is not there or holds no weights, or there are none of this
            backbone.
    """
    match name:
        case "random":
            return Weights(name, None, "")
        case "imagenet":
            file = _imagenet(backbone)
        case "phantom":
            file = _phantom(backbone)
        case _:
            file = _named(Path(name))
    if not h5py.is_hdf5(file):
        raise BadInput(f"'{file}' is not a Keras weights file (HDF5); name one that is.")
    with file.open("rb") as stream:
        return Weights(name, file, hashlib.file_digest(stream, "sha256").hexdigest())


def cached_imagenet(backbone: Backbone) -> Path | None:
    """ImageNet weights that need no download, from FALX_WEIGHTS or Keras' cache, or None."""
    named = os.environ.get(VARIABLE)
    if named:
        return _named(Path(named))
    cached = keras_home() / "models" / _file_name(backbone)
    return cached if cached.is_file() else None


def keras_home() -> Path:
    """Where Keras keeps what it downloads."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def save_weights(backbone: keras.Model, file: Path) -> None:
    """Write the weights of a backbone in half precision; `build_backbone` reads them as any other.

    Arrays that hold values beyond it, as a moving variance can, stay in single precision. The file
    is written whole or not at all.

    Args:
        file: named `*.weights.h5`.
    """
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".weights-") as folder:
        full, halved = Path(folder) / file.name, Path(folder) / "halved"
        backbone.save_weights(full)
        with h5py.File(full) as single, h5py.File(halved, "w", libver="latest") as half:
            _halve(single, half)
        os.replace(halved, file)


def _halve(single: h5py.Group, half: h5py.Group) -> None:
    """Copy a group, its arrays in half precision where that holds them."""
    for name, value in single.attrs.items():
        half.attrs[name] = value
    for name, item in single.items():
        if isinstance(item, h5py.Group):
            _halve(item, half.create_group(name))
            continue
        values = item[()]
        fits = np.abs(values).max(initial=0) <= np.finfo(np.float16).max
        half.create_dataset(name, data=values.astype(np.float16) if fits else values)


def _imagenet(backbone: Backbone) -> Path:
    at_hand = cached_imagenet(backbone)
    if at_hand:
        return at_hand
    if is_offline():
        raise _missing("not at hand, and falx is offline")
    name = _file_name(backbone)
    try:
        fetched = keras.utils.get_file(
            name, _ADDRESS + name, cache_dir=keras_home(), cache_subdir="models"
        )
    except Exception as error:  # Keras wraps every failure of the network in a bare Exception.
        raise _missing("not at hand, and could not be downloaded") from error
    return Path(fetched)


def _phantom(backbone: Backbone) -> Path:
    if backbone.width != PHANTOM_WIDTH:
        raise BadInput(
            f"The phantom weights are those of width {PHANTOM_WIDTH}, and the recipe has "
            f"{backbone.width}; set backbone.width={PHANTOM_WIDTH}, or name others."
        )
    return Path(str(resources.files("falx.model") / PHANTOM_FILE))


def _missing(why: str) -> MissingWeights:
    return MissingWeights(
        f"The ImageNet weights are {why}: go online once, pass --weights PATH, or set {VARIABLE} "
        "to the file or its folder (--weights phantom takes those that falx ships)."
    )


def _named(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise BadInput(f"There are no weights at '{path}'; name a Keras weights file or a folder.")
    found = sorted(path.glob("mobilenet_v2*.h5"))
    if len(found) != 1:
        raise BadInput(
            f"The folder '{path}' holds {len(found)} files mobilenet_v2*.h5, and exactly one is "
            "needed; name the file itself."
        )
    return found[0]


def _file_name(backbone: Backbone) -> str:
    return _KERAS_NAME.format(width=backbone.width)
