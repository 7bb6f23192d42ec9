"""Folders of photographs with captions: finding the captions and reading them.

Three layouts are known. A table of captions, see `kgclip_jax.data.readers.caption_tables`:

    captions.txt          or captions.csv, metadata.csv, metadata.jsonl, results.csv, ...
    images/*.jpg          (or Images/, Flicker8k_Dataset/, flickr30k_images/, or beside the table)
    splits.json           {"train": ["1000268201_693b08cb0e.jpg", ...], "dev": [...]}

COCO:

    annotations/captions_train2017.json
    train2017/*.jpg       (or images/train2017/, or images/)

and a text beside each picture, perhaps in folders, perhaps with a `splits.json`:

    000000012.jpg
    000000012.txt
"""

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kgclip_jax.data.images import is_picture
from kgclip_jax.data.readers.caption_tables import Columns, read_table
from kgclip_jax.data.readers.json_lists import objects
from kgclip_jax.data.readers.picture_files import Entry, PictureFiles, leads_outside
from kgclip_jax.data.readers.text_files import captions_of, check_lines
from kgclip_jax.data.records import Record
from kgclip_jax.errors import DataError
from kgclip_jax.files import read_json, read_text
from kgclip_jax.schema import suggestion

_TABLES = (
    "captions.txt",
    "captions.csv",
    "metadata.csv",
    "metadata.jsonl",
    "results.csv",
    "Flickr8k.token.txt",
    "results_20130124.token",
)
_IMAGE_FOLDERS = ("images", "Images", "Flicker8k_Dataset", "flickr30k_images")
_TRIED = 100  # pictures that are looked for to tell in which folder they lie


class CaptionedFolder(NamedTuple):
    """Where the pictures of a split lie, and the captions of each file name, in order."""

    images: Path
    captions: Mapping[str, Sequence[str]]


class FolderLayout(NamedTuple):
    """What tells folders apart that cannot be told apart otherwise.

    Attributes:
        file: the file of captions, relative to the folder; "{split}" in its name stands for the
            split. None looks for the usual names.
        columns: of a table.
        caption_per_line: whether each line of a text beside a picture is a caption, or all of it
            is one; None refuses texts of which most have several lines.
    """

    file: str | None = None
    columns: Columns = Columns()
    caption_per_line: bool | None = None


ANY_FOLDER = FolderLayout()


def open_folder(
    folder: Path,
    split: str | None = None,
    layout: FolderLayout = ANY_FOLDER,
    *,
    bad_share: float = 0.05,
) -> PictureFiles:
    """Open the photographs of one split of a folder; their keys are the file names.

    Arguments as for `read_folder`; missing pictures and blank captions are left out up to
    `bad_share`.

    Raises:
        DataError: the captions file is missing or malformed, no picture is usable, or too many are
            bad.
    """
    images, captions = read_folder(folder, split, layout)
    return PictureFiles(
        (Entry(Record(name, texts), name) for name, texts in captions.items()),
        name="/".join(filter(None, (folder.resolve().name, split))),
        folder=images,
        listing=folder,
        bad_share=bad_share,
    )


