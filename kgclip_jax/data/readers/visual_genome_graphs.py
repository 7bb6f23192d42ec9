"""Scene graphs of Visual Genome (Krishna et al., IJCV 2017), drawn by people over whole pictures.

    scene_graphs.json     [{"image_id": 1,
                            "objects": [{"object_id": 8, "names": ["tree"],
                                         "attributes": ["green"]}, ...],
                            "relationships": [{"predicate": "ON", "subject_id": 8,
                                               "object_id": 9}, ...]}, ...]

or the two files that it was made from:

    relationships.json    [{"image_id": 1, "relationships": [
                             {"predicate": "ON", "subject": {"object_id": 8, "name": "tree"},
                              "object": {"object_id": 9, "names": ["hill"]}}, ...]}, ...]
    attributes.json       [{"image_id": 1, "attributes": [
                             {"object_id": 8, "names": ["tree"],
                              "attributes": ["green"]}, ...]}, ...]

Objects have `names`, of which the first counts, or a `name`; old files say `id` for `image_id`.
Names, predicates and attributes are lower-cased, synonyms have one name, and otherwise they stay as
people wrote them: "wearing" or "sitting on", where our parser says "wear" and "sit on". The files
are read as streams, 400 to 750 MB each; `launch/prepare.py graphs` stores the graphs, for random
access.
"""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from kgclip_jax.data.images import Box
from kgclip_jax.data.readers.json_lists import check_object, objects
from kgclip_jax.data.readers.visual_genome import picture_entries
from kgclip_jax.data.skips import Skips
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.english import plain_words
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject
from kgclip_jax.knowledge.synonyms import meaning

GRAPHS = "scene_graphs.json"
RELATIONSHIPS = "relationships.json"
ATTRIBUTES = "attributes.json"

MISSING_OBJECT = "relation to a missing object"
NAMELESS = "object without a name"
NO_PREDICATE = "relation without a predicate"


class AnnotatedThing(NamedTuple):
    """An object of a picture."""

    identity: int
    name: str  # "" when it has none
    attributes: tuple[str, ...]
    box: Box | None  # None when files do not say


class AnnotatedLink(NamedTuple):
    """A relation of two objects; they may be missing."""

    subject: int
    predicate: str
    object: int


class AnnotatedPicture(NamedTuple):
    """What people drew over a picture; an object may come several times."""

    things: list[AnnotatedThing]
    links: list[AnnotatedLink]


def graph_files(folder: Path) -> tuple[Path, ...]:
    """Return the file of a folder that holds its graphs, or the two files that do together.

    Raises:
        DataError: there is neither.
    """
    whole = folder / GRAPHS
    parts = folder / RELATIONSHIPS, folder / ATTRIBUTES
    if whole.is_file():
        return (whole,)
    if all(part.is_file() for part in parts):
        return parts
    raise DataError(
        f"{folder} has neither {GRAPHS} nor {RELATIONSHIPS} and {ATTRIBUTES}: get them from "
        "https://homes.cs.washington.edu/~ranjay/visualgenome"
    )


def visual_genome_graphs(
    folder: Path, skips: Skips, *, bad_share: float = 0.05
) -> Iterator[tuple[int, SceneGraph]]:
    """Read the scene graph of every picture.

    Args:
        folder: holds `scene_graphs.json`, or `relationships.json` and `attributes.json`.
        skips: counts nameless objects, relations between objects that are not there, and relations
            without a predicate; those are left out, with one log line in the end.
        bad_share: largest share of each that may be left out.

    Yields:
        The id of a picture, and what is in it; no graph has spans.

    Raises:
        DataError: a file is missing or malformed (the message names the record), a picture comes
            twice, or, in the end, too much was left out.
    """
    things = links = 0
    for identity, picture in annotated_pictures(folder):
        things += len(picture.things)
        links += len(picture.links)
        yield identity, _graph(identity, picture, skips)
    totals = {NAMELESS: things, MISSING_OBJECT: links, NO_PREDICATE: links}
    skips.check("visual_genome_graphs", str(folder), totals, bad_share)


def annotated_pictures(folder: Path) -> Iterator[tuple[int, AnnotatedPicture]]:
    """Read what people drew over every picture. Files and errors as for `visual_genome_graphs`.

    Yields:
        The id of a picture, and its objects and relations as they stand there.
    """
    files = graph_files(folder)
    return _whole(*files) if len(files) == 1 else _joined(*files)


