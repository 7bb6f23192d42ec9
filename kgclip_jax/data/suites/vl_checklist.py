"""VL-CheckList: a phrase about a picture, and one with an object, attribute or relation exchanged.

Files in folders, such as Attribute/vg/color.json:

    [["VG_100K/2361911.jpg", {"POS": ["brown knob"], "NEG": ["teal knob"]}], ...]

As in the authors' evaluation ("itc"), the first phrase of each list counts, and a tie is wrong; so
is an entry whose two phrases are the same (of Visual Genome's, 82 of 19,567 attributes and 28 of
43,383 relations, capitals and spaces apart), so that 100 % cannot be had. A row a file, named by
its path; then the unweighted mean of the files (macro), and the mean over all phrases (micro), of
each of the topmost folders (Attribute, Object, Relation), or of the files that are in none. The
paths of one suite share a root; data sets with different roots (vg, vaw, hake, swig) are different
suites.

Source: Zhao et al., VL-CheckList, EMNLP 2022 (demonstrations).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kgclip_jax.data.evaluation_sets import Question
from kgclip_jax.data.questions import Decision, ask_by_group
from kgclip_jax.data.suites.annotation_files import json_files, read_entries
from kgclip_jax.data.suites.assembly import Assembly
from kgclip_jax.errors import DataError

HOME = "https://github.com/om-ai-lab/VL-CheckList (folder data)"


def vl_checklist(suite: Assembly, path: Path) -> list[Question]:
    """Ask a question for each file of a folder, and for the means of each topmost folder.

    Raises:
        DataError: the folder holds no files, or one of them is malformed.
    """
    topics: dict[str, list[Decision]] = {}
    for file in json_files(path, HOME):
        name = file.relative_to(path).with_suffix("")
        decisions = _decisions(suite, file, name.as_posix())
        topic = f"{name.parts[0]}, " if len(name.parts) > 1 else ""
        topics.setdefault(topic, []).extend(decisions)
    return [
        question
        for topic, decisions in topics.items()
        for question in ask_by_group(decisions, chance=1 / 2, prefix=topic)
    ]


def _decisions(suite: Assembly, file: Path, name: str) -> Iterator[Decision]:
    for place, entry in read_entries(file, HOME):
        picture, right, wrong = _entry(file, place, entry)
        yield suite.caption_choice(suite.picture(picture), right, [wrong], name)


def _entry(file: Path, place: str, entry: Any) -> tuple[str, str, str]:
    """Return the picture, the right and the wrong phrase of an entry."""
    match entry:
        case [str(picture), {"POS": [str(right), *_], "NEG": [str(wrong), *_]}]:
            return picture, right, wrong
    raise DataError(
        f"{file}: {place} is not a path with phrases, "
        'as in ["a.jpg", {"POS": ["brown knob"], "NEG": ["teal knob"]}]'
    )
