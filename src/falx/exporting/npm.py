"""Packages of the npm registry, fetched by the user's npm and verified by their SHA-512."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from falx.data.cache import cache_folder
from falx.errors import MissingExtra, Offline
from falx.offline import VARIABLE, is_offline


@dataclass(frozen=True)
class Package:
    """A pinned release.

    Attributes:
        sha512: of the tarball, in base64, as `npm view NAME@VERSION dist.integrity` gives it.
    """

    name: str
    version: str
    sha512: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def tarball(self) -> Path:
        """Its file in falx's cache."""
        name = self.name.strip("@").replace("/", "-")
        return cache_folder() / "npm" / f"{name}-{self.version}.tgz"


def fetch(package: Package) -> Path:
    """The tarball of a package, from falx's cache or else by `npm pack`.

    The registry is the one in npm's own configuration.

    Raises:
        Offline: it is not in the cache, and falx is offline.
        MissingExtra: npm is not installed, failed, or returned another file.
    """
    if _matches(package.tarball, package):
        return package.tarball
    if is_offline():
        raise Offline(
            f"The npm package {package} is not in falx's cache, and falx is offline; run this once "
            f"without --offline and {VARIABLE}."
        )
    package.tarball.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=package.tarball.parent) as folder:
        _pack(package, Path(folder)).replace(package.tarball)
    return package.tarball


def member(tarball: Path, name: str) -> bytes:
    """The content of a file in a package."""
    with tarfile.open(tarball) as archive:
        file = archive.extractfile(f"package/{name}")
        assert file is not None
        return file.read()


def _pack(package: Package, folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise MissingExtra(
            f"The npm package {package} is needed, and npm is not installed; install Node.js, "
            "which includes it."
        )
    # No shell, and fixed arguments.
    done = subprocess.run(  # noqa: S603
        [npm, "pack", str(package), "--ignore-scripts", "--pack-destination", str(folder)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    packed = next(folder.glob("*.tgz"), None)
    if done.returncode or packed is None:
        errors = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        reason = f" ({errors[0].strip()})" if errors else ""
        raise MissingExtra(
            f"npm could not fetch {package}{reason}; check the network and npm's settings with "
            f"npm pack {package}."
        )
    if not _matches(packed, package):
        raise MissingExtra(
            f"The SHA-512 of {package} from npm is not that of the release that falx expects; "
            "check which registry npm uses."
        )
    return packed


def _matches(tarball: Path, package: Package) -> bool:
    if not tarball.is_file():
        return False
    digest = hashlib.sha512(tarball.read_bytes()).digest()
    return base64.b64encode(digest).decode("ascii") == package.sha512
