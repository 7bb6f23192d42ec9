"""The loss by NumPy, a subspace that must be found again, folders of mapped texts, refusals."""

import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from kgclip_jax.data.embedded_texts import EmbeddedTexts
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.preparation import embedding_tuning
from kgclip_jax.preparation.embedding_tuning import (
    TuningSettings,
    describe_tuned,
    first_map,
    pair_loss,
    store_tuned,
)
from tests.data.made_up_embeddings import embedded
from tests.preparation.test_record_texts import Listed
from tests.preparation.test_text_clusters import needs_faiss

SOURCE = {"kind": "lines", "folder": "captions.txt"}
SETTINGS = TuningSettings(steps=200, rate=0.03, batch=128, held_out=0.3, seed=1)
DIMENSIONS, MEANING, RECORDS = 24, 6, 300


def captions(count=RECORDS):
    return [[f"record {n}, text {m}" for m in range(3)] for n in range(count)]


def planted(seed=0):
    """A vector for each text: six directions tell the record, eighteen far larger ones nothing."""
    rng = np.random.default_rng(seed)
    meaning = np.repeat(rng.normal(size=(RECORDS, MEANING)), 3, axis=0)
    noise = rng.normal(size=(3 * RECORDS, DIMENSIONS - MEANING))
    turn, _ = np.linalg.qr(rng.normal(size=(DIMENSIONS, DIMENSIONS)))
    return np.concatenate([meaning, 4 * noise], axis=1) @ turn


def written(folder, vectors=None, parts=3):
    texts = [text for own in captions() for text in own]
    return embedded(folder, texts, planted() if vectors is None else vectors, parts)


def run(texts, output, settings=SETTINGS, records=None):
    return store_tuned(
        texts,
        records or Listed(captions()),
        SOURCE,
        output,
        settings,
        bad_share=0.0,
        console=Console(file=io.StringIO()),
    )


def files(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def masked_info_nce(weights, pairs, groups, temperature):
    """The definition, in double precision and one pair at a time."""
    mapped = pairs.astype(np.float64) @ weights
    mapped /= np.linalg.norm(mapped, axis=-1, keepdims=True)
    count, losses = len(pairs), []
    for one, two in ((0, 1), (1, 0)):
        for i in range(count):
            there = [j for j in range(count) if j == i or groups[j] != groups[i]]
            logits = np.array([mapped[i, one] @ mapped[j, two] / temperature for j in there])
            losses.append(np.log(np.exp(logits).sum()) - logits[there.index(i)])
    return np.mean(losses)


class TestLoss:
    @pytest.fixture
    def batch(self):
        rng = np.random.default_rng(0)
        weights = rng.normal(size=(5, 3)).astype(np.float32)
        pairs = rng.normal(size=(6, 2, 5)).astype(np.float32)
        return weights, pairs, np.array([0, 1, 2, 1, 3, 1], np.int32), 0.3

    def test_is_info_nce_among_other_groups(self, batch):
        weights, pairs, _, temperature = batch
        expected = masked_info_nce(*batch)
        assert float(pair_loss(*map(jnp.asarray, batch[:3]), batch[3])) == pytest.approx(
            expected, rel=1e-5
        )
        unmasked = masked_info_nce(weights, pairs, np.arange(6), temperature)
        assert abs(unmasked - expected) > 0.01

    def test_its_gradient_is_that_of_differences(self, batch):
        weights, *rest = batch
        found = jax.grad(pair_loss)(*map(jnp.asarray, batch[:3]), batch[3])
        exact = weights.astype(np.float64)
        expected = np.zeros(weights.shape)
        for place in np.ndindex(weights.shape):
            step = np.zeros(weights.shape)
            step[place] = 1e-5
            up, down = (masked_info_nce(exact + sign * step, *rest) for sign in (1, -1))
            expected[place] = (up - down) / 2e-5
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)

    def test_a_text_of_zeros_has_a_finite_gradient(self, batch):
        batch[1][2, 0] = 0
        found = jax.grad(pair_loss)(*map(jnp.asarray, batch[:3]), batch[3])
        assert np.isfinite(found).all()


class TestFirstMap:
    def test_is_the_identity_where_no_number_is_left_out(self, tmp_path):
        texts = written(tmp_path)
        found = first_map(texts, np.arange(len(texts)), DIMENSIONS)
        np.testing.assert_array_equal(found, np.eye(DIMENSIONS))

    def test_keeps_the_largest_components(self, tmp_path, monkeypatch):
        monkeypatch.setattr(embedding_tuning, "_BLOCK", 70)
        texts, rows = written(tmp_path), np.arange(100, 400)
        found = first_map(texts, rows, 4)
        x = texts.vectors(rows).astype(np.float64)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        _, _, directions = np.linalg.svd(x, full_matrices=False)
        np.testing.assert_allclose(np.abs(directions[:4] @ found), np.eye(4), atol=1e-3)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    texts = written(folder / "texts")
    return texts, run(texts, folder / "out")


