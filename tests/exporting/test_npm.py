"""Packages from npm are cached, and verified by their digest."""

import base64
import hashlib
import io
import os
import tarfile

import pytest

from falx.errors import MissingExtra, Offline
from falx.exporting.npm import Package, fetch, member


@pytest.fixture
def tarball(tmp_path):
    """A tarball as npm packs it."""
    file = tmp_path / "tiny.tgz"
    with tarfile.open(file, "w:gz") as archive:
        entry = tarfile.TarInfo("package/dist/tiny.js")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"hello"))
    return file


@pytest.fixture
def package(tarball):
    digest = hashlib.sha512(tarball.read_bytes()).digest()
    return Package("@tests/tiny", "1.0.0", base64.b64encode(digest).decode())


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FALX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Stand in for npm by a shell script."""
    if os.name != "posix":
        pytest.skip("needs a shell")

    def install(script):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "npm").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")

    return install


@pytest.fixture
def no_npm(monkeypatch):
    monkeypatch.setenv("PATH", "")


def test_a_package_is_fetched_once(npm, package, tarball, cache, monkeypatch):
    npm(f'test "$2" = @tests/tiny@1.0.0 && cp {tarball} "$5/whatever.tgz"')
    file = fetch(package)
    assert file == cache / "npm" / "tests-tiny-1.0.0.tgz"
    assert member(file, "dist/tiny.js") == b"hello"
    monkeypatch.setenv("PATH", "")
    assert fetch(package) == file
    monkeypatch.setenv("FALX_OFFLINE", "1")
    assert fetch(package) == file


def test_a_damaged_package_is_fetched_anew(npm, package, tarball):
    npm(f'cp {tarball} "$5/whatever.tgz"')
    fetch(package).write_bytes(b"cut off")
    assert member(fetch(package), "dist/tiny.js") == b"hello"


def test_offline_npm_is_not_asked(npm, package, tmp_path, monkeypatch):
    npm(f"touch {tmp_path}/asked")
    monkeypatch.setenv("FALX_OFFLINE", "1")
    with pytest.raises(Offline, match=r"@tests/tiny@1\.0\.0 is not in falx's cache"):
        fetch(package)
    assert not (tmp_path / "asked").exists()


def test_without_npm_it_is_named(no_npm, package):
    with pytest.raises(MissingExtra, match=r"npm is not installed; install Node\.js"):
        fetch(package)


def test_the_error_of_npm_is_reported(npm, package, cache):
    npm("echo npm error code E404 >&2; exit 1")
    with pytest.raises(MissingExtra, match=r"could not fetch .* \(npm error code E404\); check"):
        fetch(package)
    assert list((cache / "npm").iterdir()) == []


def test_another_file_is_refused_and_not_kept(npm, package, cache):
    npm('echo other > "$5/whatever.tgz"')
    with pytest.raises(MissingExtra, match="is not that of the release that falx expects"):
        fetch(package)
    assert list((cache / "npm").iterdir()) == []
