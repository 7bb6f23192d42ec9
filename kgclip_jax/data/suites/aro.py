"""ARO's VG-Relation and VG-Attribution: one true and one false caption of a part of a picture.

    [{"image_path": "2410000.jpg", "bbox_x": 10, "bbox_y": 20, "bbox_w": 200, "bbox_h": 100,
      "true_caption": "the man is to the left of the tree",
      "false_caption": "the tree is to the left of the man",
      "relation_name": "to the left of"}, ...]

with "attributes": ["red", "big"] instead of the relation for attribution.

Structure-CLIP's files, visual_genome_relation_aug.json and the like, have "true_triples" and
"false_triples" beside these: [["man", "to the left of", "tree"]], [["shirt", "is", "red"]]. They
are the scene graphs of the captions then. Where a file has none, they are made of the names that it
has, and of the form of all captions, "the red shirt and the big cup" and "the man is to the left of
the tree"; a caption of another form has no graph of its own.

The picture is cut to the box first (the part of a box outside of the picture, which Pillow would
fill with black, is left out), a tie is wrong, and the number is the mean of the means of the
relations, or of the ordered pairs of attributes (macro). Beside it stand the mean over all cases
(micro) and a row for each relation, or pair, that counts for the authors. There are 23,937 and
28,748 cases. Relations: the 157 of `aro_relations` do not count, which leaves 48. Attributes: pairs
with fewer than 25 cases do not count, which leaves 117; Structure-CLIP counts all pairs, so its
numbers cannot be compared with those of ARO's authors, and both are given.

Source: Yuksekgonul et al., When and why vision-language models behave like bags-of-words, ICLR
2023; Huang et al., Structure-CLIP, AAAI 2024.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kgclip_jax.data.evaluation_sets import Question
from kgclip_jax.data.images import Box
from kgclip_jax.data.questions import Decision, ask, ask_each_group, in_groups_of
from kgclip_jax.data.readers.structure_clip_captions import read_triples
from kgclip_jax.data.suites.annotation_files import read_objects
from kgclip_jax.data.suites.aro_relations import LEFT_OUT
from kgclip_jax.data.suites.assembly import Assembly
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.caption import Caption, Text
from kgclip_jax.knowledge.triples import IS, Triple, from_triples

HOME = "https://github.com/mertyg/vision-language-models-are-bows"
LEAST_CASES = 25

_NUMBER = (int, float)
_FIELDS = {
    "image_path": str,
    "bbox_x": _NUMBER,
    "bbox_y": _NUMBER,
    "bbox_w": _NUMBER,
    "bbox_h": _NUMBER,
    "true_caption": str,
    "false_caption": str,
}


def relation(suite: Assembly, path: Path) -> list[Question]:
    """Ask VG-Relation's questions: over the relations that count, and for each of them.

    Raises:
        DataError: the file is missing or malformed.
    """
    decisions = [
        _decision(
            suite,
            record,
            _captions(path, place, record, _relation_triples),
            record["relation_name"],
        )
        for place, record in read_objects(path, _FIELDS | {"relation_name": str}, HOME)
        if record["relation_name"] not in LEFT_OUT
    ]
    return [*_overall("relations", decisions), *ask_each_group(decisions, chance=1 / 2)]


def attribution(suite: Assembly, path: Path) -> list[Question]:
    """Ask VG-Attribution's questions: over pairs with at least 25 cases, all pairs, and each.

    Raises:
        DataError: the file is missing or malformed.
    """
    every = list(_attribution_decisions(suite, path))
    often = in_groups_of(every, LEAST_CASES)
    return [
        *_overall(f"attribute pairs of {LEAST_CASES} cases", often),
        *_overall("all attribute pairs", every, macro_of=" (Structure-CLIP)"),
        *ask_each_group(often, chance=1 / 2),
    ]


def _overall(name: str, decisions: Sequence[Decision], macro_of: str = "") -> Iterator[Question]:
    if decisions:
        yield ask(f"{name}, macro{macro_of}", decisions, chance=1 / 2, macro=True)
        yield ask(f"{name}, micro", decisions, chance=1 / 2)


def _attribution_decisions(suite: Assembly, path: Path) -> Iterator[Decision]:
    for place, record in read_objects(path, _FIELDS | {"attributes": list}, HOME):
        attributes = record["attributes"]
        if len(attributes) != 2 or not all(isinstance(name, str) for name in attributes):
            raise DataError(f"{path}: {place} needs two 'attributes', not {attributes!r}")
        captions = _captions(path, place, record, _attribute_triples)
        yield _decision(suite, record, captions, ", ".join(attributes))


def _decision(
    suite: Assembly, record: dict[str, Any], captions: Sequence[Text], group: str
) -> Decision:
    box = Box(record["bbox_y"], record["bbox_x"], record["bbox_h"], record["bbox_w"])
    right, *wrong = captions
    return suite.caption_choice(suite.picture(record["image_path"], box), right, wrong, group)


def _captions(
    path: Path,
    place: str,
    record: dict[str, Any],
    named: Callable[[str, dict[str, Any]], list[Triple]],
) -> list[Text]:
    """Return the true caption and the false one, with the scene graphs that annotations tell."""
    texts: list[Text] = []
    for side in ("true", "false"):
        caption, field = record[f"{side}_caption"], f"{side}_triples"
        if field in record:
            triples = read_triples(path, f"{place}.{field}", record[field])
        else:
            triples = named(caption, record)
        texts.append(Caption(caption, from_triples(caption, triples)) if triples else caption)
    return texts


def _relation_triples(caption: str, record: dict[str, Any]) -> list[Triple]:
    name = record["relation_name"]
    found = re.fullmatch(rf"the (.+?)(?: is| are)? {re.escape(name)} the (.+)", caption)
    return [(found[1], name, found[2])] if found else []


def _attribute_triples(caption: str, record: dict[str, Any]) -> list[Triple]:
    one, other = map(re.escape, sorted(record["attributes"], key=len, reverse=True))
    found = re.fullmatch(
        rf"the ({one}|{other}) (.+) and the ({one}|{other}) (.+)", caption, re.IGNORECASE
    )
    return [(found[2], IS, found[1]), (found[4], IS, found[3])] if found else []
