import numpy as np
import pytest

from kgclip_jax.data.evaluation_sets import RetrievalSet
from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.examples import Found, retrieval_examples


@pytest.fixture
def ordered(table_encoder, pictures):
    """Ten pictures along a quarter circle; caption i points at picture i, "far" at picture 0."""
    angles = np.linspace(0, np.pi / 2, 10)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    captions = [f"caption {i}" for i in range(10)] + ["far"]
    texts = dict(zip(captions, [*vectors, vectors[0]], strict=True))
    data = RetrievalSet("arc", pictures(10), captions, np.array([*range(10), 9]))
    return table_encoder(vectors, texts), data


def test_the_nearest_come_first_and_the_right_one_is_marked(ordered):
    examples = retrieval_examples(*ordered, 11)
    caption, found = examples.found_images[0]
    assert caption == 0
    assert [(f.candidate, f.rank, f.right) for f in found] == [
        (0, 1, True),
        (1, 2, False),
        (2, 3, False),
        (3, 4, False),
        (4, 5, False),
    ]
    assert found[0].score == pytest.approx(1)


def test_a_right_answer_beyond_the_five_follows_with_its_rank(ordered):
    caption, found = retrieval_examples(*ordered, 11).found_images[-1]
    assert caption == 10
    assert len(found) == 6
    assert found[-1] == Found(9, 10, pytest.approx(0, abs=1e-6), True)
    assert not any(f.right for f in found[:-1])


def test_a_wrong_answer_of_equal_score_comes_first(ordered):
    encoder, data = ordered
    image, found = retrieval_examples(encoder, data, 10).found_captions[0]
    assert image == 0
    assert [(f.candidate, f.right) for f in found[:2]] == [(10, False), (0, True)]


def test_all_captions_of_a_picture_are_right(ordered):
    encoder, data = ordered
    examples = retrieval_examples(encoder, data._replace(owners=np.arange(11) // 2), 99)
    found = dict(examples.found_captions)[1]
    assert {f.candidate for f in found if f.right} == {2, 3}


def test_queries_are_spread_evenly(ordered):
    examples = retrieval_examples(*ordered, 2)
    assert [caption for caption, _ in examples.found_images] == [2, 8]
    assert [image for image, _ in examples.found_captions] == [2, 7]
    assert retrieval_examples(*ordered, 0)[1:] == ((), ())


def test_unreadable_pictures_are_neither_asked_nor_found(ordered, pictures):
    encoder, data = ordered
    data = data._replace(pictures=pictures(10, unreadable=[0, 9]))  # captions 0, 9 and "far"
    examples = retrieval_examples(encoder, data, 99)
    assert [caption for caption, _ in examples.found_images] == [*range(1, 9)]
    assert [image for image, _ in examples.found_captions] == [*range(1, 9)]
    caption, found = examples.found_images[0]
    assert [(f.candidate, f.right) for f in found] == [(n, n == caption) for n in range(1, 6)]


def test_an_empty_set_is_refused(table_encoder, pictures):
    data = RetrievalSet("none", pictures(0), [], np.zeros(0, dtype=np.int64))
    with pytest.raises(DataError, match="'none'"):
        retrieval_examples(table_encoder(np.ones((1, 2)), {}), data, 3)
