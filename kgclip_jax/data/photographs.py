"""A folder of photographs with a captions file: a source to train on, a set to evaluate on."""

import logging
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from kgclip_jax.data.captions import CaptionedFolder, read_folder
from kgclip_jax.data.images import Resize, evaluation_transform, random_resized_crop
from kgclip_jax.data.packed_texts import PackedTexts
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.types import Caption, RetrievalSet

MISSING_IMAGE = "missing image"
NO_CAPTION = "image without caption"
EMPTY_CAPTION = "empty caption"
UNREADABLE_IMAGE = "unreadable image"

_logger = logging.getLogger(__name__)


class Photographs:
    """The photographs of one split, each with one or more captions: a `Source`.

    Pictures are read from disk when asked for, decoded and cropped at random. The object pickles
    into a few buffers, so workers start fast.

    Attributes:
        name: folder and split, for logs and tables.
        size: side of the pictures in pixels.
        bad_share: largest share of bad images, and of empty captions, that is left out.
        skipped: number of images and captions left out, by reason.
    """

    def __init__(
        self,
        path: str | Path,
        split: str | None = None,
        *,
        size: int,
        scale: tuple[float, float] = (0.9, 1.0),
        bad_share: float = 0.05,
    ) -> None:
        """List the images and captions of a split; no picture is opened yet.

        Args:
            path: a folder in the Flickr or the COCO layout, see `kgclip_jax.data.captions`.
            split: name of the split; None for all of a Flickr folder.
            size: side of the pictures that `image` returns, in pixels.
            scale: range of the random crop's area as a share of the picture's.
            bad_share: images on the list but not on disk, images without a caption, and captions
                of nothing but whitespace are left out with one log line, up to this share of each.

        Raises:
            DataError: the captions file is missing or malformed, no image is usable, or more than
                `bad_share` is bad.
        """
        folder = read_folder(Path(path), split)
        captions, skipped = _usable(folder)
        self.name = "/".join(filter(None, (Path(path).resolve().name, split)))
        self.size = size
        self.bad_share = bad_share
        self.skipped = {reason: len(files) for reason, files in skipped.items() if files}
        self._scale = scale
        self._folder = folder.images
        if self.skipped:
            _logger.warning("%s: left out %s", self.name, self.skipped)
        totals = {EMPTY_CAPTION: sum(map(len, folder.captions.values()))}
        for reason, files in skipped.items():
            total = totals.get(reason, len(folder.captions))
            _check_share(f"{path} (pictures: {folder.images})", reason, files, total, bad_share)
        if not captions:
            raise DataError(f"{path}: no usable images (split {split!r})")
        self._names = PackedTexts(captions)
        self._captions = PackedTexts(text for texts in captions.values() for text in texts)
        self._first = np.cumsum([0, *map(len, captions.values())])

    def __len__(self) -> int:
        return len(self._names)

    def file(self, index: int) -> Path:
        """Return the image file of a record."""
        return self._folder / self._names[index]

    def captions(self, index: int) -> list[str]:
        """Return all captions of a record."""
        return [self._captions[c] for c in range(self._first[index], self._first[index + 1])]

    def caption(self, index: int, rng: np.random.Generator) -> Caption:
        """Choose one of the captions of a record, each equally likely."""
        first, end = self._first[index : index + 2].tolist()
        return Caption(self._captions[int(rng.integers(first, end))])

    def image(
        self, index: int, rng: np.random.Generator
    ) -> UInt8[np.ndarray, "{self.size} {self.size} 3"]:
        """Read, decode and crop the photograph of a record.

        Raises:
            BadRecord: the file cannot be read or decoded; the reason names it.
        """
        path = self.file(index)
        try:
            return random_resized_crop(path.read_bytes(), self.size, rng, scale=self._scale)
        except (OSError, BadRecord) as error:
            raise BadRecord(f"{path}: {error}") from error


def retrieval_set(photographs: Photographs, resize: Resize = "shortest") -> RetrievalSet:
    """Prepare every photograph of a split for evaluation, together with all captions.

    Photographs that cannot be decoded are left out, with one log line.

    Args:
        photographs: the split; its size is that of the pictures.
        resize: see `evaluation_transform`.

    Raises:
        DataError: more than `photographs.bad_share` cannot be decoded.
    """

    def prepare(index: int) -> np.ndarray | None:
        try:
            encoded = photographs.file(index).read_bytes()
            return evaluation_transform(encoded, photographs.size, resize)
        except (OSError, BadRecord):
            return None

    with ThreadPoolExecutor() as threads:
        prepared = dict(enumerate(threads.map(prepare, range(len(photographs)))))
    images = {index: image for index, image in prepared.items() if image is not None}
    bad = [str(photographs.file(index)) for index in prepared if index not in images]
    if bad:
        _logger.warning("%s: left out {%r: %d}", photographs.name, UNREADABLE_IMAGE, len(bad))
    _check_share(photographs.name, UNREADABLE_IMAGE, bad, len(photographs), photographs.bad_share)
    captions = [photographs.captions(index) for index in images]
    return RetrievalSet(
        name=photographs.name,
        images=np.stack(list(images.values())),
        captions=[text for texts in captions for text in texts],
        owners=np.repeat(np.arange(len(images)), [len(texts) for texts in captions]),
    )


def _usable(folder: CaptionedFolder) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return file name -> captions of what can be used, and reason -> file names of what cannot."""
    present = _present(folder.images, folder.captions)
    usable: dict[str, list[str]] = {}
    skipped: dict[str, list[str]] = {MISSING_IMAGE: [], NO_CAPTION: [], EMPTY_CAPTION: []}
    for name, texts in folder.captions.items():
        captions = [text for text in texts if text.strip()]
        skipped[EMPTY_CAPTION] += [name] * (len(texts) - len(captions))
        if name not in present:
            skipped[MISSING_IMAGE].append(name)
        elif captions:
            usable[name] = captions
        else:
            skipped[NO_CAPTION].append(name)
    return usable, skipped


def _present(folder: Path, names: Iterable[str]) -> set[str]:
    """Return the files on disk, by one listing a folder: a call a file is slow on network disks."""
    parents = {os.path.dirname(name) for name in names}
    return {
        os.path.join(parent, file)
        for parent in parents
        if (folder / parent).is_dir()
        for file in os.listdir(folder / parent)
    }


def _check_share(where: str, reason: str, files: Sequence[str], total: int, limit: float) -> None:
    if len(files) > limit * total:
        examples = ", ".join(files[:5]) + (", ..." if len(files) > 5 else "")
        raise DataError(
            f"{where}: {reason}: {len(files)} of {total}, above the share of {limit:g} that may be "
            f"left out: {examples}"
        )
