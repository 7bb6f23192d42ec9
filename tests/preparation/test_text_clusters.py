"""Soft labels by hand, K-means by what must hold of it, and a folder of concepts."""

import importlib.util
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from kgclip_jax.data.embedded_texts import EmbeddedTexts
from kgclip_jax.data.text_concepts import TextConcepts
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.preparation import text_clusters
from kgclip_jax.preparation.text_clusters import (
    ConceptSettings,
    describe_concepts,
    k_means,
    soft_labels,
    store_concepts,
)
from tests.data.made_up_embeddings import embedded

POINTS = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
CENTRES = POINTS[:2]
SETTINGS = ConceptSettings(clusters=4, kept=2, iterations=5)
needs_faiss = pytest.mark.skipif(
    importlib.util.find_spec("faiss") is None, reason="pip install -r requirements-teach.txt"
)


def near_directions(count, directions=4, width=6):
    """Points that lie near a few directions, one after the other."""
    rng = np.random.default_rng(0)
    points = np.eye(width, dtype=np.float32)[np.arange(count) % directions]
    return points + 0.1 * rng.normal(size=points.shape).astype(np.float32)


def stored(folder, vectors, parts=1):
    return embedded(folder, [f"text {number}" for number in range(len(vectors))], vectors, parts)


@pytest.fixture
def fixed_centres(monkeypatch):
    """Centres without faiss."""
    centres = np.eye(6, dtype=np.float32)[:4]
    monkeypatch.setattr(text_clusters, "k_means", lambda x, clusters, **options: (centres, [0.0]))
    return centres


@pytest.mark.parametrize(
    ("temperature", "third"), [(1.0, (0.401312, 0.598688)), (0.1, (0.017986, 0.982014))]
)
def test_golden_labels(temperature, third):
    found = soft_labels(POINTS, CENTRES, temperature, 2)
    assert found.concepts.tolist() == [[0, 1], [1, 0], [1, 0]]
    assert found.probabilities[2].tolist() == pytest.approx(third[::-1], abs=1e-6)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found.share, 1, rtol=1e-6)
    assert found.nearest.tolist() == pytest.approx([0, 0, 0.4], abs=1e-6)


def test_labels_are_hard_where_the_temperature_is_near_zero():
    found = soft_labels(POINTS, CENTRES, 1e-6, 2)
    assert found.probabilities.tolist() == [[1, 0]] * 3


def test_what_is_not_kept_is_spread_and_told():
    rng = np.random.default_rng(0)
    x, centres = rng.normal(size=(2, 5, 3)).astype(np.float32)
    whole, some = (soft_labels(x, centres, 1.0, kept) for kept in (5, 2))
    np.testing.assert_array_equal(some.concepts, whole.concepts[:, :2])
    share = whole.probabilities[:, :2].sum(axis=1)
    np.testing.assert_allclose(some.share, share, rtol=1e-5)
    np.testing.assert_allclose(
        some.probabilities * share[:, None], whole.probabilities[:, :2], rtol=1e-4
    )


def test_a_folder_has_the_labels_of_every_text(tmp_path, fixed_centres, monkeypatch):
    monkeypatch.setattr(text_clusters, "_BLOCK", 7)
    vectors = near_directions(30)
    found = store_concepts(stored(tmp_path / "texts", vectors, 3), tmp_path / "out", SETTINGS)
    names = [f"text {number}" for number in (29, 0, 17)]
    labels = found.labels(names)
    assert labels.shape == (3, 4)
    assert labels.argmax(axis=1).tolist() == [1, 0, 1]
    assert ((labels > 0).sum(axis=1) <= 2).all()
    np.testing.assert_allclose(labels.sum(axis=1, dtype=np.float32), 1, atol=2e-3)
    assert found.contents.sizes == (8, 8, 7, 7)
    assert sum(found.contents.sizes) == found.contents.rows == 30
    of_second = {f"text {number}" for number in range(1, 30, 4)}
    assert len(set(found.contents.names[1]) & of_second) == 3
    assert "4 concepts of 30 texts" in describe_concepts(found)
    np.testing.assert_array_equal(found.centres, fixed_centres)
    with pytest.raises(DataError, match="1 of 2 texts are not in it: 'other'"):
        found.labels(["text 1", "other"])


def test_the_same_again_has_nothing_to_do_and_others_are_refused(
    tmp_path, fixed_centres, monkeypatch
):
    texts = stored(tmp_path / "texts", near_directions(30))
    first = store_concepts(texts, tmp_path / "out", SETTINGS)
    monkeypatch.setattr(text_clusters, "k_means", None)
    again = store_concepts(texts, tmp_path / "out", SETTINGS)
    assert again.contents == first.contents
    with pytest.raises(ConfigError, match=r"settings\.temperature: 0\.1 -> 1\.0"):
        store_concepts(texts, tmp_path / "out", ConceptSettings(4, 1.0, 2, iterations=5))


