"""A graph in tables of Parquet, as pandas, Spark, DuckDB ... write them.

    FOLDER/triples.parquet      head, relation, tail; perhaps weight, split, source
    FOLDER/entities.parquet     perhaps: key, name; perhaps glosses, images, box, kind
    FOLDER/relations.parquet    perhaps: name, phrase: the words of each relation

`kgclip_jax.knowledge.graph.exchange_files.write_parquet` writes such a folder. Other columns are
not read. Where no table describes entities, what triples call them are their names.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kgclip_jax.data.graph_sources.graph_source import (
    ENDS,
    NO_NUMBER,
    Block,
    those,
    triple_rows,
    with_ends,
)
from kgclip_jax.data.skips import MISSING_IMAGE, Skips
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.graph.entities import with_images
from kgclip_jax.knowledge.graph.exchange_files import (
    ENTITIES,
    ENTITY_COLUMNS,
    RELATION_COLUMNS,
    RELATIONS,
    TRIPLE_COLUMNS,
    TRIPLES,
)
from kgclip_jax.knowledge.graph.knowledge_graph import ENTITY_SCHEMA, SPLITS
from kgclip_jax.knowledge.graph.relation_words import words_of_camel_case
from kgclip_jax.schema import LocalPath

FILES = {"triples": TRIPLES, "entities": ENTITIES, "relations": RELATIONS}

_DEFAULTS = {
    "weight": 1.0,
    "split": "train",
    "glosses": [],
    "images": [],
    "box": None,
    "kind": "entity",
}  # of others: ""
_ROWS = 262_144  # of a block


@dataclass(frozen=True)
class ParquetTables:
    """A folder of the tables above.

    Attributes:
        kind: tells this source apart from the others.
        folder: of the tables; images are files from here.
    """

    kind: Literal["parquet"] = "parquet"
    folder: LocalPath = "."

    def files(self) -> Mapping[str, Path]:
        """Return the tables that there are. Raises DataError where there are no triples."""
        paths = {name: Path(self.folder) / file for name, file in FILES.items()}
        found = {name: path for name, path in paths.items() if path.is_file()}
        if "triples" not in found:
            raise DataError(f"{paths['triples']}: not found")
        return found

    def entities(self) -> Iterator[Block]:
        """Yield a block for some rows at a time. Raises DataError."""
        if path := self.files().get("entities"):
            for where, table in _tables(path, ENTITY_COLUMNS, ("key", "name")):
                yield partial(self._described, where, table)

    def triples(self) -> Iterator[Block]:
        """Yield a block for some rows at a time. Raises DataError."""
        path = self.files()["triples"]
        for where, table in _tables(path, TRIPLE_COLUMNS, ENDS):
            yield partial(_triples, where, table)

    def implied_names(self, keys: pa.Array) -> pa.Array | None:
        """Return what triples call them, or nothing where a table describes the entities."""
        return None if "entities" in self.files() else keys

    def phrase(self, relation: str) -> str:
        """Return what the table says, or else "is a" for "IsA"."""
        return self._phrases.get(relation) or words_of_camel_case(relation)

    @cached_property
    def _phrases(self) -> Mapping[str, str]:
        phrases: dict[str, str] = {}
        if path := self.files().get("relations"):
            for _, table in _tables(path, RELATION_COLUMNS, RELATION_COLUMNS.names):
                phrases |= zip(table["name"].to_pylist(), table["phrase"].to_pylist(), strict=True)
        return phrases

    def _described(self, where: str, table: pa.Table, skips: Skips) -> pa.Table:
        if pc.any(pc.equal(table["key"], "")).as_py():
            raise DataError(f"{where}: an entity has no key")
        images = [
            [file for file in files if self._is_there(file, skips)]
            for files in table["images"].to_pylist()
        ]
        return with_images(table, images).cast(ENTITY_SCHEMA)

    def _is_there(self, file: str, skips: Skips) -> bool:
        if not (found := (Path(self.folder) / file).is_file()):
            skips.add(MISSING_IMAGE, file)
        return found


def _triples(where: str, table: pa.Table, skips: Skips) -> pa.Table:
    known = pc.is_in(table["split"], pa.array(SPLITS, pa.large_string()))
    if not pc.all(known).as_py():
        other = table["split"].filter(pc.invert(known))[0]
        raise DataError(f"{where}: the split {str(other)!r} is none of {', '.join(SPLITS)}")
    table = with_ends(table, where, skips)
    numbers = pc.and_(pc.is_finite(table["weight"]), pc.greater_equal(table["weight"], 0))
    table = those(table, numbers, NO_NUMBER, where, skips)
    ends = {name: table[name] for name in ENDS}
    columns = {name: table[name] for name in ("weight", "split", "source")}
    return triple_rows(ends, **columns)


def _tables(
    path: Path, columns: pa.Schema, required: Collection[str]
) -> Iterator[tuple[str, pa.Table]]:
    """Yield some rows at a time, and where they are; what is missing or null has its default.

    Raises:
        DataError: the file is no Parquet, or a column is missing or of another type.
    """
    row = 1
    try:
        file = pq.ParquetFile(path, memory_map=True)
        there = file.schema_arrow.names
        if missing := [name for name in required if name not in there]:
            raise DataError(f"{path}: no column {missing[0]!r}; there are {', '.join(there)}")
        for batch in file.iter_batches(_ROWS, columns=[n for n in columns.names if n in there]):
            where = f"{path}, row {row} ff."
            batch.validate(full=True)  # what is called text may be no UTF-8
            found = [_column(where, batch, field) for field in columns]
            yield where, pa.table(found, columns.names)
            row += len(batch)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}, row {row} ff.: {error}") from error


def _column(where: str, batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    default = pa.scalar(_DEFAULTS.get(field.name, ""), field.type)
    if field.name not in batch.schema.names:
        return pa.repeat(default, len(batch))
    try:
        column = batch[field.name].cast(field.type, safe=False)
    except pa.ArrowException as error:
        held = f"{field.type}, not {batch[field.name].type}"
        raise DataError(f"{where}: {field.name!r} must hold {held} ({error})") from error
    if pa.types.is_large_list(field.type) and column.flatten().null_count:
        raise DataError(f"{where}: {field.name!r} has null within a list")
    return column.fill_null(default) if default.is_valid else column
