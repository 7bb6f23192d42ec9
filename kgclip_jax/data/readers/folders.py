"""Folders of photographs with a captions file: finding that file and reading it.

Two layouts are known. Flickr8k and Flickr30k as they are shared:

    captions.txt          CSV with the header `image,caption`, one caption a line
    images/*.jpg          (or Images/, Flicker8k_Dataset/, or beside captions.txt)
    splits.json           {"train": ["1000268201_693b08cb0e.jpg", ...], "dev": [...]}

and COCO:

    annotations/captions_train2017.json
    train2017/*.jpg       (or images/train2017/, or images/)
"""

import csv
import difflib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kgclip_jax.data.readers.json_lists import objects
from kgclip_jax.data.readers.picture_files import Entry, PictureFiles
from kgclip_jax.data.records import Record
from kgclip_jax.errors import DataError
from kgclip_jax.files import read_json, read_text

_CSV_NAMES = ("captions.txt", "captions.csv")
_CSV_HEADER = ["image", "caption"]
_FLICKR_IMAGE_FOLDERS = ("images", "Images", "Flicker8k_Dataset")


class CaptionedFolder(NamedTuple):
    """Where the pictures of a split lie, and the captions of each file name, in order."""

    images: Path
    captions: Mapping[str, Sequence[str]]


def open_folder(folder: Path, split: str | None = None, *, bad_share: float = 0.05) -> PictureFiles:
    """Open the photographs of one split of a folder; their keys are the file names.

    Args:
        folder: see the two layouts at the top of this module.
        split: see `read_folder`.
        bad_share: largest share of missing pictures, and of blank captions, that is left out.

    Raises:
        DataError: the captions file is missing or malformed, no picture is usable, or too many are
            bad.
    """
    images, captions = read_folder(folder, split)
    return PictureFiles(
        (Entry(Record(name, texts), name) for name, texts in captions.items()),
        name="/".join(filter(None, (folder.resolve().name, split))),
        folder=images,
        listing=folder,
        bad_share=bad_share,
    )


def read_folder(folder: Path, split: str | None) -> CaptionedFolder:
    """Read the captions of one split of a folder in the Flickr or the COCO layout.

    Args:
        folder: see the two layouts at the top of this module. `captions.txt` goes first.
        split: a key of splits.json, or what follows `captions_` in the name of a COCO file, with or
            without the year ("train", "val2017"). None takes all captions of a Flickr folder.

    Raises:
        DataError: no captions file is there, it is malformed, or it has no such split.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    for name in _CSV_NAMES:
        if (folder / name).is_file():
            captions = load_captions(folder / name)
            images = _first_folder(*(folder / name for name in _FLICKR_IMAGE_FOLDERS), folder)
            return CaptionedFolder(images, _select(captions, folder / "splits.json", split))
    annotations = sorted((folder / "annotations").glob("captions_*.json"))
    if not annotations:
        looked_for = ", ".join((*_CSV_NAMES, "annotations/captions_*.json"))
        raise DataError(f"{folder}: no captions file; looked for {looked_for}")
    path = _coco_file(annotations, split)
    name = path.stem.removeprefix("captions_")
    images = _first_folder(folder / name, folder / "images" / name, folder / "images", folder)
    return CaptionedFolder(images, load_captions(path))


def load_captions(path: Path) -> dict[str, list[str]]:
    """Read a captions file: COCO json by its suffix, else CSV. Returns file name -> captions.

    COCO images without a caption are in the result, with an empty list.

    Raises:
        DataError: the file is not UTF-8 or malformed; the message names the line or key.
    """
    return _load_coco(path) if path.suffix == ".json" else _load_csv(path)


def _load_csv(path: Path) -> dict[str, list[str]]:
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    captions: dict[str, list[str]] = {}
    line = 1
    try:
        for row in reader:
            if line == 1:
                if row != _CSV_HEADER:
                    raise DataError(f"{path}, line 1: expected the header image,caption, got {row}")
            elif row:  # blank lines are empty rows
                if len(row) != 2:
                    raise DataError(
                        f"{path}, line {line}: expected image,caption, got {len(row)} fields; "
                        "put a caption that holds commas between double quotes"
                    )
                captions.setdefault(row[0], []).append(row[1])
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}, line {line}: not valid CSV ({error}); double the quotes within a caption, "
            "and put it between quotes"
        ) from error
    return captions


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
        close = difflib.get_close_matches(split, splits, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(splits)}"
        raise DataError(f"{path}: no split {split!r}; {hint}")
    names = splits[split]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{path}: {split!r} is not a list of image file names")
    return {name: captions.get(name, ()) for name in names}


def _first_folder(*candidates: Path) -> Path:
    return next(path for path in candidates if path.is_dir())
