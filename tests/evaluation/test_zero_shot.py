import numpy as np
import pytest

from kgclip_jax.data.evaluation_sets import ZeroShotSet
from kgclip_jax.errors import DataError
from kgclip_jax.evaluation.zero_shot import class_embeddings, evaluate_zero_shot

TEMPLATES = ("a {}", "the {}, a {}")


def make_set(images, labels, names, templates=TEMPLATES):
    return ZeroShotSet("animals", images, np.array(labels, dtype=np.int64), names, templates)


def test_a_class_is_the_direction_between_its_templates(table_encoder, pictures):
    texts = {
        "a cat": [1, 0, 0],
        "the cat, a cat": [0, 1, 0],
        "a dog": [0, 0, 1],
        "the dog, a dog": [0, 0, 1],
    }
    encoder = table_encoder(np.eye(3), texts)
    embedded = class_embeddings(encoder, make_set(pictures(1), [0], ["cat", "dog"]))
    np.testing.assert_allclose(embedded, [[0.5**0.5, 0.5**0.5, 0], [0, 0, 1]], atol=1e-6)


def test_classes_may_have_texts_of_their_own_and_not_as_many(table_encoder, pictures):
    texts = {"has fur": [1, 0, 0], "has paws": [0, 1, 0], "has fins": [0, 0, 1]}
    data = make_set(pictures(1), [0], ["furry, with paws", "finned"], ())
    data = data._replace(prompts=[["has fur", "has paws"], ["has fins"]])
    embedded = class_embeddings(table_encoder(np.eye(3), texts), data)
    np.testing.assert_allclose(embedded, [[0.5**0.5, 0.5**0.5, 0], [0, 0, 1]], atol=1e-6)
    with pytest.raises(DataError, match="0 templates"):
        evaluate_zero_shot(
            table_encoder(np.eye(3), texts), data._replace(prompts=[["has fur"], []])
        )


def test_templates_that_cancel_out_are_no_class(table_encoder, pictures):
    texts = {"a cat": [1, 0], "the cat, a cat": [-1, 0], "a dog": [0, 1], "the dog, a dog": [0, 1]}
    encoder = table_encoder([[1, 0], [0, 1]], texts)
    data = make_set(pictures(2), [0, 1], ["cat", "dog"])
    np.testing.assert_array_equal(class_embeddings(encoder, data), [[0, 0], [0, 1]])
    (row,) = evaluate_zero_shot(encoder, data)
    assert row.value == 0.5  # on the cat both classes score 0, the dog is found


def test_top_1_and_top_5_agree_with_sorting(table_encoder, pictures, random_units):
    rng = np.random.default_rng(0)
    names = [f"class{i}" for i in range(12)]
    texts = [t.replace("{}", n) for n in names for t in TEMPLATES]
    vectors = random_units(1, len(texts), 5)
    images = random_units(2, 80, 5)
    labels = rng.integers(12, size=80)
    encoder = table_encoder(images, dict(zip(texts, vectors, strict=True)))
    first, fifth, _ = evaluate_zero_shot(encoder, make_set(pictures(80), labels, names))

    hits = np.zeros((80, 12), dtype=bool)
    for i in range(80):
        scores = []
        for c in range(12):
            mean = vectors[2 * c] + vectors[2 * c + 1]
            scores.append(images[i] @ mean / np.linalg.norm(mean))
        hits[i] = np.argsort(scores)[::-1] == labels[i]
    assert first.value == pytest.approx(hits[:, 0].mean())
    assert fifth.value == pytest.approx(hits[:, :5].any(axis=1).mean())
    assert (first.metric, first.n, first.chance) == ("top-1", 80, 1 / 12)
    assert (fifth.metric, fifth.n, fifth.chance) == ("top-5", 80, 5 / 12)
    assert first.low < first.value < first.high


@pytest.mark.parametrize(("classes", "metrics"), [(5, ["top-1"]), (6, ["top-1", "top-5"])])
def test_top_5_needs_more_than_five_classes(
    table_encoder, pictures, random_units, classes, metrics
):
    names = [f"class{i}" for i in range(classes)]
    vectors = random_units(0, classes, 16)
    encoder = table_encoder(vectors, dict(zip(names, vectors, strict=True)))
    rows = evaluate_zero_shot(encoder, make_set(pictures(classes), range(classes), names, ["{}"]))
    assert [row.metric for row in rows] == metrics
    assert [row.value for row in rows] == [1.0] * len(metrics)


