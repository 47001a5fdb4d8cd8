"""Finding backbone weights.

The phantom weights ship with falx. The ImageNet weights are searched for in this order:
FALX_WEIGHTS, a file or a folder; the cache of Keras; the download of Keras.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from falx.errors import BadInput, MissingWeights
from falx.offline import is_offline
from falx.recipe import Backbone

if TYPE_CHECKING:
    import keras

VARIABLE = "FALX_WEIGHTS"
PHANTOM_FILE = "mobilenet_v2_phantom.weights.h5"
PHANTOM_WIDTH = 1.0
"""Width multiplier of the backbones whose weights ship with falx."""
_KERAS_NAME = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{width}_224_no_top.h5"
_URL = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"


@dataclass(frozen=True)
class Weights:
    """Backbone weights in a local file.

    Attributes:
        name: "imagenet", "phantom", "falx", "random", or the requested path.
        file: the local file, or None for random initialization.
        sha256: of the file, or an empty string.
    """

    name: str
    file: Path | None
    sha256: str


def find_weights(name: str, backbone: Backbone) -> Weights:
    """The weights of a name, downloaded if necessary.

    Args:
        name: "imagenet", "phantom", "falx", "random", or the path of a Keras weights file or of
            a detector's network.xml.

    Raises:
        MissingWeights: they are neither available locally nor can they be downloaded.
        BadInput: the file does not exist or holds no weights, or there are none for this backbone.
    """
    match name:
        case "random":
            return Weights(name, None, "")
        case "imagenet":
            file = _imagenet(backbone)
        case "phantom":
            file = _phantom(backbone)
        case "falx":
            _check_width("falx", backbone)
            file = Path(str(resources.files("falx.detect") / "shipped" / "network.xml"))
        case _:
            file = _weights_at(Path(name))
    if file.suffix != ".xml" and not h5py.is_hdf5(file):
        raise BadInput(f"'{file}' is not a Keras weights file (HDF5); name one that is.")
    return Weights(name, file, weights_sha256(file))


def weights_sha256(file: Path) -> str:
    """The SHA-256 of a weights file; of a network.xml, with the network.bin beside it."""
    digest = hashlib.sha256()
    for part in (file, file.with_suffix(".bin")) if file.suffix == ".xml" else (file,):
        digest.update(part.read_bytes())
    return digest.hexdigest()


def cached_imagenet(backbone: Backbone) -> Path | None:
    """ImageNet weights that need no download, from FALX_WEIGHTS or the cache of Keras, or None."""
    path = os.environ.get(VARIABLE)
    if path:
        return _weights_at(Path(path))
    cached = keras_home() / "models" / _file_name(backbone)
    return cached if cached.is_file() else None


def keras_home() -> Path:
    """The folder where Keras keeps its downloads."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def save_weights(backbone: keras.Model, file: Path) -> None:
    """Write the weights of a backbone in half precision; `build_backbone` can read them.

    Arrays with values beyond its range, such as a moving variance, stay in single precision. The
    file is written completely or not at all.

    Args:
        file: named `*.weights.h5`.
    """
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".weights-") as folder:
        full, halved = Path(folder) / file.name, Path(folder) / "halved"
        backbone.save_weights(full)
        with h5py.File(full) as single, h5py.File(halved, "w", libver="latest") as half:
            _copy_halved(single, half)
        os.replace(halved, file)


def _copy_halved(single: h5py.Group, half: h5py.Group) -> None:
    """Copy a group, its arrays in half precision where their values are in its range."""
    for name, value in single.attrs.items():
        half.attrs[name] = value
    for name, item in single.items():
        if isinstance(item, h5py.Group):
            _copy_halved(item, half.create_group(name))
            continue
        values = item[()]
        fits = np.abs(values).max(initial=0) <= np.finfo(np.float16).max
        half.create_dataset(name, data=values.astype(np.float16) if fits else values)


def _imagenet(backbone: Backbone) -> Path:
    local = cached_imagenet(backbone)
    if local:
        return local
    if is_offline():
        raise _missing("not available locally, and falx is offline")
    name = _file_name(backbone)
    # Nothing else here needs Keras, which takes a second to import.
    import keras

    try:
        downloaded = keras.utils.get_file(
            name, _URL + name, cache_dir=keras_home(), cache_subdir="models"
        )
    except Exception as error:  # Keras wraps every network failure in a bare Exception.
        raise _missing("not available locally and could not be downloaded") from error
    return Path(downloaded)


def _check_width(name: str, backbone: Backbone) -> None:
    if backbone.width != PHANTOM_WIDTH:
        raise BadInput(
            f"The {name} weights are for width {PHANTOM_WIDTH}, but the recipe has "
            f"{backbone.width}; set backbone.width={PHANTOM_WIDTH}, or name other weights."
        )


def _phantom(backbone: Backbone) -> Path:
    _check_width("phantom", backbone)
    return Path(str(resources.files("falx.model") / PHANTOM_FILE))


def _missing(reason: str) -> MissingWeights:
    return MissingWeights(
        f"The ImageNet weights are {reason}: go online once, pass --weights PATH, or set "
        f"{VARIABLE} to the file or its folder (--weights phantom uses those that ship with falx)."
    )


def _weights_at(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise BadInput(f"There are no weights at '{path}'; name a Keras weights file or a folder.")
    files = sorted(path.glob("mobilenet_v2*.h5"))
    if len(files) != 1:
        raise BadInput(
            f"The folder '{path}' holds {len(files)} files mobilenet_v2*.h5, but exactly one is "
            "needed; name the file itself."
        )
    return files[0]


def _file_name(backbone: Backbone) -> str:
    return _KERAS_NAME.format(width=backbone.width)
