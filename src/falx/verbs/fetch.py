"""`fetch`: public datasets and weights, from where they are published."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from falx.data.publications import PUBLICATIONS, Publication, contents_digest, find_publication
from falx.data.slices import Limits
from falx.data.unpacking import unpack
from falx.errors import BadInput, FailedDownload, Offline
from falx.extras import needs
from falx.offline import VARIABLE, is_offline
from falx.progress import Listener, Progress, silent
from falx.quiet import quiet

_CHUNK = 1 << 16
_MAX_BYTES = Limits().file_bytes


@dataclass(frozen=True)
class Fetched:
    """A public dataset or weights file on this machine.

    Attributes:
        path: the folder of a dataset, or the weights file.
        downloaded: now; False where it was there already.
    """

    publication: Publication
    path: Path
    downloaded: bool


def fetch(
    name: str,
    *,
    out: str | Path | None = None,
    table: Sequence[Publication] = PUBLICATIONS,
    listener: Listener = silent,
) -> Fetched:
    """Download a public dataset or weights file, whole or not at all.

    What is there already, as it was published, is not downloaded again. Where neither the checksum
    of a file nor the digest of its contents is known, its size alone is checked; see
    `Publication.has_checksum`.

    Args:
        name: of an entry of the table.
        out: the folder of a dataset, by default its name, or the weights file, by default in the
            cache of Keras, where `weights="imagenet"` finds it.
        table: what can be fetched.
        listener: receives progress.

    Raises:
        BadInput: there is no such name, something else is at `out`, or it can't be written there;
            or the archive of a dataset is damaged, or holds what none should.
        FailedDownload: only a person can download it; or it could not be downloaded, is too large,
            or is not what was published.
        Offline: it is not there, and falx is offline.
        MissingExtra: pooch is not installed.
    """
    publication = find_publication(name, table)
    if not publication.address:
        raise _only_by_hand(publication)
    path = Path(out) if out is not None else _home(publication)
    try:
        if path.exists():
            if not _is_published(publication, path):
                raise BadInput(
                    f"'{path}' is not {name} as it was published; remove it, or name another place "
                    "with --out."
                )
            return Fetched(publication, path, downloaded=False)
        if is_offline():
            raise Offline(
                f"falx is offline, so {name} can't be downloaded; unset {VARIABLE} and leave out "
                f"--offline, or get it from {publication.page}."
            )
        _place(publication, path, listener)
    except OSError as error:
        raise BadInput(
            f"'{path}' can't be read or written ({error.strerror or error}); make room, get "
            "permission, or name another place with --out."
        ) from error
    return Fetched(publication, path, downloaded=True)


def _place(publication: Publication, path: Path, listener: Listener) -> None:
    """Download a publication, and move it to its place once it is whole and checked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{publication.name}-") as folder:
        whole = _download(publication, Path(folder), listener)
        if publication.folders:
            archive, whole = whole, Path(folder) / "unpacked"
            unpack(archive, whole, publication.folders)
        else:
            _set_usual_mode(whole)
        if not _is_published(publication, whole):
            raise _not_as_published(publication)
        os.replace(whole, path)


def _home(publication: Publication) -> Path:
    """Where a publication is kept unless another place is named."""
    if not publication.file:
        return Path(publication.name)
    # It needs h5py, of the extra that trains.
    with needs("train", "falx fetch"):
        from falx.model.weights import keras_home

    return keras_home() / "models" / publication.file


def _is_published(publication: Publication, path: Path) -> bool:
    """Whether what lies at a path is what was published, as far as that is known."""
    if publication.folders:
        if not all((path / name).is_dir() for name in publication.folders):
            return False
        return not publication.contents or contents_digest(path) == publication.contents
    if not path.is_file() or publication.size not in (0, path.stat().st_size):
        return False
    return (
        not publication.sha256
        or hashlib.sha256(path.read_bytes()).hexdigest() == publication.sha256
    )


def _set_usual_mode(file: Path) -> None:
    """Give a file the mode of a new one; pooch leaves that of a temporary file, for its owner."""
    new = file.with_name("new")
    new.touch()
    file.chmod(new.stat().st_mode)


def _download(publication: Publication, folder: Path, listener: Listener) -> Path:
    """The file at the address of a publication.

    Raises:
        FailedDownload: it could not be downloaded, is too large, or has another checksum.
    """
    with needs("train", "falx fetch"):
        import pooch
        import requests

    meter = _Meter(publication, listener)
    try:
        # It writes to standard error by itself.
        with quiet(logging.WARNING, pooch.get_logger()):
            file = pooch.retrieve(
                publication.address,
                known_hash=f"sha256:{publication.sha256}" if publication.sha256 else None,
                fname=publication.file or f"{publication.name}.zip",
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=meter, chunk_size=_CHUNK),
            )
    except requests.RequestException as error:
        answer = error.response
        reason = "no connection, or it broke" if answer is None else f"HTTP {answer.status_code}"
        raise FailedDownload(
            f"{publication.name} could not be downloaded from {publication.address} ({reason}); "
            f"try again later, or get it from {publication.page}."
        ) from error
    except ValueError as error:
        raise _not_as_published(publication) from error
    return Path(file)


def _only_by_hand(publication: Publication) -> FailedDownload:
    return FailedDownload(
        f"falx can't download {publication.name} by itself; download it in a browser from "
        f"{publication.page}, where an account may be needed, unpack it, and name its folder: "
        "falx train FOLDER."
    )


def _not_as_published(publication: Publication) -> FailedDownload:
    return FailedDownload(
        f"What {publication.address} gave is not {publication.name} as it was published, and was "
        f"removed; get it from {publication.page}."
    )


class _Meter:
    """A progress bar as pooch calls it, which passes progress on to a listener, in kilobytes.

    It ends a download that never ends by itself.

    Attributes:
        total: bytes of the file, set by pooch; 0 where the server does not say.
    """

    def __init__(self, publication: Publication, listener: Listener) -> None:
        self.total = 0
        self._done = 0
        self._publication = publication
        self._listener = listener

    def update(self, size: int) -> None:
        """Take note of bytes that came.

        Raises:
            FailedDownload: there are more than falx reads of any file.
        """
        self._done += size
        if self._done > _MAX_BYTES:
            raise FailedDownload(
                f"{self._publication.address} gives more than {_MAX_BYTES:,} bytes, which is not "
                f"{self._publication.name}; get it from {self._publication.page}."
            )
        done, total = (max(1, count // 1000) for count in (self._done, self.total or self._done))
        self._listener(Progress("download", done, total, f"{self._done / 1e6:.1f} MB"))

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Do nothing; the listener needs no end."""
