"""Public datasets and weights that `falx fetch` knows: what they are, where, under which license.

An address is given only where the file can be had without an account. GitHub makes its archives on
demand, so their bytes may change while what is in them does not: those are checked by the digest of
their contents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from falx.errors import BadInput
from falx.recipe.overrides import did_you_mean


@dataclass(frozen=True)
class Publication:
    """A dataset or a weights file, as published.

    Attributes:
        what: in a few words.
        license: as its page states it.
        page: for people.
        address: of the file itself; "" where only a person can download it.
        file: name of a weights file; "" for a dataset.
        folders: of a dataset, the folders to keep, below the single top folder of its ZIP archive.
        sha256: of the file at the address; "" where its publisher states none.
        size: of that file in bytes; 0 where it is not fixed.
        contents: of a dataset, the `contents_digest` of its folders; "" where it is not known.
    """

    name: str
    what: str
    license: str
    page: str
    address: str = ""
    file: str = ""
    folders: tuple[str, ...] = ()
    sha256: str = ""
    size: int = 0
    contents: str = ""

    @property
    def has_checksum(self) -> bool:
        """Whether its content can be checked, and not only its size."""
        return bool(self.sha256 or self.contents)


PUBLICATIONS = (
    Publication(
        name="navoneel",
        what="Brain MRI Images for Brain Tumor Detection (N. Chakrabarty): 253 slices, yes and no",
        license="none stated; research use",
        page="https://www.kaggle.com/datasets/navoneel/brain-mri-images-for-brain-tumor-detection",
        # A mirror; the page itself serves no plain file.
        address="https://github.com/MohamedAliHabib/Brain-Tumor-Detection/archive/"
        "54d082836acd2b77685249152551f931d086b504.zip",
        folders=("no", "yes"),
        contents="9ad2c331b22b28acfd7416fb5732cdbc1ff887d833c7f2b8e52bebe2ea57bb79",
    ),
    Publication(
        name="msoud",
        what="Brain Tumor MRI Dataset (M. Nickparvar): about 7,000 slices, three tumors and none",
        license="CC0",
        page="https://www.kaggle.com/datasets/masoudnickparvar/brain-tumor-mri-dataset",
    ),
    Publication(
        name="imagenet",
        what="ImageNet weights of MobileNetV2, width 1.0, without its top (Keras)",
        license="Apache-2.0",
        page="https://keras.io/api/applications/mobilenet/",
        address="https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        size=9_406_464,
    ),
)


def find_publication(name: str, table: Sequence[Publication] = PUBLICATIONS) -> Publication:
    """The entry of a name.

    Raises:
        BadInput: there is none.
    """
    entries = {each.name: each for each in table}
    if name not in entries:
        raise BadInput(
            f"falx fetch does not know '{name}'{did_you_mean(name, sorted(entries))}; it knows "
            f"{', '.join(entries)}."
        )
    return entries[name]


def contents_digest(folder: Path) -> str:
    """One SHA-256 for the names and the contents of all files below a folder.

    It is that of the output of `sha256sum` for them, in order of the bytes of their names. Hidden
    files, which systems add by themselves, do not count.
    """
    found = {file.relative_to(folder): file for file in folder.rglob("*") if file.is_file()}
    files = {
        path.as_posix(): file
        for path, file in found.items()
        if not any(part.startswith(".") for part in path.parts)
    }
    lines = [
        f"{hashlib.sha256(files[name].read_bytes()).hexdigest()}  {name}\n"
        for name in sorted(files, key=str.encode)
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
