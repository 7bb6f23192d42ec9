"""Numbers of entities in their order, found by their names."""

import numpy as np
import pytest

from kgclip_jax.errors import DataError
from kgclip_jax.preparation import entity_vectors
from kgclip_jax.preparation.entity_vectors import store_entity_vectors
from tests.data.made_up_embeddings import random_embeddings
from tests.knowledge.graph.made_up_graphs import make_graph


def test_each_entity_has_the_numbers_of_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(entity_vectors, "_BLOCK", 4)
    graph = make_graph(tmp_path / "graph")
    names = graph.names(np.arange(len(graph)))
    embedded = random_embeddings(tmp_path / "words", [*reversed(names), "other"])
    store_entity_vectors(graph, embedded, tmp_path / "vectors.npy")
    found = np.load(tmp_path / "vectors.npy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, embedded.vectors(embedded.rows_of(names)))


def test_nothing_is_written_where_a_name_is_not_embedded(tmp_path):
    graph = make_graph(tmp_path / "graph")
    embedded = random_embeddings(tmp_path / "words", ["cat", "dog"])
    with pytest.raises(DataError, match=f"{len(graph) - 2} of {len(graph)} texts are not in it"):
        store_entity_vectors(graph, embedded, tmp_path / "vectors.npy")
    assert not (tmp_path / "vectors.npy").exists()
