"""Writing the folder of a knowledge graph."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from kgclip_jax.errors import DataError
from kgclip_jax.files import atomic_file, write_json, writing
from kgclip_jax.knowledge.graph.knowledge_graph import (
    CONTENTS,
    ENTITIES,
    ENTITY_SCHEMA,
    SPLITS,
    GraphContents,
    KnowledgeGraph,
)
from kgclip_jax.knowledge.graph.split_folder import COLUMNS, EdgeKeys, EdgeList, write_split
from kgclip_jax.schema import to_dict

DUPLICATE = "triple that is there already"

_NO_IDS = np.zeros(0, np.int64)
_NO_EDGES = EdgeList.of(_NO_IDS, _NO_IDS, _NO_IDS, np.zeros(0), _NO_IDS)
_ARROW_ROWS = 65_536  # of a batch in the file, so that a row is found without reading all


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
    keys, views = EdgeKeys(len(entities), len(relations.names)), entity_views(entities)
    keys.check()
    counts = Counter(left_out)
    named = Relations(tuple(relations.names), tuple(relations.phrases))
    digest = hashlib.sha256(repr((named, tuple(sources))).encode())
    (folder / CONTENTS).unlink(missing_ok=True)
    triples = {}
    for name in SPLITS:
        listed = edges.get(name, _NO_EDGES)
        triples[name] = write_split(folder / name, listed, keys, views)
        counts[DUPLICATE] += len(listed.head) - triples[name]
        for column in COLUMNS:
            digest.update(np.load(folder / name / f"{column}.npy", mmap_mode="r").data)
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


def entity_views(entities: pa.Table) -> dict[str, Bool[np.ndarray, " entities"]]:
    """Tell which entities can be seen as an image, and which as a text."""
    named = pc.not_equal(entities["name"], "").to_numpy()
    glossed = pc.greater(pc.list_value_length(entities["glosses"]), 0).to_numpy()
    pictured = pc.greater(pc.list_value_length(entities["images"]), 0).to_numpy()
    return {"image": pictured, "text": named | glossed}


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