def _graph(identity: int, picture: AnnotatedPicture, skips: Skips) -> SceneGraph:
    numbers: dict[int, int] = {}
    found: list[SceneObject] = []
    for thing in picture.things:
        attributes = tuple(Attribute(word) for word in dict.fromkeys(thing.attributes))
        if not thing.name:
            skips.add(NAMELESS, f"{identity}/{thing.identity}")
        elif thing.identity not in numbers:
            numbers[thing.identity] = len(found)
            found.append(SceneObject(thing.name, attributes))
        else:
            old = found[numbers[thing.identity]]
            more = tuple(a for a in attributes if a not in old.attributes)
            found[numbers[thing.identity]] = old._replace(attributes=old.attributes + more)
    relations = []
    for subject, predicate, target in picture.links:
        if subject not in numbers or target not in numbers:
            skips.add(MISSING_OBJECT, f"{identity}/{subject}-{target}")
        elif not predicate:
            skips.add(NO_PREDICATE, f"{identity}/{subject}-{target}")
        else:
            relations.append(Relation(numbers[subject], predicate, numbers[target]))
    return SceneGraph(tuple(found), tuple(relations))


def _whole(path: Path) -> Iterator[tuple[int, AnnotatedPicture]]:
    fields = {"predicate": str, "subject_id": int, "object_id": int}
    for key, identity, entry in picture_entries(path):
        things = _things(path, f"{key}.objects", entry.get("objects"))
        links = [
            AnnotatedLink(link["subject_id"], plain_words(link["predicate"]), link["object_id"])
            for _, link in objects(path, f"{key}.relationships", entry.get("relationships"), fields)
        ]
        yield identity, AnnotatedPicture(things, links)


def _joined(relationships: Path, attributes: Path) -> Iterator[tuple[int, AnnotatedPicture]]:
    """Join two files picture by picture; memory is small as long as their orders agree."""
    halves: dict[int, AnnotatedPicture] = {}
    for pair in zip_longest(_related(relationships), _described(attributes)):
        for identity, half in filter(None, pair):
            if identity in halves:
                things, links = halves.pop(identity)
                yield identity, AnnotatedPicture(things + half.things, links + half.links)
            else:
                halves[identity] = half
    yield from halves.items()


def _related(path: Path) -> Iterator[tuple[int, AnnotatedPicture]]:
    fields = {"predicate": str, "subject": dict, "object": dict}
    for key, identity, entry in picture_entries(path):
        things: list[AnnotatedThing] = []
        links = []
        relationships = entry.get("relationships")
        for place, link in objects(path, f"{key}.relationships", relationships, fields):
            subject = _thing(path, f"{place}.subject", link["subject"])
            target = _thing(path, f"{place}.object", link["object"])
            things += (subject, target)
            links.append(
                AnnotatedLink(subject.identity, plain_words(link["predicate"]), target.identity)
            )
        yield identity, AnnotatedPicture(things, links)


def _described(path: Path) -> Iterator[tuple[int, AnnotatedPicture]]:
    for key, identity, entry in picture_entries(path):
        things = _things(path, f"{key}.attributes", entry.get("attributes"))
        yield identity, AnnotatedPicture(things, [])


def _things(path: Path, key: str, entries: Any) -> list[AnnotatedThing]:
    return [_thing(path, place, entry) for place, entry in objects(path, key, entries, {})]


def _thing(path: Path, key: str, entry: dict[str, Any]) -> AnnotatedThing:
    check_object(path, key, entry, {"object_id": int})
    names = [entry["name"]] if "name" in entry else entry.get("names")
    attributes = entry.get("attributes", [])
    for field, words in (("names", names), ("attributes", attributes)):
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise DataError(f"{path}: {key}.{field} is not a list of strings")
    words = [plain for word in attributes if (plain := meaning(plain_words(word)))]
    name = meaning(plain_words(names[0])) if names else ""
    return AnnotatedThing(entry["object_id"], name, tuple(words), _box(path, key, entry))


def _box(path: Path, key: str, entry: dict[str, Any]) -> Box | None:
    if "x" not in entry:
        return None
    check_object(path, key, entry, dict.fromkeys("xywh", (int, float)))
    return Box(entry["y"], entry["x"], entry["h"], entry["w"])
