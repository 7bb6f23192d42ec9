"""ARO's VG-Relation and VG-Attribution: one true and one false caption of a part of a picture.

    [{"image_path": "2410000.jpg", "bbox_x": 10, "bbox_y": 20, "bbox_w": 200, "bbox_h": 100,
      "true_caption": "the man is to the left of the tree",
      "false_caption": "the tree is to the left of the man",
      "relation_name": "to the left of"}, ...]

with "attributes": ["red", "big"] instead of the relation for attribution.

The picture is cut to the box first (the part of a box outside of the picture, which Pillow would
fill with black, is left out), a tie is wrong, and the number is the mean of the means of the
relations, or of the ordered pairs of attributes. There are 23,937 and 28,748 cases. Relations: the
157 of `aro_relations` do not count, which leaves 48. Attributes: pairs with fewer than 25 cases do
not count, which leaves 117; Structure-CLIP counts all pairs, so its numbers cannot be compared with
those of ARO's authors, and both are given.

Source: Yuksekgonul et al., When and why vision-language models behave like bags-of-words, ICLR
2023; Huang et al., Structure-CLIP, AAAI 2024.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kgclip_jax.data.evaluation_sets import Question
from kgclip_jax.data.images import Box
from kgclip_jax.data.questions import Decision, ask, in_groups_of
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
    """Ask VG-Relation's question: the macro mean over the relations that count.

    Raises:
        DataError: the file is missing or malformed.
    """
    decisions = [
        _decision(suite, record, record["relation_name"])
        for _, record in read_objects(path, _FIELDS | {"relation_name": str}, HOME)
        if record["relation_name"] not in LEFT_OUT
    ]
    return [ask("relations, macro", decisions, chance=1 / 2, macro=True)] if decisions else []


def attribution(suite: Assembly, path: Path) -> list[Question]:
    """Ask VG-Attribution's question, over pairs with at least 25 cases and over all pairs.

    Raises:
        DataError: the file is missing or malformed.
    """
    every = list(_attribution_decisions(suite, path))
    selections = {
        f"attribute pairs of {LEAST_CASES} cases, macro": in_groups_of(every, LEAST_CASES),
        "all attribute pairs, macro (Structure-CLIP)": every,
    }
    return [
        ask(metric, decisions, chance=1 / 2, macro=True)
        for metric, decisions in selections.items()
        if decisions
    ]


def _attribution_decisions(suite: Assembly, path: Path) -> Iterator[Decision]:
    for place, record in read_objects(path, _FIELDS | {"attributes": list}, HOME):
        attributes = record["attributes"]
        if len(attributes) != 2 or not all(isinstance(name, str) for name in attributes):
            raise DataError(f"{path}: {place} needs two 'attributes', not {attributes!r}")
        yield _decision(suite, record, "_".join(attributes))


def _decision(suite: Assembly, record: dict[str, Any], group: str) -> Decision:
    box = Box(record["bbox_y"], record["bbox_x"], record["bbox_h"], record["bbox_w"])
    picture = suite.picture(record["image_path"], box)
    return suite.caption_choice(picture, record["true_caption"], [record["false_caption"]], group)
