"""Devices to plan for, which need not be there: "v5e:16x16", or "cpu:8" for the devices of a test.

libtpu compiles for any TPU on any machine; nothing is run.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
from jax.experimental import topologies

from kgclip_jax.errors import ConfigError
from kgclip_jax.schema import suggestion

GIB = 2**30


class Chip(NamedTuple):
    """One chip of a TPU.

    Attributes:
        flops: dense peak in bfloat16, FLOP/s.
        memory: of HBM, bytes.
        bandwidth: of HBM, bytes/s.
        network: to other chips of the slice, bytes/s in one direction over all links.
    """

    flops: float
    memory: int
    bandwidth: float
    network: float


# Google's pages on each TPU (cloud.google.com/tpu/docs/v4 and so on). They give the bandwidth of
# both directions of all links of a chip, which is halved here.
CHIPS = {
    "v4": Chip(275e12, 32 * GIB, 1228e9, 300e9),
    "v5e": Chip(197e12, 16 * GIB, 819e9, 200e9),
    "v5p": Chip(459e12, 95 * GIB, 2765e9, 600e9),
    "v6e": Chip(918e12, 32 * GIB, 1640e9, 400e9),
}


@dataclass(frozen=True)
class Target:
    """Devices of one kind.

    Attributes:
        name: as it was given, "v5e:16x16".
        chip: what each can do; None for CPUs, of which nothing is promised.
        devices: in JAX's order; for compiling only, unless they are CPUs.
    """

    name: str
    chip: Chip | None
    devices: tuple[jax.Device, ...]


def find_target(name: str) -> Target:
    """Describe devices.

    Raises:
        ConfigError: there are no such devices, or libtpu is not installed.
    """
    kind, _, shape = name.partition(":")
    if kind == "cpu" and shape.isdecimal():
        return Target(name, None, _cpus(int(shape)))
    if kind not in CHIPS or not re.fullmatch(r"\d+(x\d+){1,2}", shape):
        raise ConfigError(
            f"there is no topology {name!r}{suggestion(kind, CHIPS)}; name a TPU and how its chips "
            "stand, as v5e:16x16, v6e:16x16, v4:4x4x4 or v5p:4x4x4"
        )
    # The two cores of a v4 are one device, as JAX has them; later kinds know no other way.
    layout = {"chip_config_name": "megacore"} if kind == "v4" else {}
    return Target(name, CHIPS[kind], _tpus(name, layout))


def _cpus(count: int) -> tuple[jax.Device, ...]:
    devices = jax.devices("cpu")
    if len(devices) < count:
        raise ConfigError(
            f"cpu:{count}: there are {len(devices)}; set JAX_NUM_CPU_DEVICES={count} before the "
            "command"
        )
    return tuple(devices[:count])


def _tpus(topology: str, layout: Mapping[str, str]) -> tuple[jax.Device, ...]:
    # Nothing is asked of the machine that we run on, and several programs may plan at once.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=topology, **layout)
    except Exception as error:  # of any kind: what libtpu says is all there is
        raise ConfigError(
            f"no TPU can be described: {error}; pip install libtpu, or see whether the chips can "
            f"stand like that ({topology})"
        ) from error
    return tuple(found.devices)
