"""RDF N-Triples (W3C, 2014): `<subject> <predicate> <object or "literal"@en> .`, one a line.

Objects that are resources make triples. Literals of the usual predicates are names and glosses of
their subject; other literals say nothing of the graph, and are counted.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import unquote

import pyarrow as pa

from kgclip_jax.data.graph_sources.graph_source import (
    OTHER_LANGUAGE,
    OTHER_LITERAL,
    Block,
    triples_of,
)
from kgclip_jax.data.graph_sources.text_blocks import TextBlock, text_blocks
from kgclip_jax.data.skips import Skips
from kgclip_jax.errors import DataError
from kgclip_jax.files import decode
from kgclip_jax.knowledge.graph.entities import entity_rows
from kgclip_jax.knowledge.graph.relation_words import words_of_camel_case
from kgclip_jax.schema import LocalPath, check

NAMES = frozenset(("label", "prefLabel", "name"))  # of rdfs, skos, schema.org and foaf
GLOSSES = frozenset(("comment", "definition", "description"))

_END = r"[ \t]*\.[ \t]*(?:#.*)?"
_RESOURCE = r"(<[^<>\"{}|^`\x00-\x20]*>|_:\S+)"
_LITERAL = r'"((?:[^"\\]|\\.)*+)"(?:@([A-Za-z]+[A-Za-z0-9-]*)|\^\^<[^>]*>)?'
_LINE = re.compile(rf"[ \t]*{_RESOURCE}[ \t]*<([^>\s]+)>[ \t]*(?:{_RESOURCE}|{_LITERAL}){_END}")
_NOTHING = re.compile(r"[ \t]*(?:#.*)?")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_ESCAPED = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f"}


class _Statement(NamedTuple):
    subject: str
    predicate: str
    object: str | None  # a resource
    literal: str | None
    language: str | None


@dataclass(frozen=True)
class NTriples:
    """A file of statements.

    Attributes:
        kind: tells this source apart from the others.
        folder: the file, plain or as gzip.
        language: of the names and glosses that are read; those without a language are read too.
    """

    kind: Literal["n_triples"] = "n_triples"
    folder: LocalPath = "."
    language: str = "en"

    def __post_init__(self) -> None:
        check(bool(re.fullmatch("[A-Za-z]+", self.language)), "language must be like 'en'")

    def files(self) -> Mapping[str, Path]:
        """Return the one file. Raises DataError when it is missing."""
        path = Path(self.folder)
        if not path.is_file():
            raise DataError(f"{path}: no file of N-Triples")
        return {"statements": path}

    def entities(self) -> Iterator[Block]:
        """Yield the names and glosses that each block of lines has. Raises DataError."""
        for block in text_blocks(self.files()["statements"]):
            yield partial(self._described, block)

    def triples(self) -> Iterator[Block]:
        """Yield a block of triples for each block of lines. Raises DataError."""
        for block in text_blocks(self.files()["statements"]):
            yield partial(_triples, block)

    def implied_names(self, keys: pa.Array) -> pa.Array:
        """Return the last part of each resource: "Golden retriever"."""
        return pa.array([local_name(key).replace("_", " ") for key in keys.to_pylist()])

    def phrase(self, relation: str) -> str:
        """Return "birth place" for "http://dbpedia.org/ontology/birthPlace"."""
        return words_of_camel_case(local_name(relation))

    def _described(self, block: TextBlock, skips: Skips) -> pa.Table:
        names: dict[str, str] = {}
        glosses: dict[str, list[str]] = {}
        for statement in _statements(block):
            if statement.literal is None:
                continue
            word, (language, _, _) = local_name(statement.predicate), _parts(statement.language)
            if word not in NAMES | GLOSSES:
                skips.add(OTHER_LITERAL, f"{block.path}: {statement.predicate}")
            elif language not in ("", self.language.lower()):
                skips.add(OTHER_LANGUAGE, f"{block.path}: {statement.literal!r}")
            elif word in NAMES:
                names.setdefault(statement.subject, statement.literal)
            else:
                glosses.setdefault(statement.subject, []).append(statement.literal)
        keys = list(names | glosses)
        return entity_rows(
            keys,
            [names.get(key, "") for key in keys],
            glosses=[glosses.get(key, []) for key in keys],
        )


def local_name(resource: str) -> str:
    """Return what stands after the last "#" or "/" of a resource."""
    return unquote(re.split(r"[#/]", resource.rstrip("#/"))[-1])


def _parts(language: str | None) -> tuple[str, str, str]:
    return (language or "").lower().partition("-")


def _triples(block: TextBlock, skips: Skips) -> pa.Table:
    found = [
        (statement.subject, statement.predicate, statement.object)
        for statement in _statements(block)
        if statement.object is not None
    ]
    return triples_of(found)


def _statements(block: TextBlock) -> Iterator[_Statement]:
    text = decode(block.content, block.path, line=block.line)
    for number, line in enumerate(text.split("\n"), block.line):
        line = line.removesuffix("\r")
        match = _LINE.fullmatch(line)
        if match is None:
            if _NOTHING.fullmatch(line):
                continue
            raise DataError(f"{block.path}, line {number}: {line!r} is no statement of N-Triples")
        subject, predicate, target, literal, language = match.groups()
        yield _Statement(
            _resource(subject),
            _unescaped(predicate),
            None if target is None else _resource(target),
            None if literal is None else _unescaped(literal),
            language,
        )


def _resource(text: str) -> str:
    return text if text.startswith("_:") else _unescaped(text[1:-1])


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text

    def character(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        return chr(int(code, 16)) if code else _ESCAPED.get(match[3], match[3])

    return _ESCAPE.sub(character, text)
