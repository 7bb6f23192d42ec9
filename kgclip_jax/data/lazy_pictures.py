"""Pictures prepared for evaluation when they are needed: sets have too many to hold."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, UInt8

from kgclip_jax.data.images import Box, Interpolation, Resize, crop, decode, evaluation_transform
from kgclip_jax.data.skips import UNREADABLE_IMAGE, Skips
from kgclip_jax.errors import BadRecord

BATCH = 256

Item = TypeVar("Item")


class LazyPictures(Generic[Item]):
    """Pictures made of anything, by threads, a batch ahead of the encoder: `Pictures`."""

    def __init__(
        self,
        items: Sequence[Item],
        prepare: Callable[[Item], UInt8[np.ndarray, "size size 3"]],
        *,
        size: int,
        name: str,
        bad_share: float = 0.0,
        describe: Callable[[Item], str] = str,
    ) -> None:
        """List what the pictures are made of; none is made yet.

        `prepare` makes the picture of an item, and raises OSError or BadRecord when it cannot;
        `describe` names an item in messages.
        """
        self._items = items
        self._prepare = prepare
        self._size = size
        self._name = name
        self._bad_share = bad_share
        self._describe = describe

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> UInt8[np.ndarray, "size size 3"]:
        """Make one picture. Raises BadRecord when that cannot be done."""
        try:
            return self._prepare(self._items[index])
        except OSError as error:
            name = self._describe(self._items[index])
            raise BadRecord(UNREADABLE_IMAGE, f"{name}: {error}") from error

    def names(self) -> Iterator[str]:
        """Say what each picture is made of."""
        return map(self._describe, self._items)

    def batches(
        self,
    ) -> Iterator[tuple[UInt8[np.ndarray, "b size size 3"], Bool[np.ndarray, " b"]]]:
        """Make all pictures in their order, and tell which could be read (others are black).

        Raises:
            DataError: at the end, when more could not be read than may be.
        """
        skips = Skips()
        with ThreadPoolExecutor() as threads:
            ahead: deque[tuple[range, Iterator[np.ndarray | None]]] = deque()
            for start in range(0, len(self), BATCH):
                numbers = range(start, min(start + BATCH, len(self)))
                ahead.append((numbers, threads.map(self._picture_or_none, numbers)))
                if len(ahead) > 1:
                    yield self._stack(*ahead.popleft(), skips)
            if ahead:
                yield self._stack(*ahead.popleft(), skips)
        skips.check(self._name, self._name, {UNREADABLE_IMAGE: len(self)}, self._bad_share)

    def _picture_or_none(self, index: int) -> UInt8[np.ndarray, "size size 3"] | None:
        try:
            return self[index]
        except BadRecord:
            return None

    def _stack(
        self, numbers: range, prepared: Iterator[np.ndarray | None], skips: Skips
    ) -> tuple[UInt8[np.ndarray, "b size size 3"], Bool[np.ndarray, " b"]]:
        images = np.zeros((len(numbers), self._size, self._size, 3), np.uint8)
        readable = np.ones(len(numbers), dtype=bool)
        for place, (number, picture) in enumerate(zip(numbers, prepared, strict=True)):
            if picture is None:
                readable[place] = False
                skips.add(UNREADABLE_IMAGE, self._describe(self._items[number]))
            else:
                images[place] = picture
        return images, readable


class EncodedPicture(NamedTuple):
    """A picture: its name for messages, how to read its file, and the part of it that is meant."""

    name: str
    read: Callable[[], bytes]
    box: Box | None = None


class EvaluationTransform(NamedTuple):
    """How stored pictures become squares of `size` pixels; see `images.evaluation_transform`."""

    size: int
    resize: Resize = "shortest"
    interpolation: Interpolation = "bicubic"

    def prepare(self, picture: EncodedPicture) -> UInt8[np.ndarray, "size size 3"]:
        """Read, cut and resize a picture. Raises OSError or BadRecord when that cannot be done."""
        encoded = picture.read()
        part = encoded if picture.box is None else crop(decode(encoded), picture.box)
        return evaluation_transform(part, *self)


def encoded_pictures(
    pictures: Sequence[EncodedPicture],
    transform: EvaluationTransform,
    *,
    name: str,
    bad_share: float = 0.0,
) -> LazyPictures[EncodedPicture]:
    """Prepare stored pictures when they are needed; see `LazyPictures` for the arguments."""
    return LazyPictures(
        pictures,
        transform.prepare,
        size=transform.size,
        name=name,
        bad_share=bad_share,
        describe=attrgetter("name"),
    )