def test_a_set_has_its_own_cutoffs(table_encoder, pictures, random_units):
    names = [f"class{i}" for i in range(11)]
    vectors = random_units(0, 11, 2)
    encoder = table_encoder(random_units(1, 50, 2), dict(zip(names, vectors, strict=True)))
    data = make_set(pictures(50), np.arange(50) % 11, names, ["{}"])
    rows = evaluate_zero_shot(encoder, data._replace(cutoffs=(2, 10, 11)))
    assert [(row.metric, row.chance) for row in rows] == [("top-2", 2 / 11), ("top-10", 10 / 11)]
    order = np.argsort(-random_units(1, 50, 2) @ vectors.T, axis=1)
    assert rows[1].value == np.mean(order[:, 10] != np.arange(50) % 11)


def test_unreadable_pictures_are_left_out(table_encoder, pictures):
    encoder = table_encoder([[1, 0], [1, 0], [0, 1]], {"cat": [1, 0], "dog": [0, 1]})
    data = make_set(pictures(3, unreadable=[1]), [0, 1, 1], ["cat", "dog"], ["{}"])
    (row,) = evaluate_zero_shot(encoder, data)
    assert (row.value, row.n) == (1, 2)
    assert row.outcomes.clusters.tolist() == [0, 2]


def test_random_embeddings_are_at_chance(table_encoder, pictures, random_units):
    names = [f"class{i}" for i in range(20)]
    texts = dict(zip(names, random_units(3, 20, 32), strict=True))
    encoder = table_encoder(random_units(4, 1000, 32), texts)
    data = make_set(pictures(1000), np.arange(1000) % 20, names, ["{}"])
    for row in evaluate_zero_shot(encoder, data):
        assert row.low <= row.chance <= row.high


def test_a_tie_with_a_wrong_class_is_wrong(table_encoder, pictures):
    encoder = table_encoder([[1, 0]], {"cat": [1, 1], "dog": [1, -1]})
    (row,) = evaluate_zero_shot(encoder, make_set(pictures(1), [0], ["cat", "dog"], ["{}"]))
    assert row.value == 0


def test_equal_names_count_as_arg_max_counts_them_and_as_one_class_beside(
    table_encoder, pictures, random_units
):
    names = ["crane", "dog", "cat", "ox", "crane", "elk", "owl"]
    labels = np.repeat(np.arange(7), 40)
    texts = dict(zip({*names}, random_units(0, 6, 4), strict=True))
    images = random_units(1, 280, 4)
    data = make_set(pictures(280), labels, names, ["{}"])
    rows = {row.metric: row for row in evaluate_zero_shot(table_encoder(images, texts), data)}
    scores = images @ np.stack([texts[name] for name in names]).T
    order = np.argsort(-scores, axis=1, kind="stable")  # of equal scores the first one
    for cutoff in (1, 5):
        hits = (order[:, :cutoff] == labels[:, None]).any(axis=1)
        assert rows[f"top-{cutoff}"].value == pytest.approx(hits.mean())
        assert rows[f"top-{cutoff}"].chance == cutoff / 7
    names_of = np.array(names)
    merged = [names_of[row[0]] == name for row, name in zip(order, names_of[labels], strict=True)]
    single = rows["top-1, equal names as one class"]
    assert single.value == pytest.approx(np.mean(merged))
    assert single.value > rows["top-1"].value
    assert (single.chance, single.n) == (1 / 6, 280)
    assert [*rows] == ["top-1", "top-5", *(f"top-{k}, equal names as one class" for k in (1, 5))]


def test_classes_of_unequal_size_have_their_mean_beside(table_encoder, pictures):
    encoder = table_encoder(np.eye(2)[[0, 0, 0, 1, 0]], {"cat": [1, 0], "dog": [0, 1]})
    data = make_set(pictures(5), [0, 0, 0, 0, 1], ["cat", "dog"], ["{}"])
    rows = {row.metric: row.value for row in evaluate_zero_shot(encoder, data)}
    assert rows == {"top-1": 3 / 5, "top-1, mean of classes": pytest.approx((3 / 4 + 0) / 2)}


@pytest.mark.parametrize(
    ("count", "labels", "names", "templates", "message"),
    [
        (0, [], ["cat", "dog"], TEMPLATES, "0 pictures, 2 classes and 2 templates"),
        (1, [0], ["cat"], TEMPLATES, "1 pictures, 1 classes"),
        (1, [0], ["cat", "dog"], [], "0 templates"),
        (1, [0], ["cat", "cat"], TEMPLATES, "all classes are named 'cat'"),
    ],
)
def test_bad_sets_are_refused(table_encoder, pictures, count, labels, names, templates, message):
    data = make_set(pictures(count), labels, names, templates)
    with pytest.raises(DataError, match=f"'animals'.*{message}"):
        evaluate_zero_shot(table_encoder(np.ones((1, 2)), {}), data)
