"""The fusion transformer: what is absent has no influence, and drop path leaves rows alone."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.batch import Features
from kgclip_jax.models import spec
from kgclip_jax.models.fusion import FusionHead
from kgclip_jax.models.heads import bind_head, init_head
from kgclip_jax.models.presets import preset

TINY = preset("tiny")
HEAD = FusionHead(
    transformer=spec.Transformer(width=24, depth=2, heads=3, mlp_width=48), relations=7
)
ROWS, PATCHES, WORDS = 6, 5, 4
MASKINGS = pytest.mark.parametrize("masking", ["zeros", "key_mask"])


def fusion(**changes):
    head = replace(HEAD, **changes)
    rng = np.random.default_rng(1)
    params = jax.tree.map(
        lambda leaf: 0.3 * jnp.asarray(rng.standard_normal(leaf.shape), jnp.float32),
        init_head(head, "fusion", TINY, 0),
    )
    return bind_head(head, TINY, params)


def pooled(rng):
    vectors = rng.normal(size=(ROWS, TINY.embedding))
    return jnp.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), jnp.float32)


def image(seed):
    rng = np.random.default_rng(seed)
    tokens = rng.normal(size=(ROWS, PATCHES, TINY.vision.transformer.width))
    return Features(pooled(rng), jnp.asarray(tokens, jnp.float32), None, None)


def text(seed):
    rng = np.random.default_rng(seed)
    tokens = rng.normal(size=(ROWS, WORDS, TINY.text.transformer.width))
    visible = np.arange(WORDS) < rng.integers(1, WORDS + 1, (ROWS, 1))
    return Features(pooled(rng), jnp.asarray(tokens, jnp.float32), jnp.asarray(visible), None)


def relation(seed):
    pooled = np.random.default_rng(seed).normal(size=(ROWS, TINY.embedding))
    return Features(jnp.asarray(pooled, jnp.float32), None, None, None)


def there(head, relation, tail):
    return jnp.asarray([[head, relation, tail]] * ROWS, bool)


def same(one, two):
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first, second)


@MASKINGS
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("view", [image, text])
def test_what_is_absent_changes_nothing(masking, residual, view):
    module = fusion(masking=masking, residual=residual)
    head, other = view(0), view(1)
    for present, changed in [
        (there(True, True, False), (head, relation(2), other)),
        (there(True, False, True), (head, relation(3), view(4))),
        (there(False, False, True), (other, relation(3), view(4))),
    ]:
        (kept,) = module(head, relation(2), view(4), [present])
        (moved,) = module(*changed, [present])
        same(kept, moved)
    (whole,) = module(head, relation(2), view(4), [there(True, True, True)])
    (moved,) = module(other, relation(2), view(4), [there(True, True, True)])
    assert np.abs(whole.pooled - moved.pooled).max() > 1e-3
    assert np.abs(whole.relation - moved.relation).max() > 1e-3


@MASKINGS
def test_padding_of_texts_changes_nothing(masking):
    module = fusion(masking=masking)
    head, tail = text(0), text(1)
    junk = jnp.where(tail.visible[..., None], tail.tokens, 9.0)
    present = [there(True, True, True), there(False, False, True)]
    for kept, moved in zip(
        module(head, relation(2), tail, present),
        module(head, relation(2), tail._replace(tokens=junk), present),
        strict=True,
    ):
        same(kept, moved)
    np.testing.assert_array_equal(module.entity(tail), module.entity(tail._replace(tokens=junk)))


@MASKINGS
def test_readings_in_one_pass_are_those_of_one_each(masking):
    module = fusion(masking=masking)
    present = [there(True, True, False), there(False, False, True), there(True, False, True)]
    seeds = jnp.arange(2 * ROWS, dtype=jnp.uint32).reshape(ROWS, 2)
    arguments = image(0), relation(1), text(2)
    together = module(*arguments, present, seeds)
    for found, alone in zip(together, present, strict=True):
        (expected,) = module(*arguments, [alone], seeds)
        np.testing.assert_allclose(found.pooled, expected.pooled, atol=2e-6)
        np.testing.assert_allclose(found.relation, expected.relation, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together[0].pooled, axis=1), 1, rtol=1e-6)


def test_an_entity_alone_is_a_tail_without_the_rest():
    """Where what is absent is not seen; zeros that take part change it."""
    for masking, equal in (("key_mask", True), ("zeros", False)):
        module = fusion(masking=masking)
        (found,) = module(image(0), relation(1), text(2), [there(False, False, True)])
        assert np.allclose(module.entity(text(2)), found.pooled, atol=2e-6) == equal


def test_a_fresh_residual_fusion_says_what_the_embeddings_of_entities_say():
    head = replace(HEAD, residual=True)
    module = bind_head(head, TINY, init_head(head, "fusion", TINY, 0))
    one, other = image(0), text(1)
    readings = module(
        one, relation(2), other, [there(True, True, False), there(False, False, True)]
    )
    for found, expected in zip(readings, (one.pooled, other.pooled), strict=True):
        np.testing.assert_allclose(found.pooled, expected, atol=1e-6)
    np.testing.assert_allclose(module.entity(other), other.pooled, atol=1e-6)
    changed = fusion(residual=True).entity(other)
    assert np.abs(changed - other.pooled).max() > 1e-2


def test_slots_and_modalities_are_told_apart():
    module = fusion()
    same_tokens = text(0)._replace(visible=jnp.ones((ROWS, WORDS), bool))
    as_image = same_tokens._replace(visible=None)
    module.image = module.text  # what is left is the embedding of the modality
    (first,) = module(same_tokens, relation(1), text(2), [there(True, False, False)])
    (second,) = module(text(2), relation(1), same_tokens, [there(False, False, True)])
    (third,) = module(as_image, relation(1), text(2), [there(True, False, False)])
    assert np.abs(first.pooled - second.pooled).max() > 1e-3
    assert np.abs(first.pooled - third.pooled).max() > 1e-3


def test_drop_path_is_a_function_of_the_row_s_seed():
    module = fusion(drop_path=0.5)
    seeds = jnp.asarray(np.random.default_rng(0).integers(2**32, size=(ROWS, 2)), jnp.uint32)
    present = [there(True, True, True)]
    arguments = image(0), relation(1), text(2)
    (found,) = module(*arguments, present, seeds)
    (without,) = module(*arguments, present)
    order = jnp.arange(ROWS)[::-1]
    (turned,) = module(
        *jax.tree.map(lambda leaf: leaf[order], arguments), [present[0]], seeds[order]
    )
    np.testing.assert_allclose(turned.pooled[order], found.pooled, atol=2e-6)
    assert (np.abs(found.pooled - without.pooled).max(axis=1) > 1e-3).any()
    (none,) = fusion(drop_path=0.0)(*arguments, present, seeds)
    np.testing.assert_array_equal(none.pooled, without.pooled)


def test_the_scale_is_learned_and_limited():
    params = init_head(HEAD, "fusion", TINY, 0)
    assert bind_head(HEAD, TINY, params).scale == pytest.approx(1 / 0.07, rel=1e-6)

    def scale(log_scale):
        return bind_head(HEAD, TINY, params | {"log_scale": log_scale}).scale

    value, gradient = jax.value_and_grad(scale)(jnp.log(jnp.asarray(500.0)))
    assert value == pytest.approx(100, rel=1e-6)
    assert gradient > 0
