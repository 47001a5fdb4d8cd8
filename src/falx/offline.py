"""Offline mode, and switching off the telemetry of dependencies."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from falx.errors import Offline

VARIABLE = "FALX_OFFLINE"
_LOCAL_EVENTS = {"socket.gethostname", "socket.getservbyname", "socket.getservbyport"}
"""Audit events of calls that are answered from local files."""


def silence_telemetry() -> None:
    """Switch off the telemetry of OpenVINO and of Hugging Face libraries.

    OpenVINO's telemetry is a separate package, and OpenVINO works without it. Hugging Face
    libraries, which other dependencies may import, are controlled by an environment variable.
    """
    # None in `sys.modules` makes an import fail; its type hints don't allow for that.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


@contextmanager
def without_module(name: str) -> Iterator[None]:
    """Make imports of a module fail inside the block, unless it has been imported already."""
    if name in sys.modules:
        yield
        return
    # As above.
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def is_offline() -> bool:
    """Whether FALX_OFFLINE forbids network access."""
    return os.environ.get(VARIABLE, "").lower() not in {"", "0", "false", "no"}


def forbid_network() -> None:
    """Make every network access of this process raise `Offline`.

    It is an audit hook (PEP 578), so it covers every library that uses Python's sockets, and can't
    be removed. Child processes inherit FALX_OFFLINE, which is set here.
    """
    os.environ[VARIABLE] = "1"
    sys.addaudithook(_block_network)


def _block_network(event: str, arguments: tuple[object, ...]) -> None:
    if event in _LOCAL_EVENTS or not event.startswith("socket."):
        return
    if not _is_local(event, arguments):
        raise Offline(
            f"Network access ({event}) is blocked because falx is offline; to allow it, unset "
            f"{VARIABLE} and leave out --offline."
        )


def _is_local(event: str, arguments: tuple[object, ...]) -> bool:
    """Whether the event is about a Unix domain socket."""
    local = getattr(socket, "AF_UNIX", None)
    if event == "socket.__new__":
        return arguments[1] == local
    first = arguments[0] if arguments else None
    return isinstance(first, socket.socket) and first.family == local
