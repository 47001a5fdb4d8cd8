"""Staying off the network: when asked to, and from other people's telemetry always."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from falx.errors import Offline

VARIABLE = "FALX_OFFLINE"
_HARMLESS = {"socket.gethostname", "socket.getservbyname", "socket.getservbyport"}
"""Answered from this machine's own files."""


def silence_telemetry() -> None:
    """Keep OpenVINO from reporting its use.

    Its telemetry is a package of its own that OpenVINO does without where it can't be imported.
    Hugging Face libraries, which others of our dependencies may load, obey a variable.
    """
    # None in a module's place makes its import fail, which types don't know.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


@contextmanager
def without_module(name: str) -> Iterator[None]:
    """Let imports of a module fail inside the block, unless it is imported already."""
    if name in sys.modules:
        yield
        return
    # As above: None makes an import fail, which types don't know.
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def is_offline() -> bool:
    """Whether FALX_OFFLINE forbids the network."""
    return os.environ.get(VARIABLE, "").lower() not in {"", "0", "false", "no"}


def forbid_network() -> None:
    """Make every attempt of this process to open a network socket raise `Offline`.

    Set through Python's audit hooks, so it reaches every library that uses Python's sockets, and
    can't be undone. Child processes obey FALX_OFFLINE, which this sets.
    """
    os.environ[VARIABLE] = "1"
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in _HARMLESS or not event.startswith("socket."):
        return
    if not _is_local(event, arguments):
        raise Offline(
            f"The network was asked for ({event}) while falx is offline; unset {VARIABLE} and "
            "leave out --offline if it may be used."
        )


def _is_local(event: str, arguments: tuple[object, ...]) -> bool:
    """Whether the socket in question joins processes of this machine by a file."""
    local = getattr(socket, "AF_UNIX", None)
    if event == "socket.__new__":
        return arguments[1] == local
    first = arguments[0] if arguments else None
    return isinstance(first, socket.socket) and first.family == local
