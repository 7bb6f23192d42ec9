"""Columns of a split against sorting in memory, whatever is held in memory at a time."""

import hashlib
import socket

import numpy as np
import pytest

from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.graph import key_ranges, split_folder
from kgclip_jax.knowledge.graph.knowledge_graph import VIEW_PAIRS, read_split
from kgclip_jax.knowledge.graph.split_folder import COLUMNS, EdgeKeys, write_split
from tests.knowledge.graph.made_up_graphs import indexed, random_edges

ENTITIES, RELATIONS = 30, 4
PICTURED = np.arange(ENTITIES) % 3 == 0
VIEWS = {"image": PICTURED, "text": ~PICTURED | (np.arange(ENTITIES) % 2 == 0)}


def edges_of(seed, count):
    """Some come twice or more, with other weights."""
    edges = random_edges(seed, ENTITIES, RELATIONS, count)
    rng = np.random.default_rng(seed)
    weights = rng.integers(4, size=count).astype(np.float32)
    return edges._replace(weight=weights, source=np.arange(count, dtype=np.int16))


def written(folder, edges):
    count = write_split(folder, edges, EdgeKeys(ENTITIES, RELATIONS), VIEWS)
    return read_split(folder, ENTITIES, count)


@pytest.mark.parametrize("count", [0, 1, 200])
@pytest.mark.parametrize(("most", "rows"), [(2**21, 2**20), (50, 17), (1, 1)])
def test_it_is_sorted_and_indexed_from_both_ends(tmp_path, monkeypatch, count, most, rows):
    monkeypatch.setattr(key_ranges, "RANGE", most)
    monkeypatch.setattr(split_folder, "_ROWS", rows)
    edges = edges_of(0, count)
    split, expected = written(tmp_path, edges), indexed(edges, ENTITIES)
    for side in ("outgoing", "incoming"):
        for column in ("offsets", "edges"):
            found = getattr(getattr(split, side), column)
            np.testing.assert_array_equal(found, getattr(getattr(expected, side), column))
    best = {}  # the first of the heaviest
    for row, triple in enumerate(zip(*(ids.tolist() for ids in edges[:3]), strict=True)):
        best[triple] = max(best.get(triple, (-1.0, 0)), (edges.weight[row], -row))
    ids = split.triples(np.arange(len(split)))
    triples = list(zip(*(x.tolist() for x in ids), strict=True))
    assert split.weights.tolist() == [best[triple][0] for triple in triples]
    assert split.sources.tolist() == [-best[triple][1] for triple in triples]
    for pair in VIEW_PAIRS:
        one, other = pair.split("_")
        assert split.rows_of[pair].tolist() == [
            row
            for row, (head, _, tail) in enumerate(triples)
            if VIEWS[one][head] and VIEWS[other][tail] and (one != other or head != tail)
        ]
    assert not (tmp_path / "ranges").exists()


def test_edges_may_be_views_of_a_file(tmp_path):
    edges = edges_of(1, 200)
    table = np.rec.fromarrays(edges, names=edges._fields)
    table.tofile(tmp_path / "table")
    mapped = np.memmap(tmp_path / "table", table.dtype, "r")
    views = type(edges)(*(mapped[name] for name in edges._fields))
    written(tmp_path / "views", views)
    written(tmp_path / "memory", edges)
    for column in COLUMNS:
        files = [tmp_path / place / f"{column}.npy" for place in ("views", "memory")]
        assert len({hashlib.sha256(file.read_bytes()).digest() for file in files}) == 1


def test_what_a_kill_has_left_goes(tmp_path):
    left = tmp_path / f".heads.npy.{socket.gethostname()}-{2**22 + 1}-00000000-0.partial"
    left.write_bytes(b"half")
    written(tmp_path, edges_of(0, 5))
    assert not left.exists()


@pytest.mark.parametrize(("entities", "relations"), [(2**27, 2**10), (2**31, 1)])
def test_a_graph_too_large_to_be_indexed_is_refused(entities, relations):
    with pytest.raises(DataError, match="too many to be indexed"):
        EdgeKeys(entities, relations).check()


def test_the_largest_key_is_a_number():
    keys = EdgeKeys(2**31 - 1, 2)
    keys.check()
    ends = [np.array([2**31 - 2]), np.array([1]), np.array([2**31 - 2])]
    assert [column.tolist() for column in keys.parted(keys.of(*ends))] == [
        [2**31 - 2],
        [1],
        [2**31 - 2],
    ]
