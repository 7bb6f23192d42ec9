"""SugarCrepe and SugarCrepe++: captions of COCO pictures, and fluent false ones.

SugarCrepe, a file for each of seven kinds (`swap_att.json`, `replace_rel.json` ...):

    {"0": {"filename": "000000085329.jpg", "caption": "...", "negative_caption": "..."}, ...}

One true and one false caption; a tie is wrong. Seven rows, their unweighted mean (macro), and the
mean over all cases (micro).

SugarCrepe++, a file for each of five kinds:

    [{"id": 0, "filename": "000000331352.jpg", "caption": "...", "caption2": "...",
      "negative_caption": "..."}, ...]

The first two say the same in other words. ITT: both fit the picture better than the false one does.
TOT, without the picture: the two are nearer to each other than either is to the false one. Chance
is 1/3 for both, the probability that one given score of three is the lowest, or the highest.

Source: Hsieh et al., SugarCrepe, NeurIPS 2023; Dumpala et al., SugarCrepe++, NeurIPS 2024.
"""

from pathlib import Path

from kgclip_jax.data.evaluation_sets import Question
from kgclip_jax.data.questions import Decision, ask_by_group
from kgclip_jax.data.suites.annotation_files import json_files, read_objects
from kgclip_jax.data.suites.assembly import Assembly

HOME = "https://github.com/RAIVNLab/sugar-crepe (folder data)"
HOME_PP = "https://github.com/Sri-Harsha/scpp (folder data)"

_FIELDS = {"filename": str, "caption": str, "negative_caption": str}


def sugarcrepe(suite: Assembly, path: Path) -> list[Question]:
    """Ask a question for each file of a folder, for the mean of all files and for all cases.

    Raises:
        DataError: the folder holds no files, or one of them is malformed.
    """
    decisions = []
    for file in json_files(path, HOME):
        for _, record in read_objects(file, _FIELDS, HOME):
            picture, false = suite.picture(record["filename"]), [record["negative_caption"]]
            decisions.append(suite.caption_choice(picture, record["caption"], false, file.stem))
    return ask_by_group(decisions, chance=1 / 2)


def sugarcrepe_pp(suite: Assembly, path: Path) -> list[Question]:
    """Ask ITT and TOT for each file of a folder, for the mean of all files and for all cases.

    Raises:
        DataError: the folder holds no files, or one of them is malformed.
    """
    itt, tot = [], []
    for file in json_files(path, HOME_PP):
        for _, record in read_objects(file, _FIELDS | {"caption2": str}, HOME_PP):
            picture = suite.picture(record["filename"])
            texts = (record["caption"], record["caption2"], record["negative_caption"])
            first, second, false = (suite.text(text) for text in texts)
            right = [(picture, first), (picture, second)]
            itt.append(Decision(right, [(picture, false)] * 2, picture, file.stem))
            wrong = [(first, false), (second, false)]
            tot.append(Decision([(first, second)] * 2, wrong, picture, file.stem))
    return [
        *ask_by_group(itt, chance=1 / 3, suffix=" ITT"),
        *ask_by_group(tot, chance=1 / 3, suffix=" TOT", anchors="texts"),
    ]
