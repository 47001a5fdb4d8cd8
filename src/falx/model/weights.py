"""Where backbone weights come from.

In this order: what `--weights` names; FALX_WEIGHTS, a file or a folder; Keras' cache; Keras'
download.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import keras

from falx.errors import BadInput, MissingWeights
from falx.offline import is_offline
from falx.recipe import Backbone

VARIABLE = "FALX_WEIGHTS"
_KERAS_NAME = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{width}_224_no_top.h5"
_ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"


@dataclass(frozen=True)
class Weights:
    """Backbone weights at hand.

    Attributes:
        name: "imagenet", "random", or the path that was asked for.
        file: where they lie, or None for random initialization.
        sha256: of the file, or an empty string.
    """

    name: str
    file: Path | None
    sha256: str


def find_weights(name: str, backbone: Backbone) -> Weights:
    """The weights that a name stands for.

    Args:
        name: "imagenet", "random", or the path of a Keras weights file.

    Raises:
        MissingWeights: they are neither at hand nor to be downloaded.
        BadInput: a file was named that is not there or holds no weights.
    """
    if name == "random":
        return Weights(name, None, "")
    file = _imagenet(backbone) if name == "imagenet" else _named(Path(name))
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


def _imagenet(backbone: Backbone) -> Path:
    at_hand = cached_imagenet(backbone)
    if at_hand:
        return at_hand
    if is_offline():
        raise _missing("falx is offline and they are not in Keras' cache")
    name = _file_name(backbone)
    try:
        fetched = keras.utils.get_file(
            name, _ADDRESS + name, cache_dir=keras_home(), cache_subdir="models"
        )
    except Exception as error:  # Keras wraps every failure of the network in a bare Exception.
        raise _missing("they could not be downloaded") from error
    return Path(fetched)


def _missing(why: str) -> MissingWeights:
    return MissingWeights(
        f"The ImageNet weights are needed and {why}: go online once, pass --weights PATH, or set "
        f"{VARIABLE} to the file or its folder (--weights random does without them)."
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
