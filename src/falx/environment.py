"""The computing environment: versions, processor, memory and installed packages."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("falx", "keras", "tensorflow", "tensorflow_cpu", "jax", "openvino", "numpy",
            "opencv-python-headless", "pydicom", "pandas", "scikit-learn")  # fmt: skip
CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
"""Instruction sets that matter for inference."""


def version(package: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def environment() -> dict[str, Any]:
    """Versions and hardware as JSON values; no name of a person, host or network."""
    versions = {package: version(package) for package in PACKAGES}
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cpu_features": cpu_features(),
        "cores": os.cpu_count(),
        "memory_gb": memory_gb(),
        "versions": {package: number for package, number in versions.items() if number},
    }


def cpu_name() -> str:
    """Model name of the processor."""
    names = [value for key, value in _cpu_lines() if key == "model name"]
    return names[0] if names else platform.processor() or platform.machine()


def cpu_features() -> list[str]:
    """Those of `CPU_FEATURES` that the processor supports (Linux only)."""
    flags = {flag for key, value in _cpu_lines() if key == "flags" for flag in value.split()}
    return [feature for feature in CPU_FEATURES if feature in flags]


def memory_gb() -> float | None:
    """Memory of the machine in GiB, or None where the operating system doesn't report it."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _cpu_lines() -> list[tuple[str, str]]:
    file = Path("/proc/cpuinfo")
    if not file.exists():
        return []
    lines = (line.partition(":") for line in file.read_text("utf-8").splitlines())
    return [(key.strip(), value.strip()) for key, _, value in lines]
