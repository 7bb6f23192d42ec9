"""The two layouts of WordNet (Miller, CACM 1995), version 3.0 or 3.1: one synset a line in both.

Princeton's files `data.noun`, `data.verb`, `data.adj` and `data.adv` (man page wndb(5WN)):

    02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 001 @ 02083346 n 0000 | a member of ...

and the XML of the package nlptoolkit-wordnet:

    <SYNSET><ID>ENG31-02086723-n</ID><SYNONYM><LITERAL>dog<SENSE>0</SENSE></LITERAL></SYNONYM>...

Pointers from word to word are read as pointers of their synsets, as WN18 has it (Bordes et al.,
NIPS 2013). Of two pointers that say the same from either end, that one is read which WN18RR has.
The XML has no pertainyms, and its definitions end at their first semicolon.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from kgclip_jax.data.graph_sources.text_blocks import TextBlock
from kgclip_jax.errors import DataError
from kgclip_jax.files import decode

PARTS_OF_SPEECH = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}

# Relation, what a text encoder reads, and the pointer in either layout.
_POINTERS = (
    ("hypernym", "is a kind of", "@", "HYPERNYM"),
    ("instance hypernym", "is an instance of", "@i", "INSTANCE_HYPERNYM"),
    ("member meronym", "has the member", "%m", "MEMBER_MERONYM"),
    ("substance meronym", "is made of", "%s", "SUBSTANCE_MERONYM"),
    ("part meronym", "has the part", "%p", "PART_MERONYM"),
    ("attribute", "is an attribute of", "=", "ATTRIBUTE"),
    ("derivationally related form", "is related in form to", "+", "DERIVATION_RELATED"),
    ("antonym", "is the opposite of", "!", "ANTONYM"),
    ("similar to", "is similar to", "&", "SIMILAR_TO"),
    ("also see", "see also", "^", "ALSO_SEE"),
    ("verb group", "is a verb like", "$", "VERB_GROUP"),
    ("entailment", "entails", "*", "ENTAILMENT"),
    ("cause", "causes", ">", "CAUSE"),
    ("participle", "is the participle of", "<", "PARTICIPLE_OF_VERB"),
    ("pertainym", "pertains to", "\\", "PERTAINYM"),
    ("domain topic", "is a term of", ";c", "DOMAIN_TOPIC"),
    ("domain region member", "is the region of", "-r", "MEMBER_REGION"),
    ("domain usage member", "is the usage of", "-u", "MEMBER_USAGE"),
)
PHRASES = {relation: phrase for relation, phrase, _, _ in _POINTERS}
_RELATIONS = {pointer: relation for relation, _, *pointers in _POINTERS for pointer in pointers}
_CONVERSES = {"~", "~i", "#m", "#s", "#p", "-c", ";r", ";u"} | {
    *("HYPONYM", "INSTANCE_HYPONYM", "MEMBER_HOLONYM", "SUBSTANCE_HOLONYM", "PART_HOLONYM"),
    *("MEMBER_TOPIC", "DOMAIN_REGION", "DOMAIN_USAGE"),
}

_LETTERS = {"n": "n", "v": "v", "a": "a", "s": "a", "r": "r", "b": "r"}  # "s": satellite adjective
_HEAD = re.compile(r"(\d{8}) \d\d ([nvasr]) ([0-9a-f]{2}) ")
_IDENTITY = re.compile(r"ENG\d\d-(\d{8})-([nvasrb])")
_MARKER = re.compile(r"\((?:a|p|ip)\)$")  # where an adjective stands
_EXAMPLE = re.compile(r'[;:]\s*"')


class Pointer(NamedTuple):
    """A relation to another synset."""

    relation: str
    target: str


class Synset(NamedTuple):
    """A sense, and the words for it."""

    key: str  # "n02084071": part of speech and offset, as ImageNet names its folders
    words: tuple[str, ...]  # "domestic dog"
    gloss: str  # the definition, without examples
    pointers: tuple[Pointer, ...]


def wordnet_files(path: Path) -> Mapping[str, Path]:
    """Return the files of WordNet by their parts of speech, or the one XML file.

    Args:
        path: a folder of `data.*`, one that has it as `dict`, or a file of XML.

    Raises:
        DataError: there are no such files.
    """
    if path.suffix == ".xml" and path.is_file():
        return {"synsets": path}
    folder = path / "dict" if (path / "dict").is_dir() else path
    found = {part: folder / f"data.{part}" for part in PARTS_OF_SPEECH}
    for file in found.values():
        if not file.is_file():
            raise DataError(
                f"{file}: not found; expected {', '.join(f.name for f in found.values())}"
            )
    return found


def synsets(block: TextBlock) -> Iterator[Synset]:
    """Read the synsets of a block of lines.

    Raises:
        DataError: a line is none, or no text; the message names it.
    """
    read = _of_xml if block.path.suffix == ".xml" else _of_data
    text = decode(block.content, block.path, line=block.line)
    for number, line in enumerate(text.removesuffix("\n").split("\n"), block.line):
        try:
            if (synset := read(line)) is not None:
                yield synset
        except (ValueError, LookupError, ElementTree.ParseError) as error:
            raise DataError(
                f"{block.path}, line {number}: no synset of WordNet ({error}): {line[:80]!r}"
            ) from error


def _of_data(line: str) -> Synset | None:
    if line.startswith("  "):  # the licence
        return None
    match, (body, bar, gloss) = _HEAD.match(line), line.partition(" |")
    if match is None or not bar:
        raise ValueError("expected offset, words, pointers and a gloss after a bar")
    offset, letter, count = match.groups()
    fields, words = body[match.end() :].split(" "), int(count, 16)
    many = int(fields[2 * words])
    pointers = fields[2 * words + 1 :][: 4 * many]
    if len(pointers) != 4 * many:
        raise ValueError(f"it has no {many} pointers")
    found = [
        (symbol, _LETTERS[part] + target)
        for symbol, target, part in zip(pointers[::4], pointers[1::4], pointers[2::4], strict=True)
    ]
    return Synset(
        _LETTERS[letter] + offset,
        tuple(_MARKER.sub("", word).replace("_", " ") for word in fields[: 2 * words : 2]),
        _EXAMPLE.split(gloss)[0].strip(),
        _read(found),
    )


def _of_xml(line: str) -> Synset | None:
    if line.strip() in ("", "<SYNSETS>", "</SYNSETS>"):
        return None
    synset = ElementTree.fromstring(line)
    words = [(literal.text or "").strip() for literal in synset.iter("LITERAL")]
    if not words:
        raise ValueError("it has no LITERAL")
    found = [
        (pointer.findtext("TYPE", ""), _key(pointer.text or "")) for pointer in synset.iter("SR")
    ]
    return Synset(
        _key(synset.findtext("ID", "")),
        tuple(words),
        synset.findtext("DEF", "").strip(),
        _read(found),
    )


def _key(identity: str) -> str:
    match = _IDENTITY.fullmatch(identity)
    if match is None:
        raise ValueError(f"{identity!r} is no ID like ENG31-00001740-n")
    return _LETTERS[match[2]] + match[1]


def _read(pointers: Sequence[tuple[str, str]]) -> tuple[Pointer, ...]:
    """Return each relation to a synset once."""
    read = [
        Pointer(_RELATIONS[kind], target) for kind, target in pointers if kind not in _CONVERSES
    ]
    return tuple(dict.fromkeys(read))
