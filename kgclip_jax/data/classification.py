"""Zero-shot classification from disk: a folder of pictures a class, class names, templates.

Class names are a file in one of four forms:

    ["tench", "goldfish", ...]               JSON list, in the alphabetical order of the folders
    {"n01440764": "tench", ...}              JSON object, of every folder and no other
    tench                                    lines, in the alphabetical order of the folders
    n01440764<TAB>tench                      lines, of every folder and no other

Templates are a JSON list or lines, each with `{}` where the name belongs. Blank lines mean nothing.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from kgclip_jax.data.evaluation_config import PictureSet
from kgclip_jax.data.evaluation_sets import PLACE_OF_NAME, ZeroShotSet
from kgclip_jax.data.images import is_picture
from kgclip_jax.data.lazy_pictures import (
    EncodedPicture,
    EvaluationTransform,
    LazyPictures,
    encoded_pictures,
)
from kgclip_jax.errors import DataError
from kgclip_jax.files import read_json, read_text
from kgclip_jax.schema import LocalPath

DEFAULT_TEMPLATES = ("a photo of a {}.",)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClassificationFolder(PictureSet):
    """Zero-shot classification of pictures that lie in a folder a class.

    With ImageNet's validation pictures in folders n01440764, n01443537 and so on, the names and
    templates that others use come out of the `open-clip-torch` package by:

        python -c "import json, runpy, importlib.util as i;
        f = i.find_spec('open_clip').submodule_search_locations[0];
        m = runpy.run_path(f + '/zero_shot_metadata.py');
        json.dump(m['IMAGENET_CLASSNAMES'], open('classes.json', 'w'));
        json.dump([t('{}') for t in m['OPENAI_IMAGENET_TEMPLATES']], open('templates.json', 'w'))"

    (The module is run alone, because importing open_clip needs a torchvision that loads.)

    Attributes:
        kind: tells this set apart from the others.
        folder: where the class folders lie, absolute or relative to `data.path`.
        classes: file of class names, looked for in the same way, or None for the names of the
            folders with spaces for underscores. Format: see `kgclip_jax.data.classification`.
        templates: file of templates, looked for in the same way, or None for CLIP's own "a photo of
            a {}.".
        averaged_as: name of a row for the mean top-1 over all such sets of that name; None for no
            such row.
    """

    kind: Literal["classification"]
    folder: LocalPath
    classes: LocalPath | None = None
    templates: LocalPath | None = None
    averaged_as: str | None = None

    def open(self, name: str, root: Path, transform: EvaluationTransform) -> ZeroShotSet:
        """Read class names and templates, see `classification_set`."""
        return classification_set(self, root, name=name, transform=transform)


def classification_set(
    settings: ClassificationFolder,
    path: str | Path,
    *,
    name: str,
    transform: EvaluationTransform,
) -> ZeroShotSet:
    """Read the class names and templates, and list the pictures, which are not opened yet.

    Classes may share a name, which no text can tell apart: ImageNet's usual names have two
    "missile" and two "sunglasses". See `evaluation/zero_shot.py` for what is counted then.

    Raises:
        DataError: a folder or file is missing, empty or malformed; the message names the file and
            the line.
    """
    folder = Path(path) / settings.folder
    files = list_pictures(folder)
    names = {class_folder: class_folder.replace("_", " ") for class_folder in files}
    if settings.classes is not None:
        names = read_class_names(Path(path) / settings.classes, list(files))
    templates: Sequence[str] = DEFAULT_TEMPLATES
    if settings.templates is not None:
        templates = read_templates(Path(path) / settings.templates)
    pictures, labels = labelled_pictures(
        files, [*files], transform, name=name, bad_share=settings.bad_share
    )
    class_names = [names[key] for key in files]
    return ZeroShotSet(name, pictures, labels, class_names, templates, settings.averaged_as)


def labelled_pictures(
    files: Mapping[str, Sequence[str]],
    classes: Sequence[str],
    transform: EvaluationTransform,
    *,
    name: str,
    bad_share: float,
) -> tuple[LazyPictures[EncodedPicture], Int[np.ndarray, " pictures"]]:
    """Return the pictures of class folders, and the place of each one's folder among `classes`."""
    pairs = [(file, label) for label, key in enumerate(classes) for file in files.get(key, ())]
    pictures = [EncodedPicture(file, Path(file).read_bytes) for file, _ in pairs]
    lazy = encoded_pictures(pictures, transform, name=name, bad_share=bad_share)
    return lazy, np.array([label for _, label in pairs])


