"""Which device holds what: the mesh, rules by name for `tensor`, one generic rule for `fsdp`.

The same rules serve one device and a pod, the model and any head. Optimizer moments and moving
averages repeat the parameters' paths at the end of their own, so the rules fit them as well; those
of fewer dimensions (Adafactor's) only as far as they go.
"""

import math
import re
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from kgclip_jax import config
from kgclip_jax.batch import Batch
from kgclip_jax.errors import ConfigError, ConversionError
from kgclip_jax.models.rows import ROW_AXES
from kgclip_jax.paths import leaves_by_path, map_paths

AXES = ("data", "fsdp", "tensor")

# Megatron's cuts (Shoeybi et al. 2019): the first rule whose pattern ends a leaf's path names the
# dimension, counted from the last, that the axis `tensor` cuts.
TENSOR_RULES: tuple[tuple[str, int], ...] = (
    (r"(attention/qkv|mlp/up)/(kernel|bias)", -1),
    (r"(attention/out|mlp/down)/kernel", -2),
    # LoRA's factors are cut as their kernels are, so that merging them moves no data.
    (r"adapters/.*(qkv|up)/b", -1),
    (r"adapters/.*(out|down)/a", -2),
    (r"text/embedding", -2),
)

# Elements. `fsdp` cuts the largest dimension that it divides of any leaf that has as many: smaller
# ones cost more to gather than to hold.
FSDP_SMALLEST = 4096


def make_mesh(shape: config.Mesh, devices: list[jax.Device] | None = None) -> jax.sharding.Mesh:
    """Arrange devices as (data, fsdp, tensor).

    Raises:
        ConfigError: when the shape does not use exactly the devices at hand.
    """
    devices = jax.devices() if devices is None else devices
    sizes = np.array([shape.data, shape.fsdp, shape.tensor])
    sizes[sizes == -1] = max(1, len(devices) // sizes[sizes != -1].prod())
    if sizes.prod() != len(devices):
        wanted = " x ".join(f"{axis} {size}" for axis, size in zip(AXES, sizes, strict=True))
        raise ConfigError(f"config.mesh: {wanted} does not make {len(devices)} devices")
    return jax.make_mesh(
        tuple(map(int, sizes)), AXES, axis_types=(AxisType.Auto,) * 3, devices=devices
    )


class Partition(NamedTuple):
    """How a leaf is cut, and what rules wanted in vain ("tensor 3 does not divide 49408")."""

    spec: PartitionSpec
    uncut: str


def partition(path: str, shape: tuple[int, ...], mesh: jax.sharding.Mesh) -> Partition:
    """Apply the rules to a leaf; an axis of the mesh that divides no dimension is left out."""
    axes: list[str | None] = [None] * len(shape)
    reasons = []
    dimension = next((d for rule, d in TENSOR_RULES if re.search(f"{rule}$", path)), None)
    if dimension is not None and -dimension <= len(shape) and mesh.shape["tensor"] > 1:
        if shape[dimension] % mesh.shape["tensor"] == 0:
            axes[dimension] = "tensor"
        else:
            reasons.append(f"tensor {mesh.shape['tensor']} does not divide {shape[dimension]}")
    if mesh.shape["fsdp"] > 1 and math.prod(shape) >= FSDP_SMALLEST:
        free = [d for d in range(len(shape)) if axes[d] is None]
        fitting = [d for d in free if shape[d] % mesh.shape["fsdp"] == 0]
        if fitting:
            axes[max(fitting, key=lambda d: (shape[d], d))] = "fsdp"
        else:
            sizes = " x ".join(map(str, shape))
            reasons.append(f"fsdp {mesh.shape['fsdp']} divides nothing of {sizes}")
    while axes and axes[-1] is None:
        axes.pop()
    return Partition(PartitionSpec(*axes), " and ".join(reasons))


def state_sharding(abstract: Any, mesh: jax.sharding.Mesh) -> Any:
    """Return the sharding of each leaf of a training state, given its shapes."""
    return map_paths(
        lambda path, leaf: NamedSharding(mesh, partition(path, leaf.shape, mesh).spec), abstract
    )


def with_shardings(abstract: Any, mesh: jax.sharding.Mesh) -> Any:
    """Return the shapes of a state, or of its parameters, together with their shardings."""
    return jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        abstract,
        state_sharding(abstract, mesh),
    )


def shard_params(params: Any, abstract: Any, mesh: jax.sharding.Mesh) -> Any:
    """Put parameters that every host holds in full onto the devices.

    Args:
        params: arrays of NumPy or of JAX.
        abstract: what they should be.
        mesh: the devices.

    Raises:
        ConversionError: when paths or shapes differ from those of `abstract`.
    """
    given, wanted = leaves_by_path(params), leaves_by_path(with_shardings(abstract, mesh))
    shapes, expected = ({p: x.shape for p, x in leaves.items()} for leaves in (given, wanted))
    wrong = [
        f"  {path}: {shapes.get(path, 'absent')}, not {expected.get(path, 'absent')}"
        for path in sorted({*shapes, *expected})
        if shapes.get(path) != expected.get(path)
    ]
    if wrong:
        raise ConversionError("these are another model's parameters:\n" + "\n".join(wrong))

    def put(path: str, leaf: jax.Array | np.ndarray | np.generic) -> jax.Array:
        return put_from_host(np.asarray(leaf, wanted[path].dtype), wanted[path].sharding)

    return map_paths(put, params)


def put_from_host(tree: Any, sharding: NamedSharding) -> Any:
    """Put arrays that every host holds in full onto the devices; nothing goes between hosts."""

    def put(leaf: np.ndarray) -> jax.Array:
        # Explicitly, for transfer guards; all hosts would compare what `device_put` alone is given.
        places = sharding.addressable_devices_indices_map(leaf.shape)
        shards = jax.device_put([leaf[index] for index in places.values()], [*places])
        return jax.make_array_from_single_device_arrays(leaf.shape, sharding, shards)

    return jax.tree.map(put, tree)


def shapes_with(tree: Any, sharding: NamedSharding) -> Any:
    """Return the shapes of arrays on devices that need not be there."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
    )


def batch_sharding(mesh: jax.sharding.Mesh) -> NamedSharding:
    """Rows of a batch are spread over every device that holds its own part of the batch."""
    return NamedSharding(mesh, PartitionSpec(ROW_AXES))


def row_shards(mesh: jax.sharding.Mesh) -> int:
    """Number of parts that the rows of a batch are spread over."""
    return math.prod(mesh.shape[axis] for axis in ROW_AXES)


def check_rows(batch: Batch, mesh: jax.sharding.Mesh, microbatches: int) -> None:
    """Raise ConfigError unless each device can be given as many rows of each block at a time."""
    parts = row_shards(mesh) * microbatches
    for path, leaf in leaves_by_path(batch).items():
        rows = leaf.shape[0]
        if rows % parts:
            near = [n for n in (rows // parts * parts, -(-rows // parts) * parts) if n]
            raise ConfigError(
                f"config.streams.{path.replace('/', '.')}: {rows} rows cannot be shared by "
                f"{row_shards(mesh)} devices (mesh axes {' and '.join(ROW_AXES)}) in "
                f"config.execution.microbatches {microbatches}; possible near it: "
                f"{' or '.join(map(str, near))}"
            )