def test_nothing_is_there_when_labels_fail(tmp_path, fixed_centres, monkeypatch):
    monkeypatch.setattr(text_clusters, "soft_labels", None)
    with pytest.raises(TypeError):
        store_concepts(stored(tmp_path / "texts", near_directions(30)), tmp_path / "out", SETTINGS)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["reports"]
    with pytest.raises(DataError, match=r"concepts\.json: not found; let `python launch/prepare"):
        TextConcepts(tmp_path / "out")


def test_a_damaged_folder_is_refused(tmp_path, fixed_centres):
    texts = stored(tmp_path / "texts", near_directions(30))
    store_concepts(texts, tmp_path / "out", SETTINGS)
    path = tmp_path / "out" / "concepts.npy"
    whole = np.load(path)
    np.save(path, whole[:-1])
    with pytest.raises(DataError, match=r"concepts\.npy: expected \(30, 2\) numbers"):
        TextConcepts(tmp_path / "out")
    np.save(path, np.where(whole == 3, 4, whole))
    with pytest.raises(DataError, match="a concept is none of 4"):
        TextConcepts(tmp_path / "out").labels(["text 3"])
    np.save(path, whole)
    np.save(path.with_name("probabilities.npy"), np.zeros(whole.shape, np.float16))
    with pytest.raises(DataError, match="do not add up to 1"):
        TextConcepts(tmp_path / "out").labels(["text 3"])
    contents = json.loads((tmp_path / "out" / "concepts.json").read_text())
    path.with_name("concepts.json").write_text(json.dumps(contents | {"kept": 9}))
    with pytest.raises(DataError, match="kept must be within 1 and the clusters"):
        TextConcepts(tmp_path / "out")


def test_centres_come_from_a_sample_and_all_texts_get_labels(tmp_path, monkeypatch):
    """Of 40 texts twelve are read for the centres, others with another seed, and then some each."""
    monkeypatch.setattr(text_clusters, "_BLOCK", 7)
    vectors = near_directions(40)
    samples, reads = [], []

    def first(x, clusters, **options):
        samples.append(x)
        return x[:clusters].copy(), [0.0]

    def counted(texts, rows, read=EmbeddedTexts.vectors):
        reads.append(len(rows))
        return read(texts, rows)

    monkeypatch.setattr(text_clusters, "k_means", first)
    monkeypatch.setattr(EmbeddedTexts, "vectors", counted)
    texts = stored(tmp_path / "texts", vectors, 3)
    for seed in (0, 0, 1):
        settings = replace(SETTINGS, points_per_cluster=3, seed=seed)
        found = store_concepts(texts, tmp_path / f"out {len(samples)}", settings)
        assert sum(found.contents.sizes) == found.contents.rows == 40
    assert reads == 3 * [12, 7, 7, 7, 7, 7, 5]
    rows = [{tuple(row) for row in sample.tolist()} for sample in samples]
    assert len(rows[0]) == 12  # different ones
    assert rows[0] == rows[1] != rows[2]
    store_concepts(texts, tmp_path / "all", replace(SETTINGS, points_per_cluster=10))
    assert len(samples[-1]) == 40


class TestKMeans:
    """Of faiss, whose options must mean what we think."""

    pytestmark = needs_faiss

    def test_more_clusters_than_texts_are_refused(self):
        with pytest.raises(ConfigError, match="5 clusters of 3 texts"):
            k_means(POINTS, 5, iterations=3, seed=0)

    def test_inertia_never_rises_and_clusters_are_found(self):
        x = near_directions(400)
        centres, inertia = k_means(x, 4, iterations=8, seed=1)
        assert all(b <= a * (1 + 1e-5) for a, b in pairwise(inertia))
        assert inertia[-1] < inertia[0] / 2
        labels = soft_labels(x, centres, 0.1, 1).concepts[:, 0]
        assert all(len({*labels[n::4].tolist()}) == 1 for n in range(4))

    def test_it_is_a_function_of_the_seed(self):
        x = near_directions(400)
        first, again, other = (k_means(x, 30, iterations=3, seed=s)[0] for s in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_the_order_of_points_does_not_matter_where_centres_are_given(self):
        x = near_directions(400)
        order = np.random.default_rng(0).permutation(len(x))
        one, two = (
            k_means(points, 6, iterations=5, seed=0, start=x[:6].copy())[0]
            for points in (x, x[order])
        )
        np.testing.assert_allclose(one, two, atol=1e-5)

    def test_no_cluster_stays_empty(self):
        x = near_directions(400)
        start = np.concatenate([x[:3], np.full((1, 6), 100, np.float32)])
        centres, _ = k_means(x, 4, iterations=8, seed=0, start=start)
        labels = soft_labels(x, centres, 0.1, 1).concepts[:, 0]
        assert {*labels.tolist()} == {0, 1, 2, 3}

    def test_a_sample_finds_nearly_as_good_centres(self, tmp_path):
        rng = np.random.default_rng(0)
        texts = stored(tmp_path / "texts", rng.normal(size=(3000, 6)))
        settings = ConceptSettings(clusters=10, kept=2, iterations=15)
        some, whole = (
            store_concepts(
                texts, tmp_path / f"{most}", replace(settings, points_per_cluster=most)
            ).contents.inertia
            for most in (64, 300)
        )
        assert some == pytest.approx(whole, rel=0.03)
        assert some != whole
