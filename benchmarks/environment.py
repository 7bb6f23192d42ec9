"""What a measurement depends on beside the code: versions, processor, cores, load."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path


def describe(packages: Sequence[str]) -> str:
    """Return two lines on the machine as it is now, and the versions of some packages."""
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{package} {importlib.metadata.version(package)}" for package in packages]
    cores = sorted(os.sched_getaffinity(0))
    return (
        f"{', '.join(versions)}\n{processor()}, on cores {cores} of {os.cpu_count()}, "
        f"load {os.getloadavg()[0]:.1f} ({', '.join(instructions()) or 'no AVX'})"
    )


def processor() -> str:
    """Name of the processor, with family and model, since clouds hide the name."""
    fields = _first_processor()
    name = fields.get("model name", platform.machine())
    return f"{name} family {fields.get('cpu family', '?')} model {fields.get('model', '?')}"


def instructions() -> list[str]:
    """Vector instruction sets that decide the speed of matrix products on CPUs."""
    known = _first_processor().get("flags", "").split()
    return [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in known]


def _first_processor() -> dict[str, str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().partition("\n\n")[0].splitlines() if info.exists() else []
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
