"""VALSE: captions and foils that differ in one linguistic phenomenon each.

A file for each of its pieces (`existence.json`, `plurals.json`, `actant-swap.json` ...):

    {"actions_test_0": {"dataset": "SWiG", "image_file": "exercising_255.jpg",
                        "caption": "A man exercises his torso.",
                        "foil": "A torso exercises for a man.",
                        "mturk": {"foil": 0, "caption": 3, "other": 0}, ...}, ...}

Only items count for which at least two of three annotators took the caption, and not the foil, to
describe the picture. The number is the pairwise accuracy (the paper's acc_r), a tie being wrong; a
row a piece, the unweighted mean of the pieces, and the mean over all items. Pictures lie in a
folder for each of the data sets that they come from, named as the items name it: SWiG, visual7w,
VisDial_v1.0, FOIL dataset (of COCO val2014), coco_2017.

Source: Parcalabescu et al., VALSE, ACL 2022.
"""

from pathlib import Path

from kgclip_jax.data.evaluation_sets import Question
from kgclip_jax.data.questions import ask_by_group
from kgclip_jax.data.readers.json_lists import check_object
from kgclip_jax.data.suites.annotation_files import json_files, read_objects
from kgclip_jax.data.suites.assembly import Assembly

HOME = "https://github.com/Heidelberg-NLP/VALSE (folder data)"
LEAST_VOTES = 2

_FIELDS = {"dataset": str, "image_file": str, "caption": str, "foil": str, "mturk": dict}


def valse(suite: Assembly, path: Path) -> list[Question]:
    """Ask a question for each file of a folder, for the mean of all files and for all items.

    Raises:
        DataError: the folder holds no files, or one of them is malformed.
    """
    decisions = []
    for file in json_files(path, HOME):
        for place, record in read_objects(file, _FIELDS, HOME):
            check_object(file, f"{place}['mturk']", record["mturk"], {"caption": int})
            if record["mturk"]["caption"] >= LEAST_VOTES:
                picture = suite.picture(f"{record['dataset']}/{record['image_file']}")
                foils = [record["foil"]]
                decisions.append(suite.caption_choice(picture, record["caption"], foils, file.stem))
    return ask_by_group(decisions, chance=1 / 2)
