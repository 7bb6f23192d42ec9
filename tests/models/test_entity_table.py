"""Scorers against complex arithmetic, and against each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.errors import DataError
from kgclip_jax.models.entity_table import EntityTableHead
from kgclip_jax.models.heads import bind_head, init_head
from kgclip_jax.models.presets import preset

ENTITIES, RELATIONS, WIDTH = 9, 3, 8
SCORERS = pytest.mark.parametrize("scorer", ["transe", "distmult", "complex", "rotate"])


def table(scorer, **changes):
    sizes = {"entities": ENTITIES, "relations": RELATIONS, "width": WIDTH}
    head = EntityTableHead(scorer=scorer, **sizes, **changes)
    params = init_head(head, "table", preset("tiny"), 0)
    return bind_head(head, preset("tiny"), params)


def as_complex(x):
    real, imaginary = np.split(np.float64(x), 2, axis=-1)
    return real + 1j * imaginary


def formula(scorer, h, r, t):
    match scorer:
        case "transe":
            return -np.abs(h + r - t).sum()
        case "distmult":
            return (h * r * t).sum()
        case "complex":
            return (as_complex(h) * as_complex(r) * as_complex(t).conj()).sum().real
        case "rotate":
            return -np.abs(as_complex(h) * np.exp(1j * r) - as_complex(t)).sum()


@SCORERS
def test_both_ends_have_the_score_of_the_triple(scorer):
    module = table(scorer)
    entities, relations = np.float64(module.entities[...]), np.float64(module.relations[...])
    ids = np.random.default_rng(0).integers(3, size=(12, 3)) + np.array([0, 0, 4])
    ids[:, 1] %= RELATIONS
    head, relation, tail = map(jnp.asarray, ids.T.astype(np.int32))
    expected = [formula(scorer, entities[h], relations[r], entities[t]) for h, r, t in ids]
    for given, missing, of_head in ((head, tail, False), (tail, head, True)):
        query = module.query(given, relation, jnp.full(12, of_head))
        found = module.scores(query, module.entities[...][missing][:, None])[:, 0]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        everything = module.scores_of_all(query, module.entities[...])
        assert everything.shape == (12, ENTITIES)
        np.testing.assert_allclose(
            everything[np.arange(12), missing], expected, rtol=1e-5, atol=1e-5
        )


@SCORERS
def test_gradients_are_finite_where_a_triple_fits_exactly(scorer):
    module = table(scorer)
    gradient = jax.grad(lambda x: module.scores(x[:1], x[None, :1]).sum())(module.entities[...])
    assert np.isfinite(gradient).all()


def test_complex_numbers_need_an_even_width():
    with pytest.raises(ValueError, match="width must be even"):
        EntityTableHead(scorer="rotate", entities=2, relations=1, width=3)


def test_entities_start_from_a_file(tmp_path):
    path = tmp_path / "vectors.npy"
    vectors = np.random.default_rng(0).normal(size=(ENTITIES, WIDTH)).astype(np.float16)
    np.save(path, vectors)
    sizes = {"entities": ENTITIES, "relations": RELATIONS, "width": WIDTH}
    head = EntityTableHead(scorer="transe", std=0.02, start=str(path), **sizes)
    make = jax.jit(lambda: init_head(head, "table", preset("tiny"), 0))
    found = make()["entities"]
    np.testing.assert_allclose(found, 0.02 * vectors / np.float32(vectors).std(), rtol=1e-3)
    np.testing.assert_allclose(
        make()["relations"], table("transe", std=0.02).relations[...], rtol=1e-6
    )
    for wrong in (vectors[:-1], vectors.astype(int)):
        np.save(path, wrong)
        with pytest.raises(DataError, match=r"vectors\.npy: expected \(9, 8\) numbers, found"):
            jax.eval_shape(lambda: init_head(head, "table", preset("tiny"), 0))
    path.unlink()
    with pytest.raises(DataError, match=r"vectors\.npy"):
        init_head(head, "table", preset("tiny"), 0)
