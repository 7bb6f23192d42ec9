"""ConceptNet 5.7 (Speer, Chin and Havasi, AAAI 2017): `conceptnet-assertions-5.7.0.csv.gz`.

Lines of five columns between tabs, in spite of the name:

    /a/[...]   /r/IsA   /c/en/dog/n/wn/animal   /c/en/animal/n   {"weight": 2.0, ...}

An entity is the language and the term; part of speech and sense after them are dropped.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from kgclip_jax.data.graph_sources.graph_source import Block, triple_rows
from kgclip_jax.data.graph_sources.text_blocks import TextBlock, table_of, text_blocks
from kgclip_jax.data.skips import Skips
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.graph.relation_words import words_of_camel_case
from kgclip_jax.ranges import NonNegativeFloat
from kgclip_jax.schema import LocalPath, check

COLUMNS = ("assertion", "relation", "head", "tail", "info")
NO_WEIGHT = "triple without data set or weight"
_INFO = r'"dataset": "(?P<dataset>[^"]*)".*"weight": (?P<weight>[0-9]+(?:\.[0-9]+)?)'


@dataclass(frozen=True)
class ConceptNet:
    """The dump of all assertions.

    Attributes:
        kind: tells this source apart from the others.
        folder: the file, plain or as gzip, or the folder it lies in.
        language: both ends are terms of this one.
        least_weight: lighter triples are not read; one source that people trust gives 1.
    """

    kind: Literal["conceptnet"] = "conceptnet"
    folder: LocalPath = "."
    language: str = "en"
    least_weight: NonNegativeFloat = 0.0

    def __post_init__(self) -> None:
        check(re.fullmatch("[a-z]{2,3}", self.language) is not None, "language must be like 'en'")

    def files(self) -> Mapping[str, Path]:
        """Return the one file. Raises DataError when it is missing."""
        path = Path(self.folder)
        found = sorted(path.glob("conceptnet-assertions-*.csv*")) if path.is_dir() else [path]
        if not found or not found[0].is_file():
            raise DataError(f"{path}: no file conceptnet-assertions-5.7.0.csv.gz")
        return {"assertions": found[0]}

    def entities(self) -> Iterator[Block]:
        """Yield nothing: terms are their own names."""
        yield from ()

    def triples(self) -> Iterator[Block]:
        """Yield a block of triples for each block of lines. Raises DataError."""
        for block in text_blocks(self.files()["assertions"]):
            yield partial(self._triples, block)

    def implied_names(self, keys: pa.Array) -> pa.Array:
        """Return the terms as they are."""
        return keys

    def phrase(self, relation: str) -> str:
        """Return "is a" for "IsA"."""
        return words_of_camel_case(relation)

    def _triples(self, block: TextBlock, skips: Skips) -> pa.Table:
        table = table_of(block, COLUMNS, COLUMNS[1:])
        prefix = f"/c/{self.language}/"
        wanted = pc.and_(
            pc.starts_with(table["head"], prefix), pc.starts_with(table["tail"], prefix)
        )
        table = table.filter(wanted)
        info = pc.extract_regex(table["info"], _INFO)
        known = pc.is_valid(info)
        if lost := len(table) - (pc.sum(known).as_py() or 0):
            skips.add(NO_WEIGHT, f"{block.path}, line {block.line} ff.", lost)
            table, info = table.filter(known), info.filter(known)
        weight = pc.struct_field(info, "weight").cast(pa.float32())
        heavy = pc.greater_equal(weight, self.least_weight)
        table, info, weight = (column.filter(heavy) for column in (table, info, weight))
        ends = {
            "head": _term(table["head"], prefix),
            "relation": pc.replace_substring_regex(table["relation"], "^/r/", ""),
            "tail": _term(table["tail"], prefix),
        }
        return triple_rows(ends, weight=weight, source=pc.struct_field(info, "dataset"))


def _term(uris: pa.ChunkedArray, prefix: str) -> pa.ChunkedArray:
    """Return "ice cream" for "/c/en/ice_cream/n"."""
    terms = pc.replace_substring_regex(uris, f"^{prefix}([^/]+).*$", r"\1")
    return pc.replace_substring(terms, "_", " ")
