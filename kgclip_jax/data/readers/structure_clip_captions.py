"""Structure-CLIP's training files: captions with the triples that its parser found.

    [{"image": "train2014/1.jpg", "text": "a red dog on a sofa",
      "triples": [["dog", "on", "sofa"]], "pairs": [["red", "dog"]]}, ...]

or, with attributes among the triples as ("dog", "is", "red"),

    [{"image_path": "train2014/1.jpg", "true_caption": "a red dog on a sofa",
      "true_triples": [["dog", "on", "sofa"], ["dog", "is", "red"]]}, ...]

Pairs are (attribute, object), as the released training code takes them. Their false captions,
`neg_text` or `false_caption`, are read by `listed_captions`. `launch/prepare.py graphs` makes scene
graphs of the triples.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kgclip_jax.data.readers.json_lists import check_object, stream_list
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.triples import IS, Triple

CAPTION_FIELDS = (("text", "neg_text"), ("true_caption", "false_caption"))  # true and false


class ImageCaption(NamedTuple):
    """A caption with the triples of its scene graph, and the picture file it belongs to."""

    image: str
    text: str
    triples: tuple[Triple, ...]


def structure_clip_captions(path: Path) -> Iterator[ImageCaption]:
    """Read the captions of a file one by one.

    Raises:
        DataError: the file cannot be read, or an entry is malformed; the message names it.
    """
    for number, entry in enumerate(stream_list(path)):
        key = f"[{number}]"
        if "true_caption" in entry:
            check_object(path, key, entry, {"image_path": str, "true_caption": str})
            image, text = entry["image_path"], entry["true_caption"]
            triples = read_triples(path, f"{key}.true_triples", entry.get("true_triples"))
        else:
            check_object(path, key, entry, {"image": str, "text": str})
            image, text = entry["image"], entry["text"]
            triples = read_triples(path, f"{key}.triples", entry.get("triples"))
            pairs = _word_lists(path, f"{key}.pairs", entry.get("pairs"), 2)
            triples += [(thing, IS, attribute) for attribute, thing in pairs]
        yield ImageCaption(image, text, tuple(triples))


def read_triples(path: Path, key: str, entries: Any) -> list[Triple]:
    """Take a list of (head, relation, tail). Raises DataError, by its key, where it is none."""
    return [(head, relation, tail) for head, relation, tail in _word_lists(path, key, entries, 3)]


def _word_lists(path: Path, key: str, entries: Any, length: int) -> list[list[str]]:
    if not isinstance(entries, list):
        raise DataError(f"{path}: expected a list under {key!r}")
    for number, entry in enumerate(entries):
        words = isinstance(entry, list) and all(isinstance(word, str) for word in entry)
        if not words or len(entry) != length:
            raise DataError(f"{path}: {key}[{number}] is not a list of {length} strings")
    return entries
