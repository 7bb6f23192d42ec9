"""Which texts are candidates for which images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.objectives.pairs import ABSENT, candidates_of, compare, products, queries_of

B, K = 4, 2


def present(ids=None, negative_ids=None, negative_mask=None):
    """Of 4 images (rows), the 4 captions and the (4, 2) negatives that are candidates."""
    rows, twins = jnp.ones((B, 3)), jnp.ones((B, K, 3))
    ids = None if ids is None else jnp.array(ids, jnp.int32)
    negative_ids = None if negative_ids is None else jnp.array(negative_ids, jnp.int32)
    candidates = candidates_of(rows, ids, twins, negative_mask, negative_ids)
    comparison = compare(queries_of(rows, ids), candidates, jnp.ones(()))
    np.testing.assert_array_equal(comparison.logits > ABSENT, comparison.present)
    np.testing.assert_array_equal(comparison.own[..., 0], np.eye(B, dtype=bool))
    assert not comparison.own[..., 1:].any()
    lost = candidates.present[None] & ~comparison.present
    np.testing.assert_array_equal(comparison.equal, lost.sum(axis=(1, 2)))
    return np.asarray(comparison.present[..., 0]), np.asarray(comparison.present[..., 1:])


def without(*places):
    """Captions that are candidates when these (image, caption) are not."""
    expected = np.ones((B, B), bool)
    for place in places:
        expected[place] = False
    return expected


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (None, without()),
        ([[-1, -1]] * B, without()),
        ([[7, 1], [8, 2], [7, 3], [9, 4]], without((0, 2), (2, 0))),
        ([[7, 1], [8, 2], [9, 3], [6, 2]], without((1, 3), (3, 1))),
        ([[1, 2], [2, 1], [3, 3], [4, 4]], without()),  # a text and a picture of one number
        ([[7, -1], [7, -1], [-1, 5], [-1, 5]], without((0, 1), (1, 0), (2, 3), (3, 2))),
        ([[-5, 0], [-5, 1], [0, 2], [0, 3]], without((0, 1), (1, 0), (2, 3), (3, 2))),
    ],
    ids=["none", "unknown", "text", "picture", "crossed", "half known", "any number"],
)
def test_captions_of_equal_ids_are_left_out_both_ways(ids, expected):
    captions, negatives = present(ids)
    np.testing.assert_array_equal(captions, expected)
    assert negatives.all()


def test_negatives_that_say_what_a_caption_says_are_left_out_for_its_image():
    ids = [[7, 1], [8, 2], [9, 3], [-1, 4]]
    captions, negatives = present(ids, [[8, 5], [8, -1], [1, 2], [-1, 7]])
    assert captions.all()
    expected = np.ones((B, B, K), bool)
    expected[1, 0, 0] = expected[1, 1, 0] = expected[0, 3, 1] = False
    np.testing.assert_array_equal(negatives, expected)


def test_absent_negatives_are_absent_for_all_and_not_counted_as_equal():
    mask = jnp.zeros((B, K), bool).at[2, 1].set(True)
    _, negatives = present([[7, 1]] * B, [[7, 7]] * B, mask)
    assert not negatives.any()
    _, negatives = present(None, None, mask)
    np.testing.assert_array_equal(negatives, np.broadcast_to(mask, (B, B, K)))


def test_similarities_alone_are_asked_for_in_full_precision():
    """Not what the gradient multiplies."""
    rows, twins = jnp.ones((B, 3)), jnp.ones((B, K, 3))
    program = jax.jit(jax.grad(lambda x, y: products(x, y).sum(), (0, 1))).lower(rows, twins)
    assert "HIGHEST" not in program.as_text()
    assert "HIGHEST" in jax.jit(products).lower(rows, twins).as_text()
