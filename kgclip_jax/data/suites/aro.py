"""ARO's VG-Relation and VG-Attribution: one true and one false caption of a part of a picture.

    [{"image_path": "2410000.jpg", "bbox_x": 10, "bbox_y": 20, "bbox_w": 200, "bbox_h": 100,
      "true_caption": "the man is to the left of the tree",
      "false_caption": "the tree is to the left of the man",
      "relation_name": "to the left of"}, ...]

with "attributes": ["red", "big"] instead of the relation for attribution.

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

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kgclip_jax.data.evaluation_sets import Question
from kgclip_jax.data.images import Box
from kgclip_jax.data.questions import Decision, ask, ask_each_group, in_groups_of
from kgclip_jax.data.suites.annotation_files import read_objects
from kgclip_jax.data.suites.aro_relations import LEFT_OUT
from kgclip_jax.data.suites.assembly import Assembly
from kgclip_jax.errors import DataError

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
        _decision(suite, record, record["relation_name"])
        for _, record in read_objects(path, _FIELDS | {"relation_name": str}, HOME)
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
        yield _decision(suite, record, ", ".join(attributes))


def _decision(suite: Assembly, record: dict[str, Any], group: str) -> Decision:
    box = Box(record["bbox_y"], record["bbox_x"], record["bbox_h"], record["bbox_w"])
    picture = suite.picture(record["image_path"], box)
    return suite.caption_choice(picture, record["true_caption"], [record["false_caption"]], group)
