"""Visual Genome (Krishna et al., IJCV 2017): regions of pictures and a phrase about each.

    image_data.json             [{"image_id": 1, "url": ".../VG_100K_2/1.jpg",
                                  "width": 800, "height": 600}, ...]
    region_descriptions.json    [{"id": 1, "regions": [{"region_id": 1382, "image_id": 1,
                                  "phrase": "the clock is green", "x": 421, "y": 57,
                                  "width": 82, "height": 139}, ...]}, ...]
    VG_100K/2.jpg, VG_100K_2/1.jpg, ...

Older files say `id` for `image_id` and `region_id`. The 5.4 million regions take about 0.5 GB
and a minute to read.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kgclip_jax.data.images import Box, whole_pixels
from kgclip_jax.data.readers.json_lists import check_object, objects, stream_list
from kgclip_jax.data.readers.picture_files import Entry, PictureFiles
from kgclip_jax.data.records import Record
from kgclip_jax.data.skips import EMPTY_BOX
from kgclip_jax.errors import BadRecord, DataError

IMAGES = "image_data.json"
REGIONS = "region_descriptions.json"

_KEY = re.compile(r"(?P<picture>\d+)/\d+|(?:.*/)?(?P<file>\d+)(?:\.\w+)?")
_REGION = {"phrase": str, "x": int, "y": int, "width": int, "height": int}


class ListedPicture(NamedTuple):
    """A picture, and its size in pixels."""

    file: str  # from the folder of the data set: "VG_100K_2/1.jpg"
    height: int
    width: int


def open_regions(folder: Path, *, bad_share: float = 0.05) -> PictureFiles:
    """Open the regions of Visual Genome: one record each, with its box cut to the picture.

    Keys are "image id/region id".

    Regions without a picture, a phrase, or a pixel of the picture are left out up to `bad_share`.

    Raises:
        DataError: a file is missing or malformed, an id comes twice, or too many regions are bad.
    """
    images = listed_pictures(folder / IMAGES)
    return PictureFiles(
        _regions(folder / REGIONS, images),
        name=f"{folder.resolve().name}/regions",
        folder=folder,
        listing=folder / REGIONS,
        bad_share=bad_share,
    )


def picture_id(key: str) -> str:
    """Return the id of the picture of Visual Genome that the key of a record names.

    Args:
        key: that of a region, "1/1382", or the name of a picture, "1.jpg" or "VG_100K_2/1.jpg", its
            extension left out or not.

    Raises:
        DataError: it is neither.
    """
    match = _KEY.fullmatch(key)
    if match is None:
        raise DataError(
            f"the record {key!r} is no picture of Visual Genome: its key has no number of one; "
            "leave out `scene_graphs` of its source"
        )
    return match["picture"] or match["file"]


def picture_entries(path: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Read a file of Visual Genome that has an entry for each picture.

    Yields:
        The place of an entry, the id of its picture, and its content.

    Raises:
        DataError: the file is malformed, or a picture comes twice.
    """
    seen = set()
    for number, entry in enumerate(stream_list(path)):
        identity = _identity(path, f"[{number}]", entry, "image_id")
        if identity in seen:
            raise DataError(f"{path}: [{number}] repeats the image id {identity}")
        seen.add(identity)
        yield f"[{number}]", identity, entry


def listed_pictures(path: Path) -> dict[int, ListedPicture]:
    """Read `image_data.json`: the pictures by their ids.

    Raises:
        DataError: the file is missing or malformed, or an id comes twice.
    """
    images: dict[int, ListedPicture] = {}
    for key, identity, entry in picture_entries(path):
        check_object(path, key, entry, {"url": str, "width": int, "height": int})
        file = "/".join(entry["url"].split("/")[-2:])
        images[identity] = ListedPicture(file, entry["height"], entry["width"])
    return images


def _regions(path: Path, images: dict[int, ListedPicture]) -> Iterator[Entry]:
    for place, identity, entry in picture_entries(path):
        if identity not in images:
            raise DataError(f"{path}: {place} has the image id {identity}, not in {IMAGES}")
        image = images[identity]
        for key, region in objects(path, f"{place}.regions", entry.get("regions"), _REGION):
            name = f"{identity}/{_identity(path, key, region, 'region_id')}"
            box = Box(region["y"], region["x"], region["height"], region["width"])
            flaw = None
            try:
                box = Box(*whole_pixels(box, image.height, image.width))
            except BadRecord:
                flaw = EMPTY_BOX
            yield Entry(Record(name, (region["phrase"],), box), image.file, flaw)


def _identity(path: Path, key: str, entry: dict[str, Any], field: str) -> int:
    field = field if field in entry else "id"
    check_object(path, key, entry, {field: int})
    identity: int = entry[field]
    return identity
