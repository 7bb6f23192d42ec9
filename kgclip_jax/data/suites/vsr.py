"""Visual Spatial Reasoning: is a caption about two objects true of a picture?

A file of lines a split, such as test.jsonl:

    {"image": "000000017697.jpg", "caption": "The car is behind the suitcase.", "label": 1,
     "relation": "behind", ...}

A dual encoder has no threshold for "true", so two questions are asked.

verdict: the paper's for CLIP without training: does the picture prefer "... suitcase. (True)" or
"... suitcase. (False)"? Published numbers of frozen CLIP models with this wording are between 48.8
and 49.5 % (github.com/Sohojoe/CLIP_visual-spatial-reasoning), so it says little about the model.

picture of a pair: captions were written to be true of one picture and false of another. For each
caption that occurs with both labels, does it prefer a picture of which it is true? All pairs of one
caption are asked, and resampled together. This is ours, not the authors'; in the blind row the
caption is another one's.

Source: Liu, Emerson and Collier, Visual Spatial Reasoning, TACL 2023.
"""

from pathlib import Path

from kgclip_jax.data.evaluation_sets import Question
from kgclip_jax.data.questions import ask
from kgclip_jax.data.suites.annotation_files import read_objects
from kgclip_jax.data.suites.assembly import Assembly, Judged
from kgclip_jax.errors import DataError

HOME = "https://github.com/cambridgeltl/visual-spatial-reasoning (folder data/splits)"

_FIELDS = {"image": str, "caption": str, "label": int}


def vsr(suite: Assembly, path: Path) -> list[Question]:
    """Ask for the verdict, and for the picture of each pair.

    Raises:
        DataError: the file is missing or malformed.
    """
    verdicts, judged = [], []
    for place, record in read_objects(path, _FIELDS, HOME):
        label, caption = record["label"], record["caption"]
        if label not in (0, 1):
            raise DataError(f"{path}: {place} has label {label}, which is neither 0 nor 1")
        picture = suite.picture(record["image"])
        words = (f"{caption} (False)", f"{caption} (True)")
        verdicts.append(suite.caption_choice(picture, words[label], [words[1 - label]]))
        judged.append(Judged(caption, picture, label == 1))
    questions = [ask("verdict", verdicts, chance=1 / 2)] if verdicts else []
    if pairs := suite.picture_choices(judged):
        questions.append(ask("picture of a pair", pairs, chance=1 / 2))
    return questions
