"""Items of pictures and captions that fit; what suites make of decisions, their tests show."""

from itertools import permutations

import numpy as np
import pytest

from kgclip_jax.data.evaluation_sets import ChoiceSet
from kgclip_jax.data.questions import ask_to_match, ask_which
from kgclip_jax.evaluation.choice import decide, evaluate_choices
from tests.array_pictures import ArrayPictures

MATCHING = [((0, 0), (1, 1))]  # picture 0 fits text 0, picture 1 text 1


def decisions(scores, both_at_once=False):
    """Whether the decisions about one item of scores[picture][caption] come out right."""
    scores = np.array(scores, dtype=np.float64)
    return {
        question.metric: decide(question, scores, np.eye(2)).tolist()
        for question in ask_to_match(MATCHING, both_at_once=both_at_once)
    }


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
    assert decisions(scores) == {"text": text, "image": image, "group": [group]}
    together = decisions(scores, both_at_once=True)
    assert together == {"text": [all(text)], "image": [all(image)], "group": [group]}


@pytest.mark.parametrize("both_at_once", [False, True])
def test_chance_is_the_share_of_all_orders(both_at_once):
    orders = [np.reshape(order, (2, 2)) for order in permutations(range(4))]
    right = [decisions(order, both_at_once) for order in orders]
    for question in ask_to_match(MATCHING, both_at_once=both_at_once):
        shares = [np.mean(outcome[question.metric]) for outcome in right]
        assert np.mean(shares) == pytest.approx(question.chance)


def test_nothing_to_match():
    assert ask_to_match([], both_at_once=True) == []


class Vectors:
    """Embeds picture n and text n as given."""

    def __init__(self, images, texts):
        self.images, self.texts = (np.asarray(v, np.float32) for v in (images, texts))

    def encode_image(self, images):
        return self.images[images[:, 0, 0, 0]]

    def encode_text(self, texts):
        return self.texts[[int(text) for text in texts]]


def rows(images, texts):
    """Evaluate items whose pictures and captions have the given (items, 2, d) embeddings."""
    count = 2 * len(images)
    pictures = np.zeros((count, 2, 2, 3), np.uint8)
    pictures[:, 0, 0, 0] = np.arange(count)
    items = [((n, n), (n + 1, n + 1)) for n in range(0, count, 2)]
    questions = ask_to_match(items, both_at_once=False)
    data = ChoiceSet("swaps", ArrayPictures(pictures), [*map(str, range(count))], questions)
    encoder = Vectors(np.reshape(images, (count, -1)), np.reshape(texts, (count, -1)))
    return {(row.metric, row.blind): row for row in evaluate_choices(encoder, data)}


def drawn(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def test_rows_of_a_perfect_encoder():
    vectors = drawn(0, 30, 2, 16)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    found = rows(vectors, vectors)
    assert [*found] == [
        ("text", False),
        ("text", True),
        ("image", False),
        ("image", True),
        ("group", False),
        ("group", True),
    ]
    assert [row.value for row in found.values() if not row.blind] == [1, 1, 1]
    assert [row.n for row in found.values()] == [60, 60, 60, 60, 30, 30]
    chances = [1 / 2, 1 / 2, 1 / 2, 1 / 2, 1 / 6, 1 / 6]
    assert [row.chance for row in found.values()] == chances
    for row in found.values():
        assert not row.blind or row.low <= row.chance <= row.high


@pytest.mark.parametrize("side", ["picture", "caption"])
def test_an_encoder_that_ignores_one_side_is_at_exactly_one_half(side):
    seen = drawn(5, 50, 2, 8)
    constant = np.broadcast_to(drawn(6, 8), seen.shape)
    found = rows(constant, seen) if side == "picture" else rows(seen, constant)
    decided, undecided = ("text", "image") if side == "picture" else ("image", "text")
    assert found[decided, False].value == found[decided, True].value == 0.5
    assert found[undecided, False].value == found[undecided, True].value == 0  # ties
    assert found["group", False].value == found["group", True].value == 0
    text = found[decided, False]
    assert (text.low, text.high) == (0.5, 0.5)  # whole items are resampled


def test_first_pictures_and_first_captions_that_have_something_in_common_are_found_out():
    """Each item is balanced, so texts alone give nothing: but the set gives itself away."""
    pictures, captions = drawn(1, 40, 2, 8), drawn(2, 40, 2, 8)
    fair = rows(pictures, captions)
    assert fair["text", True].low < 0.5 < fair["text", True].high
    for side, mark in ((0, 9), (1, -9)):  # as if a watermark went with a wording
        pictures[:, side, 0] = captions[:, side, 0] = mark
    leaking = rows(pictures, captions)
    for metric in ("text", "image", "group"):
        assert leaking[metric, True].value == 1


def which(scores):
    """Share of right decisions about one item of scores[picture][caption]."""
    count = len(scores)
    questions = ask_which([[(n, n) for n in range(count)]], "colour")
    assert [question.metric for question in questions] == ["colour, text", "colour, image"]
    scores = np.array(scores, dtype=np.float64)
    return [decide(question, scores, np.eye(count)).tolist() for question in questions]


@pytest.mark.parametrize(
    ("scores", "text", "image"),
    [
        ([[9, 1, 2], [3, 8, 4], [5, 6, 7]], [1, 1, 1], [1, 1, 1]),
        ([[9, 1, 2], [8, 1, 2], [7, 1, 2]], [1, 0, 0], [1, 0, 0]),  # blind: caption 0 always
        ([[5, 1, 6], [1, 5, 1], [1, 1, 6]], [0, 1, 1], [1, 1, 0]),  # a tie is wrong
        ([[1, 1, 1]] * 3, [0, 0, 0], [0, 0, 0]),
    ],
)
def test_an_own_caption_or_picture_has_to_beat_all_others_of_the_item(scores, text, image):
    assert which(scores) == [text, image]


def test_chance_of_items_of_unequal_size_is_that_of_random_scores():
    sizes = [2, 3, 6, 6] * 300
    ends = np.cumsum(sizes)
    items = [
        [(n, n) for n in range(end - size, end)] for size, end in zip(sizes, ends, strict=True)
    ]
    pictures, captions = drawn(7, ends[-1], 16), drawn(8, ends[-1], 16)
    for question in ask_which(items, "x"):
        assert question.chance == 4 / 17
        assert question.clusters.tolist() == np.repeat(np.arange(1200), sizes).tolist()
        outcome = decide(question, pictures, captions)
        assert outcome.mean() == pytest.approx(question.chance, abs=0.03)
    blind = decide(ask_which(items, "x")[0], np.ones((ends[-1], 1)), captions[:, :1])
    assert blind.mean() == 4 / 17
