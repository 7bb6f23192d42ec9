"""The splits of COCO, Flickr8k and Flickr30k by Karpathy and Fei-Fei (CVPR 2015), as JSON.

Two layouts are known. The original `dataset_{coco,flickr8k,flickr30k}.json`, all splits in one:

    {"images": [{"filepath": "val2014", "filename": "COCO_val2014_000000391895.jpg",
                 "split": "test", "sentences": [{"raw": "a man rides a motorcycle"}, ...]}, ...]}

and that of BLIP, one file a split, such as `coco_karpathy_test.json`:

    [{"image": "val2014/COCO_val2014_000000391895.jpg", "caption": ["a man ...", ...]}, ...]

where an image may come several times, and a caption may be a plain string.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kgclip_jax.data.readers.json_lists import objects
from kgclip_jax.data.readers.picture_files import Entry, PictureFiles
from kgclip_jax.data.records import Record
from kgclip_jax.errors import DataError
from kgclip_jax.files import read_json

_REST = "restval"  # pictures of COCO's validation set that everyone adds to the training split


def open_karpathy(file: Path, images: Path, split: str, *, bad_share: float = 0.05) -> PictureFiles:
    """Open the pictures of one split; their keys are their paths within `images`.

    Args:
        file: the JSON file; "{split}" in its name stands for the split.
        images: folder that the paths within the file start from.
        split: "train", "val" or "test"; "train" takes the pictures of "restval" too.
        bad_share: largest share of missing pictures, and of blank captions, that is left out.

    Raises:
        DataError: the file is missing or malformed, has no such split or a picture twice, or too
            many pictures are bad.
    """
    path = file.with_name(file.name.replace("{split}", split))
    content = read_json(path)
    if isinstance(content, dict):
        entries = _original(path, content, split)
    elif path == file:
        raise DataError(
            f"{path}: a list of pictures has one split only; write '{{split}}' in its name where "
            f"{split!r} stands"
        )
    else:
        entries = _blip(path, content)
    return PictureFiles(
        entries,
        name=f"{path.stem}/{split}" if path == file else path.stem,
        folder=images,
        listing=path,
        bad_share=bad_share,
    )


def _original(path: Path, content: dict[str, Any], split: str) -> Iterator[Entry]:
    splits = {split, _REST} if split == "train" else {split}
    found = set()
    fields = {"filename": str, "split": str, "sentences": list}
    for key, image in objects(path, "images", content.get("images"), fields):
        found.add(image["split"])
        if image["split"] in splits:
            folder = image.get("filepath", "")
            if not isinstance(folder, str):
                raise DataError(f"{path}: {key} has a 'filepath' that is not a str")
            name = "/".join(filter(None, (folder, image["filename"])))
            sentences = objects(path, f"{key}.sentences", image["sentences"], {"raw": str})
            yield Entry(Record(name, [sentence["raw"] for _, sentence in sentences]), name)
    if split not in found:
        raise DataError(f"{path}: no split {split!r}; there are {', '.join(sorted(found))}")


def _blip(path: Path, content: Any) -> Iterator[Entry]:
    captions: dict[str, list[str]] = {}
    for key, entry in objects(path, "list", content, {"image": str, "caption": (str, list)}):
        texts = [entry["caption"]] if isinstance(entry["caption"], str) else entry["caption"]
        if not all(isinstance(text, str) for text in texts):
            raise DataError(f"{path}: {key} has a caption that is not a str")
        captions.setdefault(entry["image"], []).extend(texts)
    return (Entry(Record(name, texts), name) for name, texts in captions.items())
