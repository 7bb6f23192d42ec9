"""Writing the folder of a knowledge graph: sorted, without doubles, indexed from both ends."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Float32, Int, Int16, Int32, Int64

from kgclip_jax.errors import DataError
from kgclip_jax.files import atomic_file, write_json, writing
from kgclip_jax.knowledge.graph.adjacency import Adjacency, unpacked
from kgclip_jax.knowledge.graph.knowledge_graph import (
    CONTENTS,
    ENTITIES,
    ENTITY_SCHEMA,
    SPLITS,
    VIEW_PAIRS,
    GraphContents,
    KnowledgeGraph,
    Split,
)
from kgclip_jax.schema import to_dict

DUPLICATE = "triple that is there already"

_ARROW_ROWS = 65_536  # of a batch in the file, so that a row is found without reading all


class EdgeList(NamedTuple):
    """Triples in any order, by the numbers of entities and relations."""

    head: Int32[np.ndarray, " n"]
    relation: Int32[np.ndarray, " n"]
    tail: Int32[np.ndarray, " n"]
    weight: Float32[np.ndarray, " n"]
    source: Int16[np.ndarray, " n"]

    @classmethod
    def of(
        cls,
        head: Int[np.ndarray, " n"],
        relation: Int[np.ndarray, " n"],
        tail: Int[np.ndarray, " n"],
        weight: Float[np.ndarray, " n"],
        source: Int[np.ndarray, " n"],
    ) -> "EdgeList":
        """Return the list of columns of any width."""
        return cls(
            head.astype(np.int32),
            relation.astype(np.int32),
            tail.astype(np.int32),
            weight.astype(np.float32),
            source.astype(np.int16),
        )


class Relations(NamedTuple):
    """The relations of a graph: names as in the source, and what a text encoder reads."""

    names: Sequence[str]
    phrases: Sequence[str]


def write_graph(
    folder: Path,
    entities: pa.Table,
    relations: Relations,
    edges: Mapping[str, EdgeList],
    *,
    sources: Sequence[str],
    pictures: str,
    left_out: Mapping[str, int],
    settings: Mapping[str, Any],
) -> KnowledgeGraph:
    """Write a graph and open it. Of equal triples in a split the heaviest one stays.

    Args:
        folder: new, or one that has held a graph.
        entities: by ENTITY_SCHEMA.
        relations: as many as the triples count.
        edges: of "train", and perhaps of "valid" and "test".
        sources: names of where triples come from.
        pictures: folder that the images of entities lie in.
        left_out: what could not be used, by reason; double triples are added.
        settings: what the graph is made of, as plain values.

    Raises:
        DataError: there is no triple to train on, or more than 2**15 sources, or the graph is too
            large to be indexed.
        UserError: the disk refuses.
    """
    if not len(edges["train"].head):
        raise DataError(f"{folder}: the graph is empty: there is no triple to train on")
    if len(sources) > 2**15:
        raise DataError(f"{folder}: {len(sources):,} sources are more than 2**15; name fewer")
    counts = Counter(left_out)
    digest = hashlib.sha256(repr((relations, tuple(sources))).encode())
    (folder / CONTENTS).unlink(missing_ok=True)
    triples = {}
    views = entity_views(entities)
    for name in SPLITS:
        listed = edges.get(name) or _no_edges()
        split = indexed(listed, len(entities), len(relations.names))
        split = replace(split, rows_of=dict(_rows_of(split, views)))
        counts[DUPLICATE] += len(listed.head) - len(split)
        _write_split(folder / name, split, digest)
        triples[name] = len(split)
    _write_entities(folder / ENTITIES, entities.cast(ENTITY_SCHEMA), digest)
    contents = GraphContents(
        entities=len(entities),
        relations=tuple(relations.names),
        phrases=tuple(relations.phrases),
        triples=triples,
        sources=tuple(sources),
        pictures=pictures,
        left_out={reason: count for reason, count in counts.items() if count},
        fingerprint=digest.hexdigest(),
        settings=dict(settings),
    )
    write_json(folder / CONTENTS, to_dict(contents))
    return KnowledgeGraph(folder)


def indexed(edges: EdgeList, entities: int, relations: int) -> Split:
    """Sort triples from both ends; of equal ones the heaviest stays.

    Raises:
        DataError: entities x relations x entities is not below 2**63.
    """
    if entities * relations * entities >= 2**63:
        raise DataError(
            f"{entities:,} entities and {relations:,} relations are too many to be indexed: keep "
            "the most frequent relations, or the largest part of the graph"
        )
    from_head = _keys(edges.head, edges.relation, edges.tail, entities, relations)
    order = np.lexsort((-edges.weight, from_head))
    keys = from_head[order]
    order = order[np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)]]
    head, relation, tail = edges.head[order], edges.relation[order], edges.tail[order]
    back = np.argsort(_keys(tail, relation, head, entities, relations), kind="stable")
    return Split(
        heads=head,
        weights=edges.weight[order],
        sources=edges.source[order],
        outgoing=Adjacency.of(entities, head, relation, tail),
        incoming=Adjacency.of(entities, tail[back], relation[back], head[back]),
        rows_of={},
    )


def entity_views(entities: pa.Table) -> dict[str, Bool[np.ndarray, " entities"]]:
    """Tell which entities can be seen as an image, and which as a text."""
    named = pc.not_equal(entities["name"], "").to_numpy()
    glossed = pc.greater(pc.list_value_length(entities["glosses"]), 0).to_numpy()
    pictured = pc.greater(pc.list_value_length(entities["images"]), 0).to_numpy()
    return {"image": pictured, "text": named | glossed}


def _rows_of(
    split: Split, views: Mapping[str, Bool[np.ndarray, " entities"]]
) -> Iterator[tuple[str, Int32[np.ndarray, " _"]]]:
    """Find the triples of each pair; of an entity with itself, only between image and text."""
    _, tails = unpacked(split.outgoing.edges)
    differ = split.heads != tails
    for pair in VIEW_PAIRS:
        head, tail = pair.split("_")
        both = views[head][split.heads] & views[tail][tails]
        both = both & differ if head == tail else both
        yield pair, np.flatnonzero(both).astype(np.int32)


def _keys(
    node: Int[np.ndarray, " n"],
    relation: Int[np.ndarray, " n"],
    neighbour: Int[np.ndarray, " n"],
    entities: int,
    relations: int,
) -> Int64[np.ndarray, " n"]:
    """Return one number for each edge, in whose order edges sort."""
    return (node.astype(np.int64) * relations + relation) * entities + neighbour


def _no_edges() -> EdgeList:
    ids, weights = np.zeros(0, np.int32), np.zeros(0, np.float32)
    return EdgeList(ids, ids, ids, weights, np.zeros(0, np.int16))


def _write_split(folder: Path, split: Split, digest: "hashlib._Hash") -> None:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    columns = {
        "heads": split.heads,
        "weights": split.weights,
        "sources": split.sources,
        "outgoing.offsets": split.outgoing.offsets,
        "outgoing.edges": split.outgoing.edges,
        "incoming.offsets": split.incoming.offsets,
        "incoming.edges": split.incoming.edges,
        **{f"rows.{pair}": rows for pair, rows in split.rows_of.items()},
    }
    for name, column in columns.items():
        path = folder / f"{name}.npy"
        with atomic_file(path) as temporary, writing(path), temporary.open("wb") as file:
            np.save(file, column)
        digest.update(column.data)


def _write_entities(path: Path, entities: pa.Table, digest: "hashlib._Hash") -> None:
    """Write entities in the same batches, in however many chunks they come.

    They have one dictionary of kinds, as the file format wants it.
    """
    table = entities.unify_dictionaries()
    with atomic_file(path) as temporary, writing(path, pa.ArrowException):
        with pa.ipc.new_file(str(temporary), table.schema) as file:
            for start in range(0, len(table), _ARROW_ROWS):
                file.write_table(table.slice(start, _ARROW_ROWS).combine_chunks())
        with temporary.open("rb") as written:
            digest.update(hashlib.file_digest(written, "sha256").digest())