def list_pictures(folder: Path) -> dict[str, list[str]]:
    """Return the paths of the pictures by class folder, both in alphabetical order.

    Hidden files and files that are no pictures by their names are passed over. Pictures in
    folders within a class folder belong to the class.

    Raises:
        DataError: there is no such folder, it holds no folders, or they hold no pictures.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    pictures = {
        name: sorted(
            os.path.join(parent, file)
            for parent, _, files in os.walk(folder / name)
            for file in files
            if is_picture(file)
        )
        for name in classes
        if not name.startswith(".")
    }
    if not any(pictures.values()):
        raise DataError(
            f"{folder}: no pictures; it should hold a folder of pictures for each class"
        )
    if empty := [name for name, files in pictures.items() if not files]:
        _logger.warning("%s: classes without pictures: %s", folder, ", ".join(empty))
    return pictures


def read_class_names(file: Path, folders: Sequence[str]) -> dict[str, str]:
    """Return the name of each class folder.

    Raises:
        DataError: the file is malformed, or its names do not belong to just these folders.
    """
    entries = _entries(file, keyed=True)
    if all(entry.key is None for entry in entries):
        if len(entries) != len(folders):
            raise DataError(f"{file}: {len(entries)} class names for {len(folders)} folders")
        _check_order(file, folders)
        return {key: entry.text for key, entry in zip(folders, entries, strict=True)}
    names: dict[str, str] = {}
    for place, key, text in entries:
        if key is None:
            raise DataError(f"{file}, {place}: no tab between folder and class name")
        if key in names:
            raise DataError(f"{file}, {place}: a second name for folder {key!r}")
        if key not in folders:
            raise DataError(f"{file}, {place}: there is no folder {key!r}")
        names[key] = text
    missing = [key for key in folders if key not in names]
    if missing:
        raise DataError(f"{file}: no class name for folder {', '.join(missing[:5])}")
    return {key: names[key] for key in folders}


def _check_order(file: Path, folders: Sequence[str]) -> None:
    """Refuse to pair by position what has two orders: '10' comes before '2', or behind it."""
    for before, after in pairwise(folders):
        if before.isdecimal() and after.isdecimal() and int(before) > int(after):
            raise DataError(
                f"{file}: the folders {before!r}, {after!r} have another order as text than as "
                "numbers; name each by its folder, in lines of folder<TAB>name"
            )


def read_templates(file: Path) -> list[str]:
    """Return the templates of a file.

    Raises:
        DataError: the file is malformed or empty, or a template has no place for the name.
    """
    entries = _entries(file, keyed=False)
    for entry in entries:
        if PLACE_OF_NAME not in entry.text:
            raise DataError(
                f"{file}, {entry.place}: {entry.text!r} lacks {PLACE_OF_NAME} for the class name"
            )
    return [entry.text for entry in entries]


class _Entry(NamedTuple):
    place: str  # for messages
    key: str | None
    text: str


def _entries(file: Path, keyed: bool) -> list[_Entry]:
    """Read a list of texts, with keys (of a JSON object, or before a tab) if they may have some."""
    entries = _json_entries(file, keyed) if file.suffix == ".json" else _line_entries(file, keyed)
    for entry in entries:
        if not isinstance(entry.text, str) or not entry.text.strip():
            raise DataError(f"{file}, {entry.place}: expected a text, not {entry.text!r}")
    if not entries:
        raise DataError(f"{file}: no entries")
    return entries


def _json_entries(file: Path, keyed: bool) -> list[_Entry]:
    content: Any = read_json(file)
    if isinstance(content, dict) and keyed:
        return [_Entry(repr(key), key, text) for key, text in content.items()]
    if not isinstance(content, list):
        raise DataError(f"{file}: expected a list of strings")
    return [_Entry(f"[{index}]", None, text) for index, text in enumerate(content)]


def _line_entries(file: Path, keyed: bool) -> list[_Entry]:
    entries = []
    for number, line in enumerate(read_text(file).split("\n"), 1):
        key, tab, text = line.partition("\t")
        if tab and keyed:
            entries.append(_Entry(f"line {number}", key.strip(), text.strip()))
        elif line.strip():
            entries.append(_Entry(f"line {number}", None, line.strip()))
    return entries
