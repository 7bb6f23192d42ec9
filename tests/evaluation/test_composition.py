from itertools import permutations

import numpy as np
import pytest

from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.composition import (
    GROUP_CHANCE,
    evaluate_composition,
    group_correct,
    image_correct,
    pair_scores,
    text_correct,
)
from kgclip_jax.types import CompositionSet


def make(table_encoder, pictures, image_vectors, caption_vectors, name="swaps"):
    """Build an encoder and a set from vectors of shape (items, 2, d)."""
    count = len(image_vectors)
    captions = [(f"{i} left", f"{i} right") for i in range(count)]
    texts = [text for pair in captions for text in pair]
    flat = image_vectors.reshape(2 * count, -1)
    vectors = dict(zip(texts, caption_vectors.reshape(2 * count, -1), strict=True))
    images = pictures(2 * count).reshape(count, 2, 2, 2, 3)
    return table_encoder(flat, vectors), CompositionSet(name, images, captions)


def by_name(results):
    return {(row.metric, row.blind): row for row in results}


# scores[picture][caption] of one item, and what is right: (text, image, group)
@pytest.mark.parametrize(
    ("scores", "text", "image", "group"),
    [
        ([[4, 1], [2, 3]], [1, 1], [1, 1], 1),
        ([[4, 3], [2, 1]], [1, 0], [1, 0], 0),  # the blind scorer: caption 0 always
        ([[2, 1], [4, 3]], [1, 0], [0, 1], 0),
        ([[3, 1], [4, 5]], [1, 1], [0, 1], 0),
        ([[1, 4], [3, 2]], [0, 0], [0, 0], 0),
        ([[1, 1], [1, 1]], [0, 0], [0, 0], 0),  # ties are wrong
        ([[2, 2], [1, 3]], [0, 1], [1, 1], 0),
    ],
)
def test_decisions_of_one_item(scores, text, image, group):
    scores = np.array([scores], dtype=np.float64)
    assert text_correct(scores).tolist() == [[bool(t) for t in text]]
    assert image_correct(scores).tolist() == [[bool(i) for i in image]]
    assert group_correct(scores).tolist() == [bool(group)]


def test_group_chance_is_the_share_of_all_orders():
    orders = np.array(list(permutations(range(4))), dtype=np.float64).reshape(-1, 2, 2)
    assert group_correct(orders).mean() == pytest.approx(GROUP_CHANCE)
    assert text_correct(orders).mean() == 0.5
    assert image_correct(orders).mean() == 0.5


def test_pair_scores_agree_with_loops(random_units):
    images, captions = random_units(0, 5, 2, 7), random_units(1, 5, 2, 7)
    scores = pair_scores(images, captions)
    for item in range(5):
        for p in range(2):
            for c in range(2):
                expected = np.dot(images[item, p], captions[item, c])
                assert scores[item, p, c] == pytest.approx(expected, abs=1e-6)


def test_rows_of_a_perfect_encoder(table_encoder, pictures, random_units):
    vectors = random_units(0, 30, 2, 16)
    rows = evaluate_composition(*make(table_encoder, pictures, vectors, vectors))
    assert [(row.metric, row.blind) for row in rows] == [
        ("text", False),
        ("text", True),
        ("image", False),
        ("image", True),
        ("group", False),
    ]
    assert [row.value for row in rows] == [1, 0.5, 1, 0.5, 1]
    assert [row.n for row in rows] == [60, 60, 60, 60, 30]
    assert [row.chance for row in rows] == [1 / 2, 1 / 2, 1 / 2, 1 / 2, 1 / 6]
    assert {(row.task, row.set_name) for row in rows} == {("composition", "swaps")}


def test_random_embeddings_are_at_chance(table_encoder, pictures, random_units):
    vectors = random_units(3, 600, 2, 64), random_units(4, 600, 2, 64)
    rows = by_name(evaluate_composition(*make(table_encoder, pictures, *vectors)))
    for row in rows.values():
        assert row.low <= row.chance <= row.high
        assert row.blind == (row.low == row.high)


@pytest.mark.parametrize("side", ["picture", "caption"])
def test_an_encoder_that_ignores_one_side_is_at_exactly_one_half(
    table_encoder, pictures, random_units, side
):
    seen = random_units(5, 50, 2, 8)
    constant = np.broadcast_to(random_units(6, 8), seen.shape)
    vectors = (constant, seen) if side == "picture" else (seen, constant)
    rows = by_name(evaluate_composition(*make(table_encoder, pictures, *vectors)))
    decided, undecided = ("text", "image") if side == "picture" else ("image", "text")
    assert rows[decided, False].value == rows[decided, True].value == 0.5
    assert rows[undecided, False].value == rows[undecided, True].value == 0  # ties
    assert rows["group", False].value == 0


def test_blind_rows_score_against_the_mean_of_the_set(table_encoder, pictures):
    # Mean picture (0, 1): it prefers caption 0 of both items; the tie of item 1's pictures remains.
    images = np.array([[[1, 0], [-1, 0]], [[0, 1], [0, 1]]])
    captions = np.array([[[1, 1], [-1, -1]], [[0, 1], [1, 0]]])
    rows = by_name(evaluate_composition(*make(table_encoder, pictures, images, captions)))
    assert rows["text", True].value == 0.5
    assert rows["text", False].value == 3 / 4
    assert rows["image", False].value == 2 / 4
    # Mean caption is along (1, 1): it prefers picture 0 of item 0 and is undecided on item 1.
    assert rows["image", True].value == 1 / 4


def test_the_interval_resamples_items(table_encoder, pictures):
    # Every item has one decision right: the share cannot vary between resamples of items.
    images = np.broadcast_to([1.0, 0.0], (20, 2, 2))
    captions = np.broadcast_to([[1.0, 0.0], [0.0, 1.0]], (20, 2, 2))
    rows = by_name(evaluate_composition(*make(table_encoder, pictures, images, captions)))
    text = rows["text", False]
    assert (text.low, text.value, text.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("count", "captions", "message"),
    [
        (0, [], "is empty"),
        (2, [("a", "b")], "2 pairs of pictures but 1 pairs of captions"),
        (2, [("a", "b"), ("c", "c")], "both captions of item 1 are 'c'"),
    ],
)
def test_bad_sets_are_refused(table_encoder, count, captions, message):
    data = CompositionSet("flawed", np.zeros((count, 2, 2, 2, 3), dtype=np.uint8), captions)
    with pytest.raises(DataError, match=f"'flawed'.*{message}"):
        evaluate_composition(table_encoder(np.ones((1, 2)), {}), data)
