from itertools import permutations
from math import comb

import numpy as np
import pytest

from kgclip_jax.data.evaluation_sets import RetrievalSet
from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.retrieval import chance_recall, evaluate_retrieval, recalls


def by_metric(results):
    return {row.metric: row for row in results}


def embeddings_for(scores):
    """Make pictures and captions whose dot products are the given (images, captions) matrix."""
    scores = np.asarray(scores, dtype=np.float32)
    return np.eye(len(scores), dtype=np.float32), scores.T.copy()


def test_a_matrix_counted_by_hand():
    # Captions 0 and 1 belong to picture 0, caption 2 to picture 1, caption 3 to picture 2.
    images, captions = embeddings_for(
        [
            [0.9, 0.1, 0.8, 0.2],
            [0.3, 0.5, 0.7, 0.1],
            [0.2, 0.4, 0.6, 0.3],
        ]
    )
    rows = by_metric(recalls("hand", images, captions, np.array([0, 0, 1, 2])))
    # Captions 0 and 3 find their picture first; 1 and 2 do not.
    assert rows["text-to-image R@1"].value == 2 / 4
    assert rows["text-to-image R@1"].n == 4
    # Pictures 0 and 1 find an own caption first; picture 2 finds 2, 1, then its own.
    assert rows["image-to-text R@1"].value == pytest.approx(2 / 3)
    assert rows["image-to-text R@1"].n == 3
    assert rows.keys() == {"text-to-image R@1", "image-to-text R@1"}  # R@5 takes in everything


def naive_recall(scores, right, cutoff) -> float:
    hits = []
    for row, fits in zip(scores, right, strict=True):
        order = sorted(range(len(row)), key=lambda i: (-row[i], fits[i]))
        hits.append(any(fits[i] for i in order[:cutoff]))
    return float(np.mean(hits))


def test_recalls_agree_with_sorting(random_units):
    owners = np.random.default_rng(0).permutation(np.repeat(np.arange(30), 3))
    captions = random_units(2, 90, 6)
    images = random_units(1, 30, 6)
    rows = by_metric(recalls("random", images, captions, owners))
    fits = owners[:, None] == np.arange(30)
    for cutoff in (1, 5, 10):
        forth = naive_recall(captions @ images.T, fits, cutoff)
        back = naive_recall(images @ captions.T, fits.T, cutoff)
        assert rows[f"text-to-image R@{cutoff}"].value == pytest.approx(forth)
        assert rows[f"image-to-text R@{cutoff}"].value == pytest.approx(back)


def test_a_perfect_encoder(table_encoder, pictures, random_units):
    vectors = random_units(0, 20, 8)
    texts = [f"caption {i}" for i in range(40)]
    owners = np.arange(40) % 20
    encoder = table_encoder(vectors, dict(zip(texts, vectors[owners], strict=True)))
    rows = evaluate_retrieval(encoder, RetrievalSet("set", pictures(20), texts, owners))
    assert len(rows) == 6
    for row in rows:
        assert (row.task, row.set_name, row.blind) == ("retrieval", "set", False)
        assert (row.value, row.low, row.high) == (1, 1, 1)


def test_a_collapsed_encoder_finds_nothing(table_encoder, pictures):
    texts = ["a", "b", "c"]
    encoder = table_encoder(np.ones((3, 2)), {text: [1, 1] for text in texts})
    rows = evaluate_retrieval(encoder, RetrievalSet("set", pictures(3), texts, np.arange(3)))
    assert [row.value for row in rows] == [0, 0]


def test_random_embeddings_are_at_chance(random_units):
    owners = np.repeat(np.arange(400), 5)
    for row in recalls("random", random_units(5, 400, 64), random_units(6, 2000, 64), owners):
        assert row.low <= row.chance <= row.high


def test_captions_of_one_picture_are_one_piece_of_evidence(random_units):
    images = random_units(0, 60, 3)
    captions = random_units(1, 60, 3) + images
    single = by_metric(recalls("s", images, captions, np.arange(60)))
    copied = by_metric(recalls("s", images, captions.repeat(4, axis=0), np.arange(60).repeat(4)))
    before, after = single["text-to-image R@5"], copied["text-to-image R@5"]
    assert (after.value, after.low, after.high) == (before.value, before.low, before.high)
    assert after.n == 240


