"""Words become numbers, however many blocks are looked up together."""

import numpy as np
import pyarrow as pa
import pytest

from kgclip_jax.data.graph_sources.graph_source import triple_rows
from kgclip_jax.errors import DataError
from kgclip_jax.preparation import graph_numbers
from kgclip_jax.preparation.graph_numbers import Vocabulary, number_triples, part_triples

WORDS = pa.dictionary(pa.int32(), pa.large_string())
KNOWN = ["dog", "animal"]
BLOCKS = [
    ([("dog", "is a", "animal"), ("cat", "is a", "animal")], "train", "me"),
    ([], "train", "nobody"),
    ([("cat", "sees", "dog"), ("owl", "sees", "cat")], "test", "you"),
    ([("dog", "sees", "dog"), ("dog", "is a", "pet")], "train", "you"),
]


def block(triples, split, source):
    heads, relations, tails = zip(*triples, strict=True) if triples else ([], [], [])
    ends = {"head": heads, "relation": relations, "tail": tails}
    return triple_rows(ends, weight=[2.0] * len(triples), split=split, source=source)


@pytest.fixture(params=[1, 3, 2**20])
def few(request, monkeypatch):
    """Few words and triples are looked at together, or all."""
    monkeypatch.setattr(graph_numbers, "_GROUP", request.param)
    monkeypatch.setattr(graph_numbers, "_ROWS", request.param)


def numbered_in(folder):
    blocks = (block(*one) for one in BLOCKS)
    return number_triples(blocks, pa.array(KNOWN, pa.large_string()), folder)


def words_of(numbered, rows):
    columns = {"head": "entities", "relation": "relations", "tail": "entities"}
    found = [np.array(getattr(numbered, of))[rows[name]] for name, of in columns.items()]
    return list(zip(*(words.tolist() for words in found), strict=True))


def test_numbers_lead_back_to_the_words(tmp_path, few):
    numbered = numbered_in(tmp_path)
    rows = numbered.rows
    assert words_of(numbered, rows) == [triple for triples, _, _ in BLOCKS for triple in triples]
    assert numbered.entities.to_pylist()[:2] == KNOWN
    assert sorted(numbered.entities.to_pylist()) == ["animal", "cat", "dog", "owl", "pet"]
    assert rows["weight"].tolist() == [2] * 6
    sources = np.array(numbered.sources)[rows["source"]]
    assert sources.tolist() == ["me", "me", "you", "you", "you", "you"]


def test_splits_are_parted_and_what_is_unknown_is_counted(tmp_path, few):
    numbered = numbered_in(tmp_path)
    parted = part_triples(numbered.rows, len(numbered.entities), tmp_path)
    assert (parted.lost, parted.example) == (0, None)
    assert [len(edges.head) for edges in parted.edges.values()] == [4, 0, 2]
    parted = part_triples(numbered.rows, len(KNOWN), tmp_path)
    assert parted.lost == 4
    head, relation, tail = parted.example
    names, relations = numbered.entities.to_pylist(), numbered.relations.to_pylist()
    assert (names[head], relations[relation], names[tail]) == ("cat", "is a", "animal")
    assert {
        split: words_of(numbered, edges._asdict()) for split, edges in parted.edges.items()
    } == {
        "train": [("dog", "is a", "animal"), ("dog", "sees", "dog")],
        "valid": [],
        "test": [],
    }


def test_many_triples_of_few_words_are_not_held_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(graph_numbers, "_ROWS", 4)
    seen = []
    numbers = Vocabulary.numbers
    monkeypatch.setattr(
        Vocabulary, "numbers", lambda self, columns: seen.append(columns) or numbers(self, columns)
    )
    numbered = number_triples(
        (block(BLOCKS[0][0], "train", "me") for _ in range(20)),
        pa.array([], pa.large_string()),
        tmp_path,
    )
    assert len(numbered.rows) == 40
    assert max(len(column) for columns in seen for column in columns) == 4


def test_a_split_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(DataError, match="a triple of the split 'validation'"):
        number_triples(
            [block(BLOCKS[0][0], "validation", "me")], pa.array([], pa.large_string()), tmp_path
        )


def test_without_blocks_there_are_no_triples(tmp_path):
    numbered = number_triples([], pa.array(KNOWN, pa.large_string()), tmp_path)
    assert len(numbered.rows) == 0
    assert numbered.entities.to_pylist() == KNOWN


def test_words_keep_their_numbers():
    words = Vocabulary(["a"])
    columns = [
        pa.chunked_array([pa.array(part).dictionary_encode().cast(WORDS)])
        for part in (["b", "a", "b"], ["c"])
    ]
    first, second = words.numbers(columns)
    assert (first.tolist(), second.tolist()) == ([1, 0, 1], [2])
    (again,) = words.numbers(columns[1:])
    assert again.tolist() == [2]
    assert words.words.to_pylist() == ["a", "b", "c"]
