"""Unpacking archives from elsewhere, whose members may be named to write where they should not."""

from __future__ import annotations

import shutil
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from falx.data.slices import Limits
from falx.errors import BadInput

_MAX_NAME = 255
"""Characters of a member's path."""
_ENCRYPTED = 0x1
"""Of the flags of a member: APPNOTE.TXT of PKWARE, 4.4.4."""


def unpack(
    archive: Path, target: Path, folders: Sequence[str], *, limits: Limits | None = None
) -> int:
    """Unpack some folders of a ZIP archive with a single top folder.

    The whole table of contents is checked before anything is written, and of no member is more
    written than it states.

    Args:
        target: a folder; it is made.
        folders: names of folders right below the top folder; all else is left out, and so are
            hidden files.
        limits: `file_bytes` bounds what is unpacked in all.

    Returns:
        How many files were written.

    Raises:
        BadInput: it is no ZIP archive, damaged, or beyond the limits; it has several top folders;
            a member is a link, is encrypted, would lie outside the target or in another member's
            place; or it can't be written. What was written before stays.
    """
    try:
        with ZipFile(archive) as opened:
            members = opened.infolist()
            for member in members:
                _check(member)
            _check_places(members)
            wanted = [each for each in members if not each.is_dir() and _is_wanted(each, folders)]
            _check_size(wanted, limits or Limits())
            for member in wanted:
                _write(opened, member, target.joinpath(*_path(member).parts[1:]))
    except (BadZipFile, EOFError, NotImplementedError, UnicodeError, zlib.error) as error:
        raise BadInput(
            f"'{archive.name}' is not a whole ZIP archive; download it again."
        ) from error
    except OSError as error:
        raise BadInput(
            f"'{archive.name}' can't be unpacked ({error.strerror or error}); make room, get "
            "permission, or name another place."
        ) from error
    return len(wanted)


def _path(member: ZipInfo) -> PurePosixPath:
    return PurePosixPath(member.filename)


def _check(member: ZipInfo) -> None:
    """Check that a member is a file or a folder below the target, and can be read.

    Raises:
        BadInput: it is a link, or encrypted; or its path is too long, can't be shown, is absolute,
            leads upwards, or does so on Windows.
    """
    name, path = member.filename, _path(member)
    if len(name) > _MAX_NAME:
        raise BadInput(
            f"The archive holds a name of {len(name)} characters, '{name[:40]}...', more than the "
            f"{_MAX_NAME} that falx takes; it is not used."
        )
    if not name.isprintable():
        raise BadInput(
            f"The archive holds a name with control characters, {name!a}; it is not used."
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise BadInput(f"The archive holds a link, '{name}'; it is not used.")
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise BadInput(f"The archive holds '{name}', outside of its folder; it is not used.")
    if member.flag_bits & _ENCRYPTED or member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise BadInput(
            f"'{name}' of the archive is encrypted, or compressed in another way than ZIP archives "
            "usually are; it is not used."
        )


def _check_places(members: Sequence[ZipInfo]) -> None:
    """Check that members share one top folder, and no two have the same place.

    Raises:
        BadInput: they don't.
    """
    tops = sorted({_path(member).parts[0] for member in members})
    if len(tops) > 1:
        raise BadInput(
            f"The archive holds '{tops[0]}' and '{tops[1]}' at its top, not a single folder; it is "
            "not used."
        )
    files: set[PurePosixPath] = set()
    folders = {_path(member) for member in members if member.is_dir()}
    for member in members:
        path = _path(member)
        folders.update(path.parents)
        if member.is_dir():
            continue
        if path in files:
            raise BadInput(f"The archive holds '{path}' twice; it is not used.")
        files.add(path)
    both = sorted(files & folders)
    if both:
        raise BadInput(f"The archive holds '{both[0]}' as a file and as a folder; it is not used.")


def _is_wanted(member: ZipInfo, folders: Sequence[str]) -> bool:
    """Whether a file lies in one of the folders, and is not hidden."""
    parts = _path(member).parts[1:]
    return len(parts) > 1 and parts[0] in folders and not any(map(_is_hidden, parts))


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _check_size(members: Sequence[ZipInfo], limits: Limits) -> None:
    """Check that members are not too large in all.

    Raises:
        BadInput: they are.
    """
    size = sum(member.file_size for member in members)
    if size > limits.file_bytes:
        raise BadInput(
            f"The archive would unpack to {size:,} bytes, more than the {limits.file_bytes:,} that "
            "falx writes; it is not used."
        )


def _write(archive: ZipFile, member: ZipInfo, file: Path) -> None:
    """Write the content of a member, of which zipfile reads no more than its stated size."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, file.open("wb") as copy:
        shutil.copyfileobj(source, copy)
