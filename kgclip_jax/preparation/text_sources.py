"""Sources of texts without stored pictures: lines of a file, entities of a graph, emoji scenes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol, runtime_checkable

import numpy as np

from kgclip_jax.data.emoji.source import EmojiScenes
from kgclip_jax.data.emoji.world import EmojiWorld
from kgclip_jax.data.records import Record
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.files import read_text
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
from kgclip_jax.schema import LocalPath, Registry, check

_HERE = "kgclip_jax.preparation.text_sources"
TEXT_SOURCES = Registry(
    "source of texts",
    {
        "emoji": f"{_HERE}:EmojiCaptions",
        "graph": f"{_HERE}:GraphTexts",
        "lines": f"{_HERE}:LinesOfText",
    },
)


@runtime_checkable
class TextSource(Protocol):
    """A frozen dataclass that names what has texts."""

    @property
    def kind(self) -> str:
        """Its name in `TEXT_SOURCES`."""
        ...

    def records(self, root: Path, *, bad_share: float) -> "TextRecords":
        """Open it; relative paths start from `root`. Raises DataError."""
        ...


class TextRecords:
    """Records of texts alone, see `kgclip_jax.data.records.Records`."""

    name: str
    skipped: Mapping[str, int]

    def __init__(self, name: str) -> None:
        self.name, self.skipped = name, {}

    def encoded(self, index: int) -> NoReturn:
        """Raise BadRecord: there is no picture."""
        raise BadRecord(f"{self.name}: record {index} has no picture")


@dataclass(frozen=True)
class LinesOfText:
    """A text file with a text in each line, or several that mean the same, between tabs.

    Attributes:
        kind: tells this source apart from the others.
        folder: the file.
    """

    kind: Literal["lines"] = "lines"
    folder: LocalPath = "."

    def records(self, root: Path, *, bad_share: float) -> TextRecords:
        """Read the file; blank lines are none. Raises DataError."""
        path = root / self.folder
        lines = [_texts(line.split("\t")) for line in read_text(path).split("\n")]
        filled = [texts for texts in lines if texts]
        if not filled:
            raise DataError(f"{path}: there is no text")
        return _Listed(str(path), filled)


@dataclass(frozen=True)
class GraphTexts:
    """Names and glosses of the entities of a knowledge graph.

    Attributes:
        kind: tells this source apart from the others.
        folder: that `prepare.py graph` has made.
        glosses: take them, beside names.
    """

    kind: Literal["graph"] = "graph"
    folder: LocalPath = "."
    glosses: bool = True

    def records(self, root: Path, *, bad_share: float) -> TextRecords:
        """Open the graph; an entity without name and gloss has no record. Raises DataError."""
        return _OfEntities(KnowledgeGraph(root / self.folder), self.glosses)


@dataclass(frozen=True)
class EmojiCaptions:
    """All captions of the training scenes of an emoji world, which has a number of them each.

    Attributes:
        kind: tells this source apart from the others.
        world: of the scenes; `world.captions` must be set.
    """

    kind: Literal["emoji"] = "emoji"
    world: EmojiWorld = field(default_factory=EmojiWorld)

    def __post_init__(self) -> None:
        check(self.world.captions is not None, "world.captions must say how many a scene has")

    def records(self, root: Path, *, bad_share: float) -> TextRecords:
        """Describe the scenes. Nothing is read from `root`."""
        return _OfScenes(self.world)


class _Listed(TextRecords):
    def __init__(self, name: str, texts: Sequence[Sequence[str]]) -> None:
        super().__init__(name)
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def record(self, index: int) -> Record:
        return Record(str(index), self._texts[index])


class _OfEntities(TextRecords):
    def __init__(self, graph: KnowledgeGraph, glosses: bool) -> None:
        super().__init__(str(graph.folder))
        self._graph, self._glosses = graph, glosses

    def __reduce__(self) -> tuple[Any, ...]:
        return _OfEntities, (self._graph, self._glosses)

    def __len__(self) -> int:
        return len(self._rows)

    def record(self, index: int) -> Record:
        row = self._graph.entities.slice(int(self._rows[index]), 1).to_pylist()[0]
        return Record(row["key"], _texts([row["name"], *(row["glosses"] * self._glosses)]))

    @cached_property
    def _rows(self) -> np.ndarray:
        columns = self._graph.entities.select(["name", "glosses"])
        filled = columns["name"].to_numpy() != ""
        if self._glosses:
            filled |= np.array([len(each) > 0 for each in columns["glosses"].to_pylist()])
        return np.flatnonzero(filled)


class _OfScenes(TextRecords):
    def __init__(self, world: EmojiWorld) -> None:
        super().__init__("emoji")
        self._world = world

    def __reduce__(self) -> tuple[Any, ...]:
        return _OfScenes, (self._world,)

    def __len__(self) -> int:
        return self._world.scenes

    def record(self, index: int) -> Record:
        captions = self._scenes.captions(index)
        return Record(str(index), [caption.text for caption in captions])

    @cached_property
    def _scenes(self) -> EmojiScenes:
        return EmojiScenes(self._world, size=32)  # nothing is painted


def _texts(texts: Sequence[str]) -> list[str]:
    return [text for text in (" ".join(each.split()) for each in texts) if text]
