"""Which device holds what: the mesh, and one ordered table of rules from paths to mesh axes.

The same table serves one device and a pod. Optimizer moments and moving averages repeat the
parameters' paths at the end of their own, so the rules fit them as well.
"""

import re
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from kgclip_jax import config
from kgclip_jax.errors import ConfigError, ConversionError
from kgclip_jax.paths import leaves_by_path, map_paths

AXES = ("data", "fsdp", "tensor")
BATCH = PartitionSpec(("data", "fsdp"))

# The first rule whose pattern ends a leaf's path names one mesh axis per dimension, from the last
# dimension backwards; leading dimensions (stacked layers) are not cut.
RULES: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    (r"attention/qkv/kernel", ("fsdp", "tensor")),
    (r"attention/qkv/bias", ("tensor",)),
    (r"attention/out/kernel", ("tensor", "fsdp")),
    (r"mlp/up/kernel", ("fsdp", "tensor")),
    (r"mlp/up/bias", ("tensor",)),
    (r"mlp/down/kernel", ("tensor", "fsdp")),
    # LoRA's factors are cut as their kernels are, so that merging them moves no data.
    (r"lora/.*(qkv|up)/a", ("fsdp", None)),
    (r"lora/.*(qkv|up)/b", (None, "tensor")),
    (r"lora/.*(out|down)/a", ("tensor", None)),
    (r"lora/.*(out|down)/b", (None, "fsdp")),
    (r"text/embedding", ("tensor", "fsdp")),
    # Its features go into a norm at once; cut, they would be put together on every device.
    (r"pieces/embedding", ("fsdp", None)),
    (r"projection/kernel", ("fsdp", None)),
    (r"kernel", ("fsdp", None)),
    (r"", ()),
)


def make_mesh(shape: config.Mesh, devices: list[jax.Device] | None = None) -> jax.sharding.Mesh:
    """Arrange devices as (data, fsdp, tensor).

    Raises:
        ConfigError: when the shape does not use exactly the devices at hand.
    """
    devices = jax.devices() if devices is None else devices
    sizes = np.array([shape.data, shape.fsdp, shape.tensor])
    if (sizes == -1).sum() > 1 or (sizes == 0).any() or (sizes < -1).any():
        raise ConfigError("config.mesh: sizes are positive, and at most one of them is -1")
    sizes[sizes == -1] = max(1, len(devices) // sizes[sizes != -1].prod())
    if sizes.prod() != len(devices):
        wanted = " x ".join(f"{axis} {size}" for axis, size in zip(AXES, sizes, strict=True))
        raise ConfigError(f"config.mesh: {wanted} does not make {len(devices)} devices")
    return jax.make_mesh(
        tuple(map(int, sizes)), AXES, axis_types=(AxisType.Auto,) * 3, devices=devices
    )


def partition(path: str, shape: tuple[int, ...], mesh: jax.sharding.Mesh) -> PartitionSpec:
    """Apply the first matching rule; an axis that does not divide its dimension is left out."""
    axes = next(axes for pattern, axes in RULES if re.search(f"{pattern}$", path))
    axes = (None,) * (len(shape) - len(axes)) + axes[-len(shape) or len(axes) :]
    fitting = [
        axis if axis is not None and size % mesh.shape[axis] == 0 else None
        for axis, size in zip(axes, shape, strict=True)
    ]
    while fitting and fitting[-1] is None:
        fitting.pop()
    return PartitionSpec(*fitting)


def state_sharding(abstract: Any, mesh: jax.sharding.Mesh) -> Any:
    """Return the sharding of each leaf of a training state, given its shapes."""
    return map_paths(
        lambda path, leaf: NamedSharding(mesh, partition(path, leaf.shape, mesh)), abstract
    )


def placed(abstract: Any, mesh: jax.sharding.Mesh) -> Any:
    """Return the shapes of a state, or of its parameters, together with their shardings."""
    return jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        abstract,
        state_sharding(abstract, mesh),
    )


def spread(params: Any, abstract: Any, mesh: jax.sharding.Mesh) -> Any:
    """Put parameters that every host holds in full onto the devices.

    Args:
        params: arrays of NumPy or of JAX.
        abstract: what they should be.
        mesh: the devices.

    Raises:
        ConversionError: when paths or shapes differ from those of `abstract`.
    """
    given, wanted = leaves_by_path(params), leaves_by_path(placed(abstract, mesh))
    shapes, expected = ({p: x.shape for p, x in leaves.items()} for leaves in (given, wanted))
    wrong = [
        f"  {path}: {shapes.get(path, 'absent')}, not {expected.get(path, 'absent')}"
        for path in sorted({*shapes, *expected})
        if shapes.get(path) != expected.get(path)
    ]
    if wrong:
        raise ConversionError("these are another model's parameters:\n" + "\n".join(wrong))

    def put(path: str, leaf: jax.Array | np.ndarray | np.generic) -> jax.Array:
        where, values = wanted[path].sharding, np.asarray(leaf, wanted[path].dtype)
        return jax.make_array_from_callback(values.shape, where, values.__getitem__)

    return map_paths(put, params)


def batch_sharding(mesh: jax.sharding.Mesh) -> NamedSharding:
    """Rows of a batch are spread over every device that holds its own part of the batch."""
    return NamedSharding(mesh, BATCH)


def check_batch_size(batch_size: int, mesh: jax.sharding.Mesh, microbatches: int = 1) -> None:
    """Raise ConfigError unless each device can be given the same number of rows at a time."""
    parts = mesh.shape["data"] * mesh.shape["fsdp"]
    if batch_size % parts:
        raise ConfigError(
            f"config.batch_size {batch_size} is not divisible by the {parts} devices "
            "of the mesh axes data and fsdp"
        )
    if batch_size // parts % microbatches:
        raise ConfigError(
            f"config.batch_size {batch_size}: the {batch_size // parts} rows of a device cannot be "
            f"divided into config.execution.microbatches {microbatches}"
        )