def test_a_picture_without_captions_is_only_a_candidate(random_units):
    images = random_units(0, 3, 4)
    rows = by_metric(recalls("set", images, images[[0, 2]], np.array([0, 2])))
    assert rows["image-to-text R@1"].n == 2
    assert rows["image-to-text R@1"].value == 1
    assert rows["text-to-image R@1"].chance == pytest.approx(1 / 3)


def test_unreadable_pictures_are_left_out_with_their_captions(
    table_encoder, pictures, random_units
):
    owners = np.arange(40) % 20
    vectors = random_units(1, 40, 4)
    texts = dict(zip(map(str, range(40)), vectors, strict=True))
    images = random_units(0, 20, 4) + vectors[:20]
    data = RetrievalSet("set", pictures(20, unreadable=[3, 11]), list(texts), owners)
    left = evaluate_retrieval(table_encoder(images, texts), data)
    good = np.delete(np.arange(20), [3, 11])
    kept = np.isin(owners, good)
    unit = images / np.linalg.norm(images, axis=1, keepdims=True)
    places = np.searchsorted(good, owners[kept])
    assert left == recalls("set", unit[good].astype(np.float32), vectors[kept], places)


def test_folds_are_sets_by_themselves(table_encoder, pictures, random_units):
    """Three folds of 11 pictures, one of which cannot be read."""
    vectors = random_units(1, 66, 4)
    texts = dict(zip(map(str, range(66)), vectors, strict=True))
    owners = np.random.default_rng(2).permutation(np.arange(66) % 33)
    images = random_units(0, 33, 4)
    encoder = table_encoder(images, texts)
    data = RetrievalSet("set", pictures(33, unreadable=[12]), list(texts), owners, folds=3)
    whole = evaluate_retrieval(encoder, data._replace(folds=1))
    rows = evaluate_retrieval(encoder, data)
    assert rows[:6] == whole
    expected = []
    for fold in range(3):
        kept = np.setdiff1d(np.arange(11 * fold, 11 * fold + 11), [12])
        mine = np.isin(owners, kept)
        expected.append(
            recalls("set", images[kept], vectors[mine], np.searchsorted(kept, owners[mine]))
        )
    names = [f"{row.metric}, mean of 3 folds" for row in expected[1]]  # R@10 of 10 says nothing
    assert [row.metric for row in rows[6:]] == names
    by_fold = [by_metric(part) for part in expected]
    for row in rows[6:]:
        parts = [part[row.metric.removesuffix(", mean of 3 folds")] for part in by_fold]
        assert row.value == pytest.approx(np.mean([part.value for part in parts]))
        assert row.chance == pytest.approx(np.mean([part.chance for part in parts]))
        assert row.n == sum(part.n for part in parts)
        assert row.low <= row.value <= row.high


def test_chance_agrees_with_all_orders():
    right = np.array([1, 2, 4])
    for cutoff in (1, 2, 3):
        hits = [
            any(candidate < r for candidate in order[:cutoff])
            for r in right
            for order in permutations(range(5))
        ]
        assert chance_recall(cutoff, 5, right) == pytest.approx(np.mean(hits))


def test_chance_of_a_large_set():
    expected = 1 - comb(24_995, 10) / comb(25_000, 10)
    assert chance_recall(10, 25_000, np.full(5_000, 5)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("count", "captions", "owners", "message"),
    [
        (0, [], [], "0 pictures and 0 captions"),
        (1, ["a", "b"], [0, 0], "1 pictures"),
    ],
)
def test_bad_sets_are_refused(table_encoder, pictures, count, captions, owners, message):
    data = RetrievalSet("flawed", pictures(count), captions, np.array(owners, dtype=np.int64))
    with pytest.raises(DataError, match=f"'flawed'.*{message}"):
        evaluate_retrieval(table_encoder(np.ones((1, 2)), {}), data)


def test_folds_of_less_than_two_pictures_are_refused(table_encoder, pictures):
    data = RetrievalSet("small", pictures(5), ["a"] * 5, np.arange(5), folds=3)
    with pytest.raises(DataError, match="5 pictures, too few for 3 folds"):
        evaluate_retrieval(table_encoder(np.ones((1, 2)), {}), data)
