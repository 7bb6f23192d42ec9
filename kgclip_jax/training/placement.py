"""Rows from the hosts onto the devices: which units a host loads, and where their rows go."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Shaped

from kgclip_jax.batch import Batch
from kgclip_jax.data.pipeline import HostUnits
from kgclip_jax.data.streams.stream import Stream
from kgclip_jax.training.sharding import batch_sharding

Index = tuple[slice, ...]  # of an array's part on a device


def hosts_of_units(stream: Stream, mesh: jax.sharding.Mesh) -> dict[int, set[int]]:
    """Return the hosts that load each unit of a stream: those whose devices hold some of its rows.

    There are several where the axis `tensor` spans hosts, which then hold the same rows, and where
    a unit is larger than a host's share.
    """
    hosts: dict[int, set[int]] = defaultdict(set)
    places: Mapping[Any, Index] = batch_sharding(mesh).devices_indices_map((stream.rows,))
    for device, index in places.items():
        first, end = _bounds(index, stream.rows)
        for unit in range(first // stream.unit, -(-end // stream.unit)):
            hosts[unit].add(device.process_index)
    return hosts


class Placement:
    """Puts the parts of this host's batches onto its devices; no rows are copied on the way there.

    Args:
        streams: what a batch is made of.
        mesh: the devices.

    Attributes:
        units: of each stream, those that this host loads, ascending.
        counted: those of them that no host before this one loads as well.
    """

    def __init__(self, streams: Mapping[str, Stream], mesh: jax.sharding.Mesh) -> None:
        hosts = {name: hosts_of_units(stream, mesh) for name, stream in streams.items()}
        this = jax.process_index()
        self.units: HostUnits = {
            name: sorted(unit for unit, among in of.items() if this in among)
            for name, of in hosts.items()
        }
        self.counted: HostUnits = {
            name: [unit for unit in self.units[name] if min(of[unit]) == this]
            for name, of in hosts.items()
        }
        self._all_units = {name: stream.rows // stream.unit for name, stream in streams.items()}
        self._sharding = batch_sharding(mesh)

    def __call__(self, parts: Sequence[Batch]) -> Batch:
        """Return the global batch."""
        return {name: self._place(name, [part[name] for part in parts]) for name in parts[0]}

    def _place(self, name: str, parts: Sequence[Any]) -> Any:
        units = self.units[name]
        place_of = {unit: place for place, unit in enumerate(units)}

        def put(*blocks: Shaped[np.ndarray, "_ ..."]) -> jax.Array:
            per_unit = sum(map(len, blocks)) // len(units)
            rows = per_unit * self._all_units[name]

            def shard(index: Index | None) -> np.ndarray:
                first, end = _bounds(index, rows)
                unit = first // per_unit
                begin = place_of[unit] * per_unit + first - unit * per_unit
                return _slice(blocks, begin, begin + end - first)

            shape = (rows, *blocks[0].shape[1:])
            places = self._sharding.addressable_devices_indices_map(shape)
            shards = jax.device_put([shard(index) for index in places.values()], [*places])
            return jax.make_array_from_single_device_arrays(shape, self._sharding, shards)

        return jax.tree.map(put, *parts)


def _bounds(index: Index | None, rows: int) -> tuple[int, int]:
    """Return the first of a device's rows and the one after its last; None is all of them."""
    first, end, _ = (slice(None) if index is None else index[0]).indices(rows)
    return first, end


def _slice(blocks: Sequence[np.ndarray], begin: int, end: int) -> np.ndarray:
    """Return rows of blocks that follow each other; those of one block are not copied."""
    pieces = []
    for block in blocks:
        if begin < len(block) and end > 0:
            pieces.append(block[max(begin, 0) : end])
        begin, end = begin - len(block), end - len(block)
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
