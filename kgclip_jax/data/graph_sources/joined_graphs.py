"""Graphs that `prepare.py graph` has made, side by side in one, as Knowledge-CLIP trains on three.

Relations of the same words in two graphs are one. Entities are told apart by the folder that they
come from: that two of them have one name does not make them the same thing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from kgclip_jax.data.graph_sources.graph_source import Block, triple_rows
from kgclip_jax.data.skips import Skips
from kgclip_jax.errors import DataError
from kgclip_jax.files import is_plain_name
from kgclip_jax.knowledge.graph.exchange_files import entity_table, triple_table
from kgclip_jax.knowledge.graph.knowledge_graph import CONTENTS, ENTITY_SCHEMA, KnowledgeGraph
from kgclip_jax.schema import LocalPath, check

_ROWS = 262_144  # of a block


@dataclass(frozen=True)
class JoinedGraphs:
    """Folders of graphs in one folder.

    Attributes:
        kind: tells this source apart from the others.
        folder: of the graphs; images are files from here.
        folders: their names, with commas between: "visualsem,conceptnet".
    """

    kind: Literal["joined"] = "joined"
    folder: LocalPath = "."
    folders: str = ""

    def __post_init__(self) -> None:
        names = self.folders.split(",")
        check(
            all(map(is_plain_name, names)) and len({*names}) == len(names),
            "folders must name the graphs to join, each once, with commas between",
        )

    def files(self) -> Mapping[str, Path]:
        """Return what tells the content of each graph. Raises DataError where one is missing."""
        found = {name: Path(self.folder) / name / CONTENTS for name in self.folders.split(",")}
        if missing := [str(path) for path in found.values() if not path.is_file()]:
            raise DataError(f"{missing[0]}: not found")
        return found

    def entities(self) -> Iterator[Block]:
        """Yield some entities of a graph at a time. Raises DataError."""
        for name, graph in self._opened():
            for start in range(0, len(graph), _ROWS):
                yield partial(self._entities, name, graph, start)

    def triples(self) -> Iterator[Block]:
        """Yield some triples of a split of a graph at a time. Raises DataError."""
        for name, graph in self._opened():
            for split, triples in graph.splits.items():
                for start in range(0, len(triples), _ROWS):
                    yield partial(_triples, name, graph, split, start)

    def implied_names(self, keys: pa.Array) -> None:
        """Return nothing: graphs describe all of their entities."""

    def phrase(self, relation: str) -> str:
        """Return the words that a relation is called by, see `_relations`."""
        return self._phrases[relation]

    @cached_property
    def _phrases(self) -> Mapping[str, str]:
        return {
            relation: phrase
            for name, graph in self._opened()
            for relation, phrase in zip(
                _relations(name, graph), graph.contents.phrases, strict=True
            )
        }

    def _opened(self) -> Iterator[tuple[str, KnowledgeGraph]]:
        for name, path in self.files().items():
            yield name, KnowledgeGraph(path.parent)

    def _entities(self, name: str, graph: KnowledgeGraph, start: int, skips: Skips) -> pa.Table:
        table = entity_table(graph, start, _ROWS, Path(self.folder))
        keys = table.schema.get_field_index("key")
        return table.set_column(keys, ENTITY_SCHEMA.field(keys), _told_apart(name, table["key"]))


def _triples(name: str, graph: KnowledgeGraph, split: str, start: int, skips: Skips) -> pa.Table:
    table = triple_table(graph, split, start, _ROWS, _relations(name, graph))
    ends = {end: _told_apart(name, table[end]) for end in ("head", "tail")}
    ends["relation"] = table["relation"]
    source = pc.if_else(pc.equal(table["source"], ""), name, _told_apart(name, table["source"]))
    return triple_rows(ends, weight=table["weight"], split=split, source=source)


def _relations(name: str, graph: KnowledgeGraph) -> list[str]:
    """Call relations by their words, but those of one graph that have the same by their names."""
    contents = graph.contents
    times = Counter(contents.phrases)
    return [
        phrase if times[phrase] == 1 else f"{name}/{relation}"
        for relation, phrase in zip(contents.relations, contents.phrases, strict=True)
    ]


def _told_apart(name: str, words: pa.ChunkedArray) -> pa.ChunkedArray:
    prefix, nothing = (pa.scalar(text, pa.large_string()) for text in (f"{name}/", ""))
    return pc.binary_join_element_wise(prefix, words, nothing)
