"""Knowledge graphs as files that other programs read: Parquet with all that is known, edge lists.

    FOLDER/triples.parquet      head, relation, tail, weight, split, source
    FOLDER/entities.parquet     key, name, glosses, images, box, kind
    FOLDER/relations.parquet    name, phrase

    FOLDER/train.txt ...        head, relation and tail between tabs: what PyKEEN and LibKGE read
    FOLDER/entity2text.txt      an entity, its name and glosses

`launch/prepare.py graph` reads both again, as `--source=parquet:FOLDER` and
`--source=edge_lists:FOLDER --set=names=entity2text.txt`.
"""

import os.path
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kgclip_jax.errors import DataError
from kgclip_jax.files import atomic_file, writing
from kgclip_jax.knowledge.graph.entities import with_images
from kgclip_jax.knowledge.graph.knowledge_graph import ENTITY_SCHEMA, KnowledgeGraph

TRIPLES, ENTITIES, RELATIONS = (f"{name}.parquet" for name in ("triples", "entities", "relations"))
NAMES = "entity2text.txt"

_TEXT = pa.large_string()
_ENDS = [(name, _TEXT) for name in ("head", "relation", "tail")]
TRIPLE_COLUMNS = pa.schema(
    [*_ENDS, ("weight", pa.float32()), ("split", _TEXT), ("source", _TEXT)],
)
ENTITY_COLUMNS = ENTITY_SCHEMA.set(
    ENTITY_SCHEMA.get_field_index("kind"), pa.field("kind", _TEXT, nullable=False)
)
RELATION_COLUMNS = pa.schema([("name", _TEXT), ("phrase", _TEXT)])

_NO_TEXT = r"[\t\n\r\x00]"  # of a line
_ROWS = 262_144  # held in memory at a time


def write_parquet(graph: KnowledgeGraph, folder: Path) -> None:
    """Write all of a graph into a folder; images become paths from there.

    Raises:
        UserError: the disk refuses.
    """
    relations = pa.table([graph.contents.relations, graph.contents.phrases], RELATION_COLUMNS)
    _write_tables(folder / TRIPLES, TRIPLE_COLUMNS, _triples(graph, graph.splits))
    _write_tables(folder / ENTITIES, ENTITY_COLUMNS, _entities(graph, folder))
    _write_tables(folder / RELATIONS, RELATION_COLUMNS, [relations])


def write_edge_lists(graph: KnowledgeGraph, folder: Path, *, weights: bool = False) -> None:
    """Write the triples of each split, and names and glosses, as lines of text.

    Such files have no place for images, sources and the words of relations.

    Args:
        graph: no text of it has tabs or line ends.
        folder: of the files.
        weights: write them after the tail; `--set=columns=head,relation,tail,weight` reads them.

    Raises:
        DataError: a text does not fit into a line, or an entity or relation is called nothing.
        UserError: the disk refuses.
    """
    _check_fits(graph)
    columns = ["head", "relation", "tail", *(["weight"] if weights else [])]
    for split in graph.splits:
        tables = (table.select(columns) for table in _triples(graph, [split]))
        rows = (zip(*table.to_pydict().values(), strict=True) for table in tables)
        _write_lines(folder / f"{split}.txt", rows)
    batches = graph.entities.select(["key", "name", "glosses"]).to_batches(_ROWS)
    named = (
        ((row["key"], row["name"], *row["glosses"]) for row in batch.to_pylist())
        for batch in batches
    )
    _write_lines(folder / NAMES, named)


def triple_table(
    graph: KnowledgeGraph, split: str, start: int, count: int, relations: Sequence[str]
) -> pa.Table:
    """Return up to `count` triples of a split in words, the columns of triples.parquet.

    `relations` is what those of the graph are called.
    """
    part = graph.splits[split]
    rows = np.arange(start, min(start + count, len(part)))
    ids = part.triples(rows)
    keys = graph.entities["key"].combine_chunks()
    columns = {
        "head": keys.take(pa.array(ids.head)),
        "relation": pa.array(relations, _TEXT).take(pa.array(ids.relation)),
        "tail": keys.take(pa.array(ids.tail)),
        "weight": part.weights[rows],
        "split": pa.repeat(split, len(rows)),
        "source": pa.array(graph.contents.sources, _TEXT).take(pa.array(part.sources[rows])),
    }
    return pa.table(columns).cast(TRIPLE_COLUMNS)


def entity_table(graph: KnowledgeGraph, start: int, count: int, folder: Path) -> pa.Table:
    """Return up to `count` entities by `ENTITY_SCHEMA`, whose images are paths from `folder`."""
    way = Path(os.path.relpath(graph.contents.pictures, folder))
    table = graph.entities.slice(start, count)
    images = [[str(way / file) for file in files] for files in table["images"].to_pylist()]
    return with_images(table, images)


def _triples(graph: KnowledgeGraph, splits: Iterable[str]) -> Iterator[pa.Table]:
    for split in splits:
        for start in range(0, len(graph.splits[split]), _ROWS):
            yield triple_table(graph, split, start, _ROWS, graph.contents.relations)


def _entities(graph: KnowledgeGraph, folder: Path) -> Iterator[pa.Table]:
    for start in range(0, len(graph), _ROWS):
        yield entity_table(graph, start, _ROWS, folder)


def _write_tables(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    with _new_file(path) as temporary, pq.ParquetWriter(temporary, schema) as file:
        for table in tables:
            file.write_table(table.cast(schema))


def _write_lines(path: Path, parts: Iterable[Iterable[Iterable[object]]]) -> None:
    with _new_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for rows in parts:
            file.writelines("\t".join(map(str, row)) + "\n" for row in rows)


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    with writing(path, pa.ArrowException):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as temporary:
            yield temporary


def _check_fits(graph: KnowledgeGraph) -> None:
    """Raise DataError where a text cannot stand between tabs."""
    table, relations = graph.entities, pa.array(graph.contents.relations, pa.string())
    for texts, misfit in (
        (table["key"], f"{_NO_TEXT}|^$"),
        (relations, f"{_NO_TEXT}|^$"),
        (table["name"], _NO_TEXT),
        (pc.list_flatten(table["glosses"]), _NO_TEXT),
    ):
        odd = texts.filter(pc.match_substring_regex(texts, misfit))
        if len(odd):
            raise DataError(
                f"{graph.folder}: {odd[0].as_py()!r} cannot stand between tabs; Parquet can hold it"
            )
