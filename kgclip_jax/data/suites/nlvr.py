"""NLVR: of which drawn scene is a sentence true?

A file of lines a split, such as dev.json (the name of the file says how the pictures are called):

    {"sentence": "There is a tower with four blocks.", "label": "true", "identifier": "3125-1",
     "directory": "2", ...}

with pictures images/<directory>/<split>-<identifier>-<0..5>.png, or without the directory. A
sentence was written for four scenes, two of which it should fit: "3125" is the sentence, "1" the
scene. The six pictures of a scene show its three boxes in all orders, and truth does not depend on
the order; the first is taken.

The task of the data set is to say true or false, for which a dual encoder has no threshold. Asked
here is the picture: does a sentence prefer a scene of which it is true to one of which it is false?
All such pairs of a sentence are asked, and resampled together; chance is 1/2, and in the blind row
the sentence is another one's. Pictures are squashed to a square whatever the model's preprocessing,
because a square in the middle of 400 x 100 pixels shows one box of three.

Source: Suhr et al., A Corpus of Natural Language for Visual Reasoning, ACL 2017.
"""

from pathlib import Path

from kgclip_jax.data.evaluation_sets import Question
from kgclip_jax.data.questions import ask
from kgclip_jax.data.readers.json_lists import check_object
from kgclip_jax.data.suites.annotation_files import read_lines
from kgclip_jax.data.suites.assembly import Assembly, Judged
from kgclip_jax.errors import DataError

HOME = "https://github.com/lil-lab/nlvr (folder nlvr)"

_FIELDS = {"sentence": str, "label": str, "identifier": str, "directory": str}
_LABELS = {"true": True, "false": False}


def nlvr(suite: Assembly, path: Path) -> list[Question]:
    """Ask for the scene of each pair.

    Raises:
        DataError: the file is missing or malformed.
    """
    judged = []
    for place, record in read_lines(path, HOME):
        check_object(path, place, record, _FIELDS)
        if record["label"] not in _LABELS:
            raise DataError(f"{path}: {place} has label {record['label']!r}, not true or false")
        identifier = record["identifier"]
        file = f"{path.stem}-{identifier}-0.png"
        if (suite.images / record["directory"]).is_dir():
            file = f"{record['directory']}/{file}"
        judged.append(
            Judged(
                record["sentence"],
                suite.picture(file),
                _LABELS[record["label"]],
                scope=identifier.partition("-")[0],
            )
        )
    pairs = suite.picture_choices(judged)
    return [ask("scene of a pair", pairs, chance=1 / 2)] if pairs else []