def read_folder(
    folder: Path, split: str | None, layout: FolderLayout = ANY_FOLDER
) -> CaptionedFolder:
    """Read the captions of one split of a folder.

    Args:
        folder: see the layouts at the top of this module. A table goes first.
        split: a key of splits.json, or what follows `captions_` in the name of a COCO file, with or
            without the year ("train", "val2017"), or what `layout.file` has in its name. None takes
            all captions, but for COCO.
        layout: what cannot be seen.

    Raises:
        DataError: no captions are there, several files may be meant, one is malformed, or has no
            such split.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    path = _table(folder, split, layout.file)
    annotations = sorted((folder / "annotations").glob("captions_*.json"))
    if path is None and annotations:
        path = _coco_file(annotations, split)
        name = path.stem.removeprefix("captions_")
        images = _first_folder(folder / name, folder / "images" / name, folder / "images", folder)
        return CaptionedFolder(images, load_captions(path))
    if path is None:
        images = folder
        captions: Mapping[str, Sequence[str]] = _texts_beside(folder, layout.caption_per_line)
    else:
        captions = load_captions(path, layout.columns)
        images = _where(captions, folder, path.parent)
    if layout.file is None or "{split}" not in layout.file:
        captions = _select(captions, folder / "splits.json", split)
    return CaptionedFolder(images, captions)


def load_captions(path: Path, columns: Columns = ANY_FOLDER.columns) -> Mapping[str, Sequence[str]]:
    """Read a captions file: COCO json by its suffix, else a table. Returns file name -> captions.

    COCO images without a caption are in the result, with an empty list.

    Raises:
        DataError: the file is not UTF-8 or malformed; the message names the line or key.
    """
    return _load_coco(path) if path.suffix == ".json" else read_table(path, columns)


def _table(folder: Path, split: str | None, file: str | None) -> Path | None:
    """Return the captions file that is named, or the one that has a usual name."""
    if file is not None:
        return folder / file.replace("{split}", split or "")
    found = [name for name in _TABLES if (folder / name).is_file()]
    if len(found) > 1:
        raise DataError(f"{folder}: {' and '.join(found)} may be meant; set file to one of them")
    return folder / found[0] if found else None


def _texts_beside(folder: Path, caption_per_line: bool | None) -> dict[str, list[str]]:
    """Read the text beside each picture; a picture that has none, or no UTF-8, has no captions."""
    captions: dict[str, list[str]] = {}
    several = texts = 0
    for parent, folders, files in os.walk(folder):
        folders.sort()
        names = set(files)
        for file in sorted(files):
            if not is_picture(file):
                continue
            stem = os.path.splitext(file)[0]
            name = os.path.relpath(os.path.join(parent, file), folder)
            captions[name] = []
            if f"{stem}.txt" in names:
                try:
                    text = read_text(Path(parent, f"{stem}.txt"), ValueError)
                except ValueError:
                    continue
                captions[name], lines = captions_of(text, caption_per_line)
                texts, several = texts + 1, several + (lines > 1)
    if not texts:
        looked_for = ", ".join((*_TABLES, "annotations/captions_*.json"))
        raise DataError(
            f"{folder}: no captions; looked for {looked_for}, and a .txt beside each picture; "
            "`file` names another file"
        )
    check_lines(str(folder), several, texts, caption_per_line)
    return captions


def _where(captions: Mapping[str, Sequence[str]], folder: Path, beside: Path) -> Path:
    """Return the folder that the names of pictures start from."""
    candidates = [*(folder / name for name in _IMAGE_FOLDERS), beside, folder]
    names = list(itertools.islice(itertools.filterfalse(leads_outside, captions), _TRIED))
    for candidate in candidates:
        if any((candidate / name).is_file() for name in names):
            return candidate
    return _first_folder(*candidates)


def _load_coco(path: Path) -> dict[str, list[str]]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object with images and annotations at the top")
    names: dict[int, str] = {}
    fields: dict[str, type] = {"id": int, "file_name": str}
    for key, image in objects(path, "images", content.get("images"), fields):
        if names.setdefault(image["id"], image["file_name"]) != image["file_name"]:
            raise DataError(f"{path}: {key} repeats the id {image['id']} of another file")
    captions: dict[str, list[str]] = {name: [] for name in names.values()}
    fields = {"image_id": int, "caption": str}
    for key, annotation in objects(path, "annotations", content.get("annotations"), fields):
        if annotation["image_id"] not in names:
            raise DataError(f"{path}: {key} has image_id {annotation['image_id']}, not in images")
        captions[names[annotation["image_id"]]].append(annotation["caption"])
    return captions


def _coco_file(annotations: Sequence[Path], split: str | None) -> Path:
    """Choose the captions file of a split: its exact name, or the only one of several years."""
    names = [path.stem.removeprefix("captions_") for path in annotations]
    wanted = "" if split is None else split
    matches = [path for path, name in zip(annotations, names, strict=True) if name == wanted]
    matches = matches or [
        path
        for path, name in zip(annotations, names, strict=True)
        if name.startswith(wanted) and not name[len(wanted) :].strip("0123456789")
    ]
    if len(matches) != 1:
        problem = "no captions file" if not matches else "several captions files"
        raise DataError(
            f"{annotations[0].parent}: {problem} for split {split!r}; choose one of "
            + ", ".join(repr(name) for name in names)
        )
    return matches[0]


def _select(
    captions: Mapping[str, Sequence[str]], path: Path, split: str | None
) -> Mapping[str, Sequence[str]]:
    """Keep the images that splits.json lists; those it lists without a caption get none."""
    if split is None:
        return captions
    if not path.is_file():
        raise DataError(
            f'{path}: not found, but split {split!r} was asked for; write {{"{split}": [image file '
            "names]} there, or ask for no split"
        )
    splits = read_json(path)
    if not isinstance(splits, dict):
        raise DataError(f"{path}: expected an object of split name -> image file names")
    if split not in splits:
        raise DataError(f"{path}: no split {split!r}{suggestion(split, splits)}")
    names = splits[split]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{path}: {split!r} is not a list of image file names")
    return {name: captions.get(name, ()) for name in names}


def _first_folder(*candidates: Path) -> Path:
    return next(path for path in candidates if path.is_dir())