class TestStoreTuned:
    def test_what_tells_records_is_found(self, tuned):
        """Noise makes up 98 % of the squares, and retrieval chance; tuning sees through it."""
        _, found = tuned
        result = found.contents.settings["result"]
        assert result["before"]["recall"] < 0.1
        assert result["after"]["recall"] > 0.9
        assert result["step"] > 0
        told = describe_tuned(found)
        assert (
            f"before: the second is found by the first in {result['before']['recall']:.1%}" in told
        )
        assert (
            f"after:  the second is found by the first in {result['after']['recall']:.1%}" in told
        )

    def test_all_texts_are_there_mapped(self, tuned):
        texts, found = tuned
        weights = np.load(found.folder / "map.npy")
        names = [text for own in captions() for text in own][::-1]
        x = texts.vectors(texts.rows_of(names)).astype(np.float64)
        expected = x @ weights
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        vectors = found.vectors(found.rows_of(names))
        assert vectors.dtype == np.float16
        np.testing.assert_allclose(vectors, expected, atol=2e-3)
        assert found.contents.rows == texts.contents.rows
        settings = found.contents.settings
        assert settings["embeddings"] == texts.contents.fingerprint != found.contents.fingerprint
        assert settings["settings"]["rate"] == 0.03
        assert settings["source"] == SOURCE

    def test_held_out_records_teach_nothing(self, tuned, tmp_path):
        """With others in place of those that measure, the map is the same."""
        texts, found = tuned
        held = embedding_tuning.hold_out(
            embedding_tuning.read_record_texts(Listed(captions()), texts, 0.0), 0.3, 1, "listed"
        )
        vectors = planted()
        vectors[held.measured.rows] = np.random.default_rng(5).normal(size=(1, DIMENSIONS))
        other = run(written(tmp_path / "texts", vectors), tmp_path / "out")
        assert files(other.folder)["map.npy"] == files(found.folder)["map.npy"]
        assert other.contents.settings["result"]["after"]["recall"] == 0

    def test_it_is_a_function_of_the_seed(self, tuned, tmp_path):
        texts, found = tuned
        again = run(texts, tmp_path / "again")
        assert files(again.folder) == files(found.folder)
        other = run(texts, tmp_path / "other", TuningSettings(**vars(SETTINGS) | {"seed": 2}))
        assert files(other.folder)["map.npy"] != files(found.folder)["map.npy"]

    def test_the_same_again_has_nothing_to_do_and_others_are_refused(self, tuned, monkeypatch):
        texts, found = tuned
        monkeypatch.setattr(embedding_tuning, "tune", None)
        before = files(found.folder)
        assert run(texts, found.folder).contents == found.contents
        with pytest.raises(ConfigError, match=r"begun otherwise \(settings\.steps: 200 -> 9\)"):
            run(texts, found.folder, TuningSettings(**vars(SETTINGS) | {"steps": 9}))
        with pytest.raises(ConfigError, match=r"records: '\w+' -> '\w+'"):
            run(texts, found.folder, records=Listed(captions()[::-1]))
        with pytest.raises(ConfigError, match="holds other files"):
            run(texts, texts.folder)
        assert files(found.folder) == before

    def test_fewer_numbers(self, tuned, tmp_path):
        texts, _ = tuned
        found = run(texts, tmp_path, TuningSettings(**vars(SETTINGS) | {"width": 12}))
        assert found.contents.width == 12
        assert found.vectors(np.arange(5)).shape == (5, 12)
        result = found.contents.settings["result"]
        assert result["before"]["recall"] < 0.1 < 0.9 < result["after"]["recall"]

    def test_the_first_map_is_kept_where_none_is_better(self, tmp_path):
        """Texts of a record are equal directions: all are found from the start."""
        vectors = np.repeat(np.random.default_rng(0).normal(size=(RECORDS, 8)), 3, axis=0)
        texts = written(tmp_path / "texts", vectors)
        found = run(texts, tmp_path / "out", TuningSettings(steps=20, batch=64, held_out=0.3))
        assert found.contents.settings["result"]["step"] == 0
        np.testing.assert_array_equal(np.load(found.folder / "map.npy"), np.eye(8))

    @needs_faiss
    def test_concepts_are_found_in_it(self, tuned, tmp_path):
        from kgclip_jax.preparation.text_clusters import ConceptSettings, store_concepts

        _, found = tuned
        concepts = store_concepts(found, tmp_path, ConceptSettings(clusters=4, kept=2))
        assert concepts.contents.texts == 3 * RECORDS


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"width": 25}, r"--width=25: the embeddings have 24 numbers"),
            ({"batch": 301}, r"--batch=301: there are 2\d\d records to learn from"),
        ],
    )
    def test_settings_that_do_not_fit_leave_nothing(self, tuned, tmp_path, changes, message):
        with pytest.raises(ConfigError, match=message):
            run(tuned[0], tmp_path, TuningSettings(**vars(SETTINGS) | changes))
        assert list(tmp_path.iterdir()) == []

    def test_a_rate_that_breaks_the_map(self, tuned, tmp_path):
        settings = TuningSettings(**vars(SETTINGS) | {"rate": 1e38, "steps": 20})
        with pytest.raises(ConfigError, match=r"--rate: the map is not finite any more after \d+ "):
            run(tuned[0], tmp_path, settings)
        assert [path.name for path in tmp_path.iterdir()] == ["reports"]

    def test_numbers_that_are_not_finite(self, tmp_path):
        written(tmp_path / "texts", parts=1)
        (path,) = (tmp_path / "texts").glob("*.arrow")
        content, old = path.read_bytes(), planted().astype(np.float16)[401].tobytes()
        assert content.count(old) == 1
        path.write_bytes(content.replace(old, b"\xff" * len(old)))
        with pytest.raises(DataError, match=r"texts: 1 of .* embeddings are not finite"):
            run(EmbeddedTexts(tmp_path / "texts"), tmp_path / "out")
        assert not (tmp_path / "out" / "embeddings.json").exists()

    def test_a_result_that_was_tampered_with(self, tmp_path):
        texts = written(tmp_path / "texts")
        found = run(texts, tmp_path / "out", TuningSettings(**vars(SETTINGS) | {"steps": 1}))
        path = found.folder / "embeddings.json"
        contents = json.loads(path.read_text())
        del contents["settings"]["result"]["before"]
        path.write_text(json.dumps(contents))
        with pytest.raises(ConfigError, match=r"embeddings\.json\.before is not set"):
            describe_tuned(EmbeddedTexts(found.folder))
