"""The mesh and the table of rules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from kgclip_jax import config
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.presets import preset
from kgclip_jax.training.sharding import (
    check_rows,
    make_mesh,
    partition,
    row_shards,
    state_sharding,
)

MESH = config.Mesh(data=2, fsdp=2, tensor=2)


def test_minus_one_takes_the_remaining_devices():
    assert dict(make_mesh(config.Mesh(-1, 2, 2)).shape) == {"data": 2, "fsdp": 2, "tensor": 2}
    assert dict(make_mesh(config.Mesh()).shape) == {"data": 8, "fsdp": 1, "tensor": 1}
    one = make_mesh(config.Mesh(), jax.devices()[:1])
    assert one.devices.size == 1


@pytest.mark.parametrize("shape", [config.Mesh(3), config.Mesh(1)])
def test_a_mesh_that_does_not_fit_the_devices_is_refused(shape):
    with pytest.raises(ConfigError, match=r"config\.mesh"):
        make_mesh(shape)


@pytest.mark.parametrize(
    ("path", "shape", "expected"),
    [
        ("model/vision/blocks/attention/qkv/kernel", (2, 64, 192), P(None, "fsdp", "tensor")),
        ("model/vision/blocks/attention/out/kernel", (2, 64, 64), P(None, "tensor", "fsdp")),
        ("optimizer/mu/model/text/blocks/mlp/down/kernel", (2, 64, 32), P(None, "tensor", "fsdp")),
        ("model/vision/blocks/mlp/up/bias", (2, 64), P(None, "tensor")),
        ("model/text/embedding", (300, 32), P("tensor", "fsdp")),
        ("model/knowledge/pieces/embedding", (300, 32), P("fsdp")),
        ("model/knowledge/blocks/mlp/up/kernel", (2, 64, 64), P(None, "fsdp", "tensor")),
        ("model/vision/projection/kernel", (64, 64), P(None, "fsdp")),
        ("model/vision/projection/kernel", (128, 64), P("fsdp")),
        ("model/vision/projection/kernel", (63, 65), P()),  # fewer than FSDP_SMALLEST
        ("heads/fusion/table", (7, 512, 3), P(None, "fsdp")),
        ("model/vision/blocks/norm1/scale", (2, 32), P()),
        ("model/logit_scale", (), P()),
        ("adapters/vision/blocks/attention/qkv/a", (2, 512, 8), P(None, "fsdp")),
        ("adapters/vision/blocks/attention/qkv/b", (2, 8, 96), P(None, None, "tensor")),
        ("optimizer/mu/adapters/text/blocks/mlp/down/a", (2, 64, 8), P(None, "tensor")),
        ("adapters/text/blocks/mlp/down/b", (2, 8, 32), P()),
    ],
)
def test_tensor_cuts_by_name_and_fsdp_the_largest_dimension_that_it_divides(path, shape, expected):
    assert partition(path, shape, make_mesh(MESH)) == (expected, "")


@pytest.mark.parametrize(
    ("path", "shape", "expected"),
    [
        ("text/embedding", (301, 32), (P(None, "fsdp"), "tensor 2 does not divide 301")),
        ("heads/table", (65, 65), (P(), "fsdp 2 divides nothing of 65 x 65")),
        (
            "text/embedding",
            (301, 33),
            (P(), "tensor 2 does not divide 301 and fsdp 2 divides nothing of 301 x 33"),
        ),
        ("text/embedding", (49408, 1), (P("tensor"), "fsdp 2 divides nothing of 49408 x 1")),
        ("logit_scale", (), (P(), "")),
    ],
)
def test_what_is_wanted_and_cannot_be_is_left_out_and_said(path, shape, expected):
    assert partition(path, shape, make_mesh(MESH)) == expected
    assert partition(path, shape, make_mesh(config.Mesh())) == (P(), "")


def test_every_state_leaf_is_cut_like_its_parameter():
    mesh = make_mesh(MESH)
    leaf = jax.ShapeDtypeStruct((2, 64, 192), jnp.float32)
    params = {"model": {"vision": {"blocks": {"attention": {"qkv": {"kernel": leaf}}}}}}
    placed = state_sharding({"params": params, "optimizer": {"nu": params}}, mesh)
    specs = {place.spec for place in jax.tree.leaves(placed)}
    assert specs == {P(None, "fsdp", "tensor")}


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


def test_rows_that_devices_cannot_share_are_refused_with_the_nearest_numbers():
    mesh = make_mesh(config.Mesh(4, 2))

    def batch(rows):
        return {"captions": {"image": np.zeros((16, 3)), "entities": np.zeros(rows)}}

    check_rows(batch(16), mesh, 1)
    check_rows(batch(16), mesh, 2)
    with pytest.raises(ConfigError, match=r"captions\.entities: 12 rows .* 8 devices .* 8 or 16"):
        check_rows(batch(12), mesh, 1)
    with pytest.raises(ConfigError, match=r"image: 16 rows .*microbatches 4; possible near it: 32"):
        check_rows(batch(32), mesh, 4)


def test_tensor_neighbours_get_the_same_rows():
    mesh = make_mesh(MESH)
    assert row_shards(mesh) == 4
    check_rows({"captions": np.zeros(4)}, mesh, 1)
