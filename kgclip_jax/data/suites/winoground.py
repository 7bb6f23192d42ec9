"""Winoground: two pictures and two captions of the same words, all four to be matched.

A file of lines, with the pictures beside it in a folder (400 items, 800 pictures):

    {"id": 0, "image_0": "ex_0_img_0", "image_1": "ex_0_img_1",
     "caption_0": "an old person kisses a young person", "caption_1": "a young person ...", ...}

Without a suffix, ".png" is meant. The data set lies at Hugging Face, behind a form; this writes it
down in that way (`pip install datasets`; folder winoground/images):

    rows = datasets.load_dataset("facebook/winoground", split="test")
    with open("winoground/examples.jsonl", "w") as file:
        for row in rows:
            for side in ("image_0", "image_1"):
                name = f"ex_{row['id']}_img_{side[-1]}.png"
                row[side].convert("RGB").save("winoground/images/" + name)
                row[side] = name
            print(json.dumps(row), file=file)

Text score: both pictures prefer their own caption (chance 1/4). Image score: both captions prefer
their own picture (1/4). Group score: both of these (1/6, see
`kgclip_jax.data.questions.ask_to_match`).

Source: Thrush et al., Winoground, CVPR 2022.
"""

from pathlib import Path
from typing import Any

from kgclip_jax.data.evaluation_sets import Question
from kgclip_jax.data.questions import ask_to_match
from kgclip_jax.data.suites.annotation_files import read_objects
from kgclip_jax.data.suites.assembly import Assembly

HOME = "https://huggingface.co/datasets/facebook/winoground"

_FIELDS = {"image_0": str, "image_1": str, "caption_0": str, "caption_1": str}


def winoground(suite: Assembly, path: Path) -> list[Question]:
    """Ask for text, image and group score.

    Raises:
        DataError: the file is missing or malformed.
    """

    def pair(record: dict[str, Any], side: int) -> tuple[int, int]:
        picture = suite.picture(_file(record[f"image_{side}"]))
        return picture, suite.text(record[f"caption_{side}"])

    records = (record for _, record in read_objects(path, _FIELDS, HOME))
    items = [(pair(record, 0), pair(record, 1)) for record in records]
    return ask_to_match(items, both_at_once=True)


def _file(name: str) -> str:
    return name if Path(name).suffix else f"{name}.png"
