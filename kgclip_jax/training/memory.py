"""The most memory that a run has held so far."""

import resource
import sys

import jax

from kgclip_jax.writers.writer import Numbers

_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


def peak_memory() -> Numbers:
    """Return the high-water mark in GiB, without waiting for the devices.

    `peak_device_memory` is of the fullest device of this host, as its allocator counts; where a
    platform does not count, as CPUs do not, it is `peak_host_memory`: of this process, its workers
    left out.
    """
    told = [device.memory_stats() or {} for device in jax.local_devices()]
    peaks = [stats["peak_bytes_in_use"] for stats in told if "peak_bytes_in_use" in stats]
    if peaks:
        return {"peak_device_memory": max(peaks) / 2**30}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT
    return {"peak_host_memory": peak / 2**30}
