"""Which synset of WordNet each thing of the emoji world is.

Of the senses of a name in WordNet's order, the most frequent first, it is the first one that is a
kind of what the thing's subcategory asks for: an animal, a plant, food, or else an artifact, a
natural object, a physical entity, or whatever comes first. A list made by hand sets those right
where that is wrong, "dolphin" the dish and not the mammal; names that WordNet lacks and the list
too have no synset.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kgclip_jax.data.emoji.concepts import Concept
from kgclip_jax.data.graph_sources.text_blocks import text_blocks
from kgclip_jax.data.graph_sources.wordnet_files import Synset, synsets, wordnet_files
from kgclip_jax.errors import DataError
from kgclip_jax.files import read_text

BROADER = ("hypernym", "instance hypernym")

_ANYTHING = ("artifact", "natural object", "physical entity")
_ASKED = {
    "animal": ("animal",),
    "plant": ("plant", "plant part", "fungus"),
    "food": ("food", "fruit", "plant part"),
    "drink": ("food",),
}

# "name=word": it is a sense of another word; "name>word": it is a kind of one. "<word": the synset,
# or one above it, has that word.
_SENSES = """
    buffalo<Old World buffalo, hedgehog<insectivore, peacock<bird, dragon<mythical monster,
    dolphin<cetacean, evergreen tree>tree, maple leaf>leaf, nest<natural object,
    cherry blossom>blossom, coconut<nut, chili<hot pepper, pepper<vegetable, drumstick<helping,
    lollipop<candy, dango>dumpling, takeout box>box, honey pot>pot, baby bottle>bottle,
    wine glass=wineglass, bubble tea>tea, juice box>box, bento box>box,
    mooncake>cake<baked goods, hut<shanty, moai>statue, barber pole>pole, wave<moving ridge,
    rollercoaster=roller coaster, tram<streetcar, scooter<wheeled vehicle,
    fuel pump=gasoline pump, lifebuoy=life buoy, gondola=cable car, crescent moon>moon,
    pumpkin=jack-o'-lantern, goal net=net<goal, diving mask>mask, magic wand>wand,
    joystick<data input device, ghost<soul, tooth<bone, pill<medicine, cobweb<web, crown<diadem,
    ring<jewelry, gem<jewelry, radio<radio receiver, fax machine=fax, plug<male plug,
    disc=optical disk, abacus<calculator, television<television receiver, scroll<manuscript,
    money bag>bag, receipt<acknowledgment, folder<covering, hammer<hand tool, bow<weapon,
    bolt<screw, hook<mechanical device, toilet<plumbing fixture, tag<label, needle<implement,
    film strip>photographic film, barrel<vessel, rosette<adornment, calendar<tabular array,
"""
_ENTRY = re.compile(r"(?P<name>[^=<>]+)((?P<how>[=>])(?P<word>[^<]+))?(<(?P<above>.+))?")


class Nouns(NamedTuple):
    """The synsets of nouns."""

    synsets: Mapping[str, Synset]  # by key
    senses: Mapping[str, Sequence[str]]  # of each word in small letters, the most frequent first

    def above(self, key: str) -> Iterator[Synset]:
        """Yield a synset, and all that are broader, each once, near ones first."""
        found, waiting = {key}, [key]
        while waiting:
            synset = self.synsets[waiting.pop(0)]
            yield synset
            for relation, target in synset.pointers:
                if relation in BROADER and target not in found:
                    found.add(target)
                    waiting.append(target)


def noun_files(folder: Path) -> Mapping[str, Path]:
    """Return the files of nouns in a folder of WordNet. Raises DataError when one is missing."""
    data = wordnet_files(folder).get("noun")
    index = data and data.with_name("index.noun")
    if data is None or index is None or not index.is_file():
        raise DataError(f"{folder}: expected data.noun and index.noun of WordNet")
    return {"data.noun": data, "index.noun": index}


def read_nouns(folder: Path) -> Nouns:
    """Read all synsets of nouns.

    Raises:
        DataError: a file is missing or malformed; the message names the line.
    """
    files = noun_files(folder)
    found = {s.key: s for block in text_blocks(files["data.noun"]) for s in synsets(block)}
    senses = {}
    path = files["index.noun"]
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.startswith("  "):  # the licence
            continue
        word, *fields = line.split()
        keys = [f"n{offset}" for offset in fields[-int(fields[1]) :]] if len(fields) > 5 else []
        if not keys or any(key not in found for key in keys):
            raise DataError(f"{path}, line {number}: no word of data.noun: {line!r}")
        senses[word.replace("_", " ")] = keys
    return Nouns(found, senses)


class Sense(NamedTuple):
    """The synset that a thing is, or else the one that it is a kind of."""

    key: str
    narrower: bool  # a kind of it


def sense_of(concept: Concept, nouns: Nouns) -> Sense | None:
    """Return the synset of a thing, or None where WordNet has none."""
    entry = _LISTED.get(concept.name, {})
    subject = concept.subcategory.partition("-")[0]
    above = entry.get("above")
    words = (above,) if above else _ASKED.get(subject, ()) + _ANYTHING
    senses = nouns.senses.get(entry.get("word") or concept.name, ())
    fitting = (
        key
        for word in words
        for key in senses
        if any(word in synset.words for synset in nouns.above(key))
    )
    key = next(fitting, senses[0] if senses else None)
    return None if key is None else Sense(key, entry.get("how") == ">")


def synonym_of(concept: Concept, nouns: Nouns, known: Collection[str]) -> str | None:
    """Return another word for a thing, or None where WordNet has none.

    Args:
        concept: the thing.
        nouns: of WordNet.
        known: words that it must have none of.
    """
    sense = sense_of(concept, nouns)
    if sense is None or sense.narrower:
        return None
    words = nouns.synsets[sense.key].words
    return next((word for word in words if not set(known) & {*word.lower().split()}), None)


def _listed() -> Iterator[tuple[str, Mapping[str, str | None]]]:
    for text in _SENSES.split(","):
        if match := _ENTRY.fullmatch(" ".join(text.split())):
            yield match["name"], match.groupdict()


_LISTED = dict(_listed())
