"""The mesh and the table of rules."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec as P

from kgclip_jax import config
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.presets import preset
from kgclip_jax.training.sharding import check_batch_size, make_mesh, partition, state_sharding

MESH = config.Mesh(data=2, fsdp=2, tensor=2)


def test_minus_one_takes_the_remaining_devices():
    assert dict(make_mesh(config.Mesh(-1, 2, 2)).shape) == {"data": 2, "fsdp": 2, "tensor": 2}
    assert dict(make_mesh(config.Mesh()).shape) == {"data": 8, "fsdp": 1, "tensor": 1}
    one = make_mesh(config.Mesh(), jax.devices()[:1])
    assert one.devices.size == 1


@pytest.mark.parametrize(
    "shape", [config.Mesh(3), config.Mesh(-1, -1), config.Mesh(0), config.Mesh(1)]
)
def test_a_mesh_that_does_not_fit_the_devices_is_refused(shape):
    with pytest.raises(ConfigError, match=r"config\.mesh"):
        make_mesh(shape)


@pytest.mark.parametrize(
    ("path", "shape", "expected"),
    [
        ("vision/blocks/attention/qkv/kernel", (2, 32, 96), P(None, "fsdp", "tensor")),
        ("vision/blocks/attention/out/kernel", (2, 32, 32), P(None, "tensor", "fsdp")),
        ("optimizer/mu/text/blocks/mlp/down/kernel", (2, 64, 32), P(None, "tensor", "fsdp")),
        ("vision/blocks/mlp/up/bias", (2, 64), P(None, "tensor")),
        ("text/embedding", (300, 32), P("tensor", "fsdp")),
        ("text/embedding", (301, 32), P(None, "fsdp")),  # 2 does not divide 301
        ("knowledge/pieces/embedding", (300, 32), P("fsdp")),
        ("knowledge/blocks/mlp/up/kernel", (2, 32, 64), P(None, "fsdp", "tensor")),
        ("vision/projection/kernel", (32, 32), P("fsdp")),
        ("vision/blocks/norm1/scale", (2, 32), P()),
        ("logit_scale", (), P()),
        ("lora/vision/blocks/attention/qkv/a", (2, 32, 8), P(None, "fsdp")),
        ("lora/vision/blocks/attention/qkv/b", (2, 8, 96), P(None, None, "tensor")),
        ("optimizer/mu/lora/text/blocks/mlp/down/a", (2, 64, 8), P(None, "tensor")),
        ("lora/text/blocks/mlp/down/b", (2, 8, 32), P(None, None, "fsdp")),
    ],
)
def test_rules_name_axes_from_the_last_dimension_backwards(path, shape, expected):
    assert partition(path, shape, make_mesh(MESH)) == expected


def test_large_parameters_are_spread_over_fsdp_and_tensor():
    mesh = make_mesh(MESH)
    model = Model(preset("ViT-B-32"))
    abstract = model.abstract()
    placed = state_sharding(abstract, mesh)
    held = sum(
        jnp.prod(jnp.array(place.shard_shape(leaf.shape)))
        for leaf, place in zip(jax.tree.leaves(abstract), jax.tree.leaves(placed), strict=True)
    )
    total = sum(leaf.size for leaf in jax.tree.leaves(abstract))
    assert held / total < 0.27


def test_a_batch_that_devices_cannot_share_is_refused():
    mesh = make_mesh(config.Mesh(4, 2))
    check_batch_size(16, mesh)
    check_batch_size(16, mesh, microbatches=2)
    with pytest.raises(ConfigError, match="12 is not divisible by the 8"):
        check_batch_size(12, mesh)
    with pytest.raises(ConfigError, match=r"the 2 rows of a device .*microbatches 4"):
        check_batch_size(16, mesh, microbatches=4)
