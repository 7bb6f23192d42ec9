"""VisualSem 2 (Alberts et al., MRL 2021): concepts of BabelNet with glosses and images.

    nodes.v2.json                      {"bn:00015267n": {"ms": "dog", "se": ["dog", ...],
                                                         "ims": ["e525...", ...]}, ...}
    tuples.v2.json                     {tail: [{"s": head, "r": "is-a", "r_id": 1}, ...], ...}
    gloss_files/nodes.glosses.json     [{"available_languages": ["en", ...]},
                                        {"bn:00015267n": {"en": ["A member of ..."], ...}}, ...]
    images/e5/e525....jpg

Memory holds the nodes or the tuples, each about 1 GB.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from kgclip_jax.data.graph_sources.graph_source import Block, triples_of
from kgclip_jax.data.readers.json_lists import check_object, objects, stream_list
from kgclip_jax.data.skips import MISSING_IMAGE, Skips
from kgclip_jax.errors import DataError
from kgclip_jax.files import read_json_object
from kgclip_jax.knowledge.graph.entities import entity_rows
from kgclip_jax.knowledge.graph.relation_words import words_of_camel_case
from kgclip_jax.schema import LocalPath, check

FILES = {
    "nodes": "nodes.v2.json",
    "tuples": "tuples.v2.json",
    "glosses": "gloss_files/nodes.glosses.json",
}
IMAGES = "images"
STRAY_GLOSS = "gloss of an entity that the files do not describe"

_ENTRIES = 10_000  # of a block
_SENSE = re.compile(r"(?:[A-Z]+:[A-Z]{2,3}:)?(.*?)(?:#[a-z]#\d+)?")  # "WN:EN:dog", "dog#n#1"


@dataclass(frozen=True)
class VisualSem:
    """A folder of the data set.

    Attributes:
        kind: tells this source apart from the others.
        folder: of the files above.
        language: of the glosses that are read; names are BabelNet's main senses.
        images: name the images, which lie in `images`; those that are missing are counted.
    """

    kind: Literal["visualsem"] = "visualsem"
    folder: LocalPath = "."
    language: str = "en"
    images: bool = True

    def __post_init__(self) -> None:
        check(bool(re.fullmatch("[a-z]{2}", self.language)), "language must be like 'en'")

    def files(self) -> Mapping[str, Path]:
        """Return the three files. Raises DataError where one or the images are missing."""
        found = {name: Path(self.folder) / file for name, file in FILES.items()}
        for path in found.values():
            if not path.is_file():
                raise DataError(f"{path}: not found; VisualSem has {', '.join(FILES.values())}")
        if self.images and not (Path(self.folder) / IMAGES).is_dir():
            raise DataError(
                f"{Path(self.folder) / IMAGES}: no such folder; unpack images.tar, or do without: "
                "--set=images=false"
            )
        return found

    def entities(self) -> Iterator[Block]:
        """Yield names and images, then glosses, some nodes at a time. Raises DataError."""
        files = self.files()
        nodes = read_json_object(files["nodes"])
        for part in _parts(nodes.items()):
            yield partial(self._named, part)
        known = frozenset(nodes)
        del nodes
        for part in _parts(islice(stream_list(files["glosses"]), 1, None)):
            yield partial(self._glosses, part, known)

    def triples(self) -> Iterator[Block]:
        """Yield the tuples of some tails at a time. Raises DataError."""
        path = self.files()["tuples"]
        for part in _parts(read_json_object(path).items()):
            yield partial(_related, path, part)

    def implied_names(self, keys: pa.Array) -> None:
        """Return nothing: all nodes are in one file."""

    def phrase(self, relation: str) -> str:
        """Return "is a" for "is-a"."""
        return words_of_camel_case(relation)

    def _named(self, nodes: Sequence[tuple[str, Any]], skips: Skips) -> pa.Table:
        path = self.files()["nodes"]
        names, images = [], []
        for key, node in nodes:
            check_object(path, key, node, {"ms": str, "se": list, "ims": list})
            names.append(_name(node["ms"] or next(iter(node["se"]), "")))
            images.append(list(self._present(key, node["ims"], skips)))
        keys = [key for key, _ in nodes]
        return entity_rows(keys, names, images=images, kinds=["node"] * len(keys))

    def _present(self, key: str, images: Sequence[Any], skips: Skips) -> Iterator[str]:
        for image in images if self.images else ():
            if not isinstance(image, str):
                raise DataError(f"{self.files()['nodes']}: {key}.ims has {image!r}, no name")
            file = f"{IMAGES}/{image[:2]}/{image}.jpg"
            if (Path(self.folder) / file).is_file():
                yield file
            else:
                skips.add(MISSING_IMAGE, file)

    def _glosses(self, entries: Sequence[Any], known: frozenset[str], skips: Skips) -> pa.Table:
        path = self.files()["glosses"]
        found = {}
        for entry in entries:
            for key, languages in entry.items():
                check_object(path, key, languages, {})
                glosses = languages.get(self.language, [])
                if not isinstance(glosses, list) or not all(isinstance(g, str) for g in glosses):
                    raise DataError(f"{path}: {key}.{self.language} is not a list of strings")
                if key in known:
                    found[key] = [" ".join(gloss.split()) for gloss in glosses if gloss.strip()]
                else:
                    skips.add(STRAY_GLOSS, key)
        return entity_rows(list(found), [""] * len(found), glosses=list(found.values()))


def _parts(entries: Any) -> Iterator[list[Any]]:
    remaining = iter(entries)
    while part := list(islice(remaining, _ENTRIES)):
        yield part


def _name(sense: Any) -> str:
    """Return "ice cream" for "WN:EN:ice_cream" or "ice_cream#n#1"."""
    match = _SENSE.fullmatch(str(sense))
    return match[1].replace("_", " ") if match else str(sense)


def _related(path: Path, tails: Sequence[tuple[str, Any]], skips: Skips) -> pa.Table:
    fields = {"s": str, "r": str}
    return triples_of(
        [
            (entry["s"], entry["r"], tail)
            for tail, entries in tails
            for _, entry in objects(path, tail, entries, fields)
        ]
    )
