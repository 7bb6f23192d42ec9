"""Triples as lines of a text file: FB15k, WN18RR, ConceptNet-100K and their like.

    FOLDER/train.txt, valid.txt, test.txt        head, relation and tail between tabs
    FOLDER/entity2text.txt                       perhaps: an entity, its name, glosses

Of ConceptNet-100K the relation comes first: `--set=columns=relation,head,tail`. WN18 and WN18RR
call an entity by the offset of its synset in Princeton's WordNet 3.0, "02084071", which leads to
its name and gloss: `--set=wordnet=FOLDER`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from kgclip_jax.data.graph_sources.graph_source import (
    ENDS,
    NO_NUMBER,
    Block,
    those,
    triple_rows,
    with_ends,
)
from kgclip_jax.data.graph_sources.text_blocks import TextBlock, table_of, text_blocks
from kgclip_jax.data.graph_sources.wordnet_files import synsets, wordnet_files
from kgclip_jax.data.skips import Skips
from kgclip_jax.errors import DataError
from kgclip_jax.files import decode
from kgclip_jax.knowledge.graph.entities import entity_rows
from kgclip_jax.knowledge.graph.knowledge_graph import SPLITS
from kgclip_jax.knowledge.graph.relation_words import words_of_camel_case
from kgclip_jax.schema import LocalPath, check

NO_SYNSET = "name of an entity that is no offset of this WordNet"


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
        wordnet: names and glosses are those of WordNet here (see `wordnet_files`). The files must
            be Princeton's own 3.0: Debian's have moved 14 % of the synsets of WN18RR by some
            bytes, those of 3.1 nearly all. Where a noun and a verb have one offset, WN18RR has one
            entity too: it gets the name of the noun and the glosses of both.
    """

    kind: Literal["edge_lists"] = "edge_lists"
    folder: LocalPath = "."
    columns: str = "head,relation,tail"
    names: LocalPath | None = None
    wordnet: LocalPath | None = None

    def __post_init__(self) -> None:
        read = sorted(column for column in self.columns.split(",") if column != "-")
        check(
            read in (sorted(ENDS), sorted((*ENDS, "weight"))),
            "columns: expected head, relation, tail and perhaps weight, once each, and any number "
            f"of '-', between commas; got {self.columns!r}",
        )
        check(self.names is None or self.wordnet is None, "names or wordnet: expected one of them")

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
            found["names"] = (path if path.is_dir() else path.parent) / self.names
        if self.wordnet is not None:
            found |= {f"wordnet {part}": file for part, file in self._wordnet().items()}
        return found

    def entities(self) -> Iterator[Block]:
        """Yield a block for each block of names, or one of all synsets. Raises DataError."""
        if self.wordnet is not None:
            yield self._synsets
        if self.names is not None:
            for block in text_blocks(self.files()["names"]):
                yield partial(_named, block)

    def triples(self) -> Iterator[Block]:
        """Yield a block for each block of lines. Raises DataError."""
        for split, path in self._splits():
            for block in text_blocks(path):
                yield partial(self._triples, block, split)

    def implied_names(self, keys: pa.Array) -> pa.Array:
        """Return what triples call them, or nothing where files have the names."""
        named = self.names is not None or self.wordnet is not None
        return pa.array([""] * len(keys)) if named else keys

    def phrase(self, relation: str) -> str:
        """Return "has part" for "_has_part", "film genre" for "/film/film/genre"."""
        words = words_of_camel_case(relation).split()
        return " ".join(word for word, _ in groupby(words))

    def _wordnet(self) -> Mapping[str, Path]:
        return wordnet_files(Path(self.wordnet or ""))

    def _synsets(self, skips: Skips) -> pa.Table:
        """Describe the entities that triples speak of."""
        blocks = chain.from_iterable(text_blocks(path) for _, path in self._splits())
        tables = [self._table(block) for block in blocks]
        ends = [table[end].unique() for table in tables for end in ("head", "tail")]
        wanted = set(pa.chunked_array(ends, pa.string()).to_pylist())
        lines = chain.from_iterable(text_blocks(path) for path in self._wordnet().values())
        found = [synset for block in lines for synset in synsets(block) if synset.key[1:] in wanted]
        keys = [synset.key[1:] for synset in found]
        if lost := wanted - set(keys):
            skips.add(NO_SYNSET, min(lost), len(lost))
        return entity_rows(
            keys,
            [synset.words[0] for synset in found],
            glosses=[[synset.gloss] for synset in found],
            kinds=["synset"] * len(keys),
        )

    def _splits(self) -> Iterator[tuple[str, Path]]:
        return ((split, path) for split, path in self.files().items() if split in SPLITS)

    def _table(self, block: TextBlock) -> pa.Table:
        """Return the columns of head, relation, tail and perhaps weight."""
        columns = [
            f"-{place}" if column == "-" else column
            for place, column in enumerate(self.columns.split(","))
        ]
        return table_of(block, columns, [name for name in columns if not name.startswith("-")])

    def _triples(self, block: TextBlock, split: str, skips: Skips) -> pa.Table:
        where = f"{block.path}, line {block.line} ff."
        table = with_ends(self._table(block), where, skips)
        if "weight" not in table.column_names:
            return triple_rows(_ends(table), split=split)
        numbers = pc.match_substring_regex(
            table["weight"], r"^[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$"
        )
        table = those(table, numbers, NO_NUMBER, where, skips)
        return triple_rows(_ends(table), weight=table["weight"].cast(pa.float32()), split=split)


def _ends(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return {name: table[name] for name in ENDS}


def _files_of(folder: Path, split: str) -> list[Path]:
    names = [f"{split}{end}{packed}" for end in (".txt", ".tsv", "") for packed in ("", ".gz")]
    return [folder / name for name in names if (folder / name).is_file()][:1]


def _named(block: TextBlock, skips: Skips) -> pa.Table:
    keys, names, glosses = [], [], []
    text = decode(block.content, block.path, line=block.line)
    for number, line in enumerate(text.split("\n"), block.line):
        if not line.strip():
            continue
        key, tab, rest = line.removesuffix("\r").partition("\t")
        if not tab:
            raise DataError(
                f"{block.path}, line {number}: {line!r} is not an entity and its name between tabs"
            )
        name, *more = rest.split("\t")
        keys.append(key)
        names.append(name)
        glosses.append([gloss for gloss in more if gloss])
    return entity_rows(keys, names, glosses=glosses)
