"""Triples as lines of a text file: FB15k, WN18RR, ConceptNet-100K and their like.

    FOLDER/train.txt, valid.txt, test.txt        head, relation and tail between tabs
    FOLDER/entity2text.txt                       perhaps: an entity, its name, glosses

Of ConceptNet-100K the relation comes first: `--set=columns=relation,head,tail`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from kgclip_jax.data.graph_sources.graph_source import Block, triple_rows
from kgclip_jax.data.graph_sources.relation_words import words_of_camel_case
from kgclip_jax.data.graph_sources.text_blocks import TextBlock, table_of, text_blocks
from kgclip_jax.data.skips import Skips
from kgclip_jax.errors import DataError
from kgclip_jax.files import decode
from kgclip_jax.knowledge.graph.entities import entity_rows
from kgclip_jax.knowledge.graph.knowledge_graph import SPLITS
from kgclip_jax.schema import LocalPath, check

ENDS = ("head", "relation", "tail")
NO_NUMBER = "triple whose weight is no number"


@dataclass(frozen=True)
class EdgeLists:
    """A folder of files of triples, or one file to train on.

    Attributes:
        kind: tells this source apart from the others.
        folder: of `train`, `valid` and `test`, each with the extension .txt, .tsv or none, and
            perhaps .gz after it; or one such file of any name.
        columns: what stands between the tabs of a line: head, relation, tail and perhaps weight, in
            any order; "-" is not read.
        names: a file in the folder, or elsewhere, of lines of an entity, its name, and any number
            of glosses; None: what triples call an entity is its name.
    """

    kind: Literal["edge_lists"] = "edge_lists"
    folder: LocalPath = "."
    columns: str = "head,relation,tail"
    names: LocalPath | None = None

    def __post_init__(self) -> None:
        read = sorted(column for column in self.columns.split(",") if column != "-")
        check(
            read in (sorted(ENDS), sorted((*ENDS, "weight"))),
            "columns: expected head, relation, tail and perhaps weight, once each, and any number "
            f"of '-', between commas; got {self.columns!r}",
        )

    def files(self) -> Mapping[str, Path]:
        """Return the file of each split. Raises DataError when there is none to train on."""
        path = Path(self.folder)
        if path.is_file():
            found = {"train": path}
        else:
            found = {split: file for split in SPLITS for file in _files_of(path, split)}
        if "train" not in found:
            raise DataError(f"{path}: no file train.txt, train.tsv or train, nor such a file .gz")
        if self.names is not None:
            found["names"] = path / self.names
        return found

    def entities(self) -> Iterator[Block]:
        """Yield a block for each block of names, if there are any. Raises DataError."""
        if self.names is not None:
            for block in text_blocks(self.files()["names"]):
                yield partial(_named, block)

    def triples(self) -> Iterator[Block]:
        """Yield a block for each block of lines. Raises DataError."""
        for split, path in self.files().items():
            if split in SPLITS:
                for block in text_blocks(path):
                    yield partial(self._triples, block, split)

    def implied_names(self, keys: pa.Array) -> pa.Array:
        """Return what triples call them, or nothing where a file has the names."""
        return keys if self.names is None else pa.array([""] * len(keys))

    def phrase(self, relation: str) -> str:
        """Return "has part" for "_has_part", "film genre" for "/film/film/genre"."""
        words = words_of_camel_case(relation).split()
        return " ".join(word for word, _ in groupby(words))

    def _triples(self, block: TextBlock, split: str, skips: Skips) -> pa.Table:
        columns = [
            f"-{place}" if column == "-" else column
            for place, column in enumerate(self.columns.split(","))
        ]
        wanted = [column for column in columns if not column.startswith("-")]
        table = table_of(block, columns, wanted)
        if "weight" not in wanted:
            return triple_rows(_ends(table), split=split)
        numbers = pc.match_substring_regex(table["weight"], r"^[0-9]+(\.[0-9]+)?([eE]-?[0-9]+)?$")
        if lost := len(table) - (pc.sum(numbers).as_py() or 0):
            skips.add(NO_NUMBER, f"{block.path}, line {block.line} ff.", lost)
            table = table.filter(numbers)
        return triple_rows(_ends(table), weight=table["weight"].cast(pa.float32()), split=split)


def _ends(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return {name: table[name] for name in ENDS}


def _files_of(folder: Path, split: str) -> list[Path]:
    names = [f"{split}{end}{packed}" for end in (".txt", ".tsv", "") for packed in ("", ".gz")]
    return [folder / name for name in names if (folder / name).is_file()][:1]


def _named(block: TextBlock, skips: Skips) -> pa.Table:
    keys, names, glosses = [], [], []
    text = decode(block.content, block.path, line=block.line)
    for number, line in enumerate(text.removesuffix("\n").split("\n"), block.line):
        key, tab, rest = line.partition("\t")
        if not tab:
            raise DataError(
                f"{block.path}, line {number}: {line!r} is not an entity and its name between tabs"
            )
        name, *more = rest.split("\t")
        keys.append(key)
        names.append(name)
        glosses.append([gloss for gloss in more if gloss])
    return entity_rows(keys, names, glosses=glosses)
