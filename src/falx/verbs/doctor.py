"""`doctor`: what is installed and found, and what to do where something is missing."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from falx import extras
from falx.environment import PACKAGES, cpu_features, cpu_name, memory_gb, version
from falx.offline import VARIABLE as OFFLINE
from falx.offline import is_offline


@dataclass(frozen=True)
class Check:
    """One line of the doctor's table: good is None where it is neither good nor bad."""

    what: str
    state: str
    good: bool | None = None


def doctor() -> list[Check]:
    """Look at versions, processor, runtimes, caches, weights and extras."""
    return [
        *_versions(),
        Check("processor", f"{cpu_name()}, {os.cpu_count()} cores, {memory_gb()} GiB memory"),
        Check("instruction sets", ", ".join(cpu_features()) or "none of those that falx looks for"),
        *_runtimes(),
        _cache(),
        *_weights(),
        *[_extra(name) for name in extras.EXTRAS],
        Check("network", f"forbidden ({OFFLINE})" if is_offline() else "allowed"),
        Check("telemetry", "none; OpenVINO's is switched off", True),
    ]


def _versions() -> list[Check]:
    found = [(package, version(package)) for package in PACKAGES]
    return [Check(package, number) for package, number in found if number]


def _runtimes() -> list[Check]:
    import openvino

    core = openvino.Core()
    abilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    checks = [Check("OpenVINO on the processor", ", ".join(map(str, abilities)), True)]
    if importlib.util.find_spec("keras") is None:
        return checks
    import keras

    backend = keras.backend.backend()
    return [*checks, Check("Keras backend", backend), Check("GPU", _gpu(backend))]


def _gpu(backend: str) -> str:
    if backend == "tensorflow":
        import tensorflow

        found = [device.name for device in tensorflow.config.list_physical_devices("GPU")]
    elif backend == "jax":
        import jax

        found = [str(device) for device in jax.devices() if device.platform == "gpu"]
    else:
        return f"not looked for on the backend {backend}"
    return ", ".join(found) or f"none that {backend} can use"


def _cache() -> Check:
    from falx.data.cache import cache_folder

    folder = cache_folder()
    if not folder.is_dir():
        return Check("cache", f"{folder}, empty so far")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Check("cache", f"{folder}, {size / 1e6:.1f} MB", os.access(folder, os.W_OK))


def _weights() -> list[Check]:
    if extras.missing_modules("train"):
        return []
    from falx.errors import BadInput
    from falx.model.weights import VARIABLE, cached_imagenet
    from falx.recipe import Backbone

    try:
        file: Path | None = cached_imagenet(Backbone())
    except BadInput as error:
        return [Check("ImageNet weights", str(error), False)]
    if file is None:
        how = f"set {VARIABLE}" if is_offline() else f"fetched when needed, or set {VARIABLE}"
        return [Check("ImageNet weights", f"not here; {how}")]
    return [Check("ImageNet weights", str(file), True)]


def _extra(name: str) -> Check:
    missing = extras.missing_modules(name)
    if missing:
        return Check(
            f"falx[{name}]", f"lacks {', '.join(missing)}: {extras.install_command(name)}", False
        )
    return Check(f"falx[{name}]", "installed", True)
