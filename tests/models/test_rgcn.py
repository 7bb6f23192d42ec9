"""The graph network against a plain loop over edges."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from kgclip_jax.models.heads import bind_head, init_head
from kgclip_jax.models.presets import preset
from kgclip_jax.models.rgcn import RgcnHead

TINY = replace(preset("tiny"), embedding=6)
HEAD = RgcnHead(relations=3, depth=2, bases=2)
M, K = 9, 4


def network(**changes):
    head = replace(HEAD, **changes)
    return bind_head(head, TINY, init_head(head, "gnn", TINY, 0))


def inputs():
    rng = np.random.default_rng(0)
    mask = rng.random((M, K)) < 0.6
    mask[3] = False
    return (
        jnp.asarray(rng.normal(size=(M, 6)), jnp.float32),
        jnp.asarray(rng.integers(M, size=(M, K)), jnp.int32),
        jnp.asarray(rng.integers(3, size=(M, K)), jnp.int32),
        jnp.asarray(mask),
    )


def loop(module, x, neighbours, relations, mask):
    """Schlichtkrull et al. 2018, equations 2 and 3, edge by edge."""
    x = np.float64(x)
    for number, layer in enumerate(module.layers):
        x = np.maximum(x, 0) if number else x
        shares, bases = np.float64(layer.shares[...]), np.float64(layer.bases[...])
        matrices = np.einsum("rb,bde->rde", shares, bases)
        own = x @ np.float64(layer.self_loop.kernel[...]) + np.float64(layer.self_loop.bias[...])
        sums = np.zeros_like(own)
        for i, k in zip(*np.nonzero(mask), strict=True):
            sums[i] += x[neighbours[i, k]] @ matrices[relations[i, k]] / mask[i].sum()
        x = own + sums
    return x


def test_it_is_a_sum_over_edges():
    module, arguments = network(), inputs()
    np.testing.assert_allclose(
        module(*arguments), loop(module, *map(np.asarray, arguments)), rtol=1e-4, atol=1e-5
    )


def test_order_and_masked_neighbours_do_not_matter():
    module, (x, neighbours, relations, mask) = network(), inputs()
    found = module(x, neighbours, relations, mask)
    order = np.array([2, 0, 3, 1])
    turned = module(x, neighbours[:, order], relations[:, order], mask[:, order])
    np.testing.assert_allclose(turned, found, atol=1e-5)
    other = jnp.where(mask, neighbours, 0), jnp.where(mask, relations, 2)
    np.testing.assert_array_equal(module(x, *other, mask), found)


def test_a_layer_reaches_as_far_as_one_edge():
    """A chain 0 <- 1 <- 2 <- 3: two layers bring the second neighbour, not the third."""
    neighbours = jnp.asarray([[1], [2], [3], [0]], jnp.int32)
    relations, mask = jnp.zeros((4, 1), jnp.int32), jnp.asarray([[1], [1], [1], [0]], bool)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 6)), jnp.float32)

    def first(x, depth):
        return network(depth=depth)(x, neighbours, relations, mask)[0].sum()

    for depth in (1, 2, 3):
        reach = np.abs(jax.grad(first)(x, depth)).max(axis=1) > 0
        assert reach.tolist() == [True] * (depth + 1) + [False] * (3 - depth)
