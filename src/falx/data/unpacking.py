"""Unpacking archives from elsewhere, whose members may be named to write where they should not."""

from __future__ import annotations

import shutil
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from falx.errors import BadInput


def unpack(archive: Path, target: Path, folders: Sequence[str]) -> int:
    """Unpack some folders of a ZIP archive with a single top folder.

    Args:
        target: a folder; it is made.
        folders: names of folders right below the top folder; all else is left out.

    Returns:
        How many files were written.

    Raises:
        BadInput: it is no ZIP archive, it is damaged, or a member is a link or would lie outside
            the target; what was written before stays.
    """
    try:
        with ZipFile(archive) as opened:
            members = opened.infolist()
            for member in members:
                _check(member)
            wanted = [each for each in members if not each.is_dir() and _below(each, folders)]
            for member in wanted:
                file = target.joinpath(*PurePosixPath(member.filename).parts[1:])
                file.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, file.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
    except (BadZipFile, EOFError, NotImplementedError, zlib.error) as error:
        raise BadInput(
            f"'{archive.name}' is not a whole ZIP archive; download it again."
        ) from error
    return len(wanted)


def _check(member: ZipInfo) -> None:
    """Check that a member is a file or a folder below the target.

    Raises:
        BadInput: it is a link, or its path is absolute, leads upwards, or does so on Windows.
    """
    name = member.filename
    path = PurePosixPath(name)
    if stat.S_ISLNK(member.external_attr >> 16):
        raise BadInput(f"The archive holds a link, '{name}'; it is not used.")
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise BadInput(f"The archive holds '{name}', outside of its folder; it is not used.")


def _below(member: ZipInfo, folders: Sequence[str]) -> bool:
    parts = PurePosixPath(member.filename).parts
    return len(parts) > 2 and parts[1] in folders
