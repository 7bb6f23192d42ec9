import numpy as np
import pytest

from kgclip_jax.data.evaluation_sets import ChoiceSet, RetrievalSet, ZeroShotSet
from kgclip_jax.data.questions import ask_to_match
from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.encoder import encode_texts
from kgclip_jax.evaluation.tasks import evaluate


@pytest.fixture
def encoder(table_encoder):
    texts = {"cat": [1, 0], "dog": [0, 1], "a cat": [1, 0], "a dog": [0, 1]}
    return table_encoder(np.eye(2), texts)


@pytest.fixture
def sets(pictures):
    both = pictures(2)
    return [
        RetrievalSet(
            "scenes", both, ["cat", "cat", "dog", "dog", "dog"], np.array([0, 0, 1, 1, 1])
        ),
        ZeroShotSet("scenes", both, np.array([0, 1]), ["cat", "dog"], ["{}", "a {}"]),
        ChoiceSet(
            "swaps", both, ["cat", "dog"], ask_to_match([((0, 0), (1, 1))], both_at_once=False)
        ),
    ]


def test_rows_come_in_the_order_of_the_sets(encoder, sets):
    rows = evaluate(encoder, sets)
    tasks = [row.task for row in rows]
    assert list(dict.fromkeys(tasks)) == ["retrieval", "zero-shot", "composition"]
    assert all(row.value == 1 for row in rows if not row.blind)
    assert evaluate(encoder, sets[::-1])[0].task == "composition"


def test_texts_and_pictures_are_encoded_once(encoder, sets):
    evaluate(encoder, sets)
    assert encoder.seen_texts == [
        ["cat", "dog"],
        ["cat", "a cat", "dog", "a dog"],
        ["cat", "dog"],
    ]
    assert encoder.seen_images == [2, 2, 2]


def test_rows_name_the_weights_and_keep_their_outcomes(encoder, sets):
    for row in evaluate(encoder, sets, weights="average"):
        assert row.weights == "average"
        assert len(row.outcomes.values) == len(row.outcomes.clusters) == row.n
        assert row.outcomes.values.mean() == row.value
    assert {row.weights for row in evaluate(encoder, sets)} == {"raw"}


def test_a_set_without_a_readable_picture_is_refused(encoder, sets, pictures):
    for data in sets:
        with pytest.raises(DataError, match=rf"{data.name!r}: none of its pictures can be read"):
            evaluate(encoder, [data._replace(pictures=pictures(2, unreadable=[0, 1]))])


def test_repeated_texts_keep_their_places(encoder):
    embedded = encode_texts(encoder, ["dog", "cat", "dog"])
    np.testing.assert_array_equal(embedded, [[0, 1], [1, 0], [0, 1]])


def test_no_sets_are_refused(encoder):
    with pytest.raises(DataError, match="at least one evaluation set"):
        evaluate(encoder, [])


def test_two_sets_of_one_name_are_refused(encoder, sets):
    with pytest.raises(DataError, match="2 composition sets are named 'swaps'"):
        evaluate(encoder, [*sets, sets[-1]])


def test_sets_that_are_averaged_have_a_row_for_their_mean(encoder, pictures):
    """Half of one set, all of another, each counting the same; a third stands alone."""
    right, wrong = np.array([0, 1]), np.array([0, 0])
    names, templates = ["cat", "dog"], ["{}"]
    sets = [
        ZeroShotSet("half", pictures(2), wrong, names, templates, averaged_as="all sets"),
        ZeroShotSet("alone", pictures(2), right, names, templates),
        ZeroShotSet("whole", pictures(1), right[:1], names, templates, averaged_as="all sets"),
    ]
    assert [row.set_name for row in evaluate(encoder, sets[:2])] == ["half", "alone"]
    *rows, mean = evaluate(encoder, sets)
    assert {row.set_name for row in rows} == {"half", "alone", "whole"}
    assert (mean.task, mean.set_name, mean.metric) == (
        "zero-shot",
        "all sets",
        "top-1, mean of 2 sets",
    )
    assert (mean.value, mean.n, mean.chance) == (pytest.approx(3 / 4), 3, 1 / 2)
