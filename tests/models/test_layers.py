"""Hand-written gradients against autodiff; norms and activations against their formulas."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from kgclip_jax.models.attention import attention, causal
from kgclip_jax.models.layers import LayerNorm, gelu_erf, gelu_tanh, matmul, quick_gelu


def _normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def _plain_attention(q, k, v, visible):
    logits = jnp.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
    if visible is not None:
        logits = jnp.where(visible[:, None], logits, -1e30)
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(logits), v)


def _lower_triangle(n):
    return (jnp.arange(n)[:, None] >= jnp.arange(n)[None])[None]


SCATTERED = jax.random.bernoulli(jax.random.key(9), 0.5, (2, 7, 7)) | jnp.eye(7, dtype=bool)


def test_matmul_and_its_gradient_are_those_of_the_product():
    x, kernel, weight = _normal(0, 6, 5), _normal(1, 5, 4), _normal(2, 6, 4)
    np.testing.assert_allclose(matmul(x, kernel), x @ kernel, rtol=1e-6)
    ours = jax.jit(jax.grad(lambda *a: (matmul(*a) * weight).sum(), argnums=(0, 1)))(x, kernel)
    plain = jax.grad(lambda x, k: ((x @ k) * weight).sum(), argnums=(0, 1))(x, kernel)
    for mine, theirs in zip(ours, plain, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "visible", [None, _lower_triangle(7), SCATTERED], ids=["all", "causal", "scattered"]
)
def test_attention_and_its_gradient_are_those_of_the_formula(visible):
    q, k, v, weight = (_normal(i, 2, 7, 3, 4) for i in range(4))
    np.testing.assert_allclose(
        attention(q, k, v, visible), _plain_attention(q, k, v, visible), atol=1e-6
    )

    def gradients(function):
        loss = lambda *a: (function(*a, visible) * weight).sum()  # noqa: E731
        return jax.grad(loss, argnums=(0, 1, 2))(q, k, v)

    for mine, theirs in zip(gradients(attention), gradients(_plain_attention), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-6)


def test_causal_attention_does_not_see_the_future():
    q, k, v = (_normal(i, 1, 5, 2, 4) for i in range(3))
    changed = attention(q, k.at[:, 3:].set(9.0), v.at[:, 3:].set(9.0), causal(5))
    np.testing.assert_array_equal(changed[:, :3], attention(q, k, v, causal(5))[:, :3])


def test_a_query_that_sees_nothing_is_finite_and_disturbs_no_gradient():
    q, k, v = (_normal(i, 2, 4, 1, 3) for i in range(3))
    blind = jnp.array([True, False])[:, None, None] & jnp.ones((1, 4, 4), bool)

    def first(q, k, v):
        return attention(q, k, v, blind)[0].sum()

    assert np.isfinite(attention(q, k, v, blind)).all()
    for gradient in jax.grad(first, argnums=(0, 1, 2))(q, k, v):
        assert np.isfinite(gradient).all()
        np.testing.assert_array_equal(gradient[1], 0)


def test_layer_norm_uses_the_given_epsilon():
    x = 1e-3 * _normal(0, 4, 8)
    norm = LayerNorm(8, eps=1e-2)
    expected = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-2)
    np.testing.assert_allclose(norm(x), expected, rtol=1e-5)
    flax = nnx.LayerNorm(8, epsilon=1e-2, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(norm(x), flax(x), rtol=1e-4, atol=1e-7)


def test_activations_are_told_apart():
    x = np.linspace(-3, 3, 13, dtype=np.float32)
    exact = [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()]
    tanh = [
        0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))
        for v in x.tolist()
    ]
    quick = [v / (1 + math.exp(-1.702 * v)) for v in x.tolist()]
    for function, expected in ((gelu_erf, exact), (gelu_tanh, tanh), (quick_gelu, quick)):
        np.testing.assert_allclose(function(jnp.asarray(x)), expected, atol=2e-6)
    assert np.abs(np.subtract(exact, tanh)).max() > 1e-4
