"""What a source of a knowledge graph is, and the kinds that there are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc

from kgclip_jax.data.skips import Skips
from kgclip_jax.schema import Registry

_ROOM = "kgclip_jax.data.graph_sources"
GRAPH_SOURCES = Registry(
    "graph source",
    {
        "conceptnet": f"{_ROOM}.conceptnet:ConceptNet",
        "edge_lists": f"{_ROOM}.edge_lists:EdgeLists",
        "emoji": "kgclip_jax.data.emoji.concept_graph:EmojiGraph",
        "joined": f"{_ROOM}.joined_graphs:JoinedGraphs",
        "n_triples": f"{_ROOM}.n_triples:NTriples",
        "parquet": f"{_ROOM}.parquet_tables:ParquetTables",
        "visual_genome": f"{_ROOM}.picture_regions:PictureRegions",
        "visualsem": f"{_ROOM}.visualsem:VisualSem",
        "wordnet": f"{_ROOM}.wordnet:WordNet",
    },
)

_WORDS = pa.dictionary(pa.int32(), pa.large_string())  # of a block: each is stored once
TRIPLE_SCHEMA = pa.schema(
    [
        pa.field("head", _WORDS, nullable=False),  # key of an entity
        pa.field("relation", _WORDS, nullable=False),  # its name
        pa.field("tail", _WORDS, nullable=False),
        pa.field("weight", pa.float32(), nullable=False),
        pa.field("split", _WORDS, nullable=False),
        pa.field("source", _WORDS, nullable=False),  # who says so
    ]
)

ENDS = ("head", "relation", "tail")

# A block of rows that is made when it is called, with a counter of what is left out; a launch that
# was stopped does not call those that it has.
Block = Callable[[Skips], pa.Table]

NO_NUMBER = "triple whose weight is no number"
NO_END = "triple of an empty head, relation or tail"
OTHER_LITERAL = "literal that is neither name nor gloss"
OTHER_LANGUAGE = "name or gloss in another language"
SMALL_REGION = "region that is too small"
LONE_REGION = "region without a relation"
RARE_PREDICATE = "relation of a rare predicate"
SMALL_END = "relation of a region that is left out"
NO_SENSE = "thing without a synset"
# No fault of the files.
NOT_READ = frozenset(
    (OTHER_LITERAL, OTHER_LANGUAGE, SMALL_REGION, LONE_REGION, RARE_PREDICATE, SMALL_END, NO_SENSE)
)


@runtime_checkable
class GraphSource(Protocol):
    """A frozen dataclass that names files and says how to read them."""

    @property
    def kind(self) -> str:
        """Its name in `GRAPH_SOURCES`."""
        ...

    @property
    def folder(self) -> str:
        """Where its files lie; images of entities are paths from here."""
        ...

    def files(self) -> Mapping[str, Path]:
        """Return what is read, by a name that does not depend on where it lies.

        Raises:
            DataError: something is missing.
        """
        ...

    def entities(self) -> Iterator[Block]:
        """Yield what files say of entities, by `ENTITY_SCHEMA`, the same blocks every time.

        Rows of one key are one entity: its first name, its first box, all glosses and images.

        Raises:
            DataError: a file is malformed; the message names the line.
        """
        ...

    def triples(self) -> Iterator[Block]:
        """Yield the triples, by `TRIPLE_SCHEMA`, the same blocks every time. Raises DataError."""
        ...

    def implied_names(self, keys: pa.Array) -> pa.Array | None:
        """Return the names of entities that triples alone speak of.

        None: there should be no such entity; its triples are left out and counted.
        """
        ...

    def phrase(self, relation: str) -> str:
        """Return the words of a relation."""
        ...


def triple_rows(
    ends: Mapping[str, Sequence[str] | pa.ChunkedArray],
    *,
    weight: Sequence[float] | pa.ChunkedArray | None = None,
    split: str | pa.ChunkedArray = "train",
    source: str | pa.ChunkedArray = "",
) -> pa.Table:
    """Return a table by `TRIPLE_SCHEMA`.

    Args:
        ends: the columns head, relation and tail.
        weight: of each triple; None: 1.
        split: of all triples, or of each.
        source: who says so, of all triples or of each.
    """
    count = len(ends["head"])
    columns = dict(ends)
    columns["weight"] = pa.repeat(1.0, count) if weight is None else weight
    columns["split"] = pa.repeat(split, count) if isinstance(split, str) else split
    columns["source"] = pa.repeat(source, count) if isinstance(source, str) else source
    words = pa.schema([(name, pa.large_string()) for name in TRIPLE_SCHEMA.names])
    words = words.set(words.get_field_index("weight"), TRIPLE_SCHEMA.field("weight"))
    table = pa.table({name: columns[name] for name in TRIPLE_SCHEMA.names}).cast(words)
    return table.combine_chunks().cast(TRIPLE_SCHEMA)


def triples_of(found: Sequence[tuple[str, str, str]], *, split: str = "train") -> pa.Table:
    """Return (head, relation, tail) as a table by `TRIPLE_SCHEMA`."""
    heads, relations, tails = zip(*found, strict=True) if found else ((), (), ())
    return triple_rows({"head": heads, "relation": relations, "tail": tails}, split=split)


def with_ends(table: pa.Table, where: str, skips: Skips) -> pa.Table:
    """Return the rows of head, relation, tail ... that have all three, and count the others."""
    filled = reduce(pc.and_, [pc.not_equal(table[end], "") for end in ENDS])
    return those(table, filled, NO_END, where, skips)


def those(
    table: pa.Table, wanted: pa.ChunkedArray, reason: str, where: str, skips: Skips
) -> pa.Table:
    """Return the wanted rows, and count the others for a reason, with where they are."""
    rest = table.filter(wanted)
    if lost := len(table) - len(rest):
        skips.add(reason, where, lost)
    return rest
