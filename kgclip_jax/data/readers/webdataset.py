"""Tar archives of captioned pictures, as img2dataset and webdataset write them.

Headers and captions are read once, when the archives are opened; then every picture is read from
its place. How samples are stored is told in `kgclip_jax.data.readers.tar_samples`.
"""

import glob
import re
from array import array
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from kgclip_jax.data.readers.record_table import RecordTable
from kgclip_jax.data.readers.tar_samples import Sample, TarLayout, read_samples
from kgclip_jax.data.readers.text_files import check_lines
from kgclip_jax.data.records import Record
from kgclip_jax.data.skips import EMPTY_CAPTION, UNREADABLE_IMAGE, Skips
from kgclip_jax.errors import BadRecord, DataError

DAMAGED_ARCHIVE = "damaged archive"
NO_PICTURE = "sample without image"

ANY_TAR = TarLayout()

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


class TarPictures:
    """The captioned pictures of tar archives: a `Records`. Keys are "archive/sample".

    Attributes:
        name: for logs and tables.
        skipped: number of pictures, captions and archives that were left out, by reason.
    """

    def __init__(
        self,
        folder: Path,
        shards: str = "*.tar",
        *,
        layout: TarLayout = ANY_TAR,
        bad_share: float = 0.05,
    ) -> None:
        """Read the headers and captions of all archives.

        Args:
            folder: where they lie.
            shards: names of the archives: a glob pattern, in which {00000..00099} is a range.
            layout: how they are written.
            bad_share: samples without a picture or a caption, unreadable caption files, and blank
                captions are left out with one log line, up to this share of each. So is what
                follows the place where an archive is damaged, up to this share of the archives.

        Raises:
            DataError: no archive is there, one is compressed, holds a file twice, most .txt have
                several lines and nobody says what they are, or too much is bad.
        """
        self.name = f"{folder.resolve().name}/{shards}"
        self._folder = folder
        self._tars = expand(folder, shards)
        self._table = RecordTable()
        self._tar, self._offset, self._size = array("i"), array("q"), array("q")
        skips = Skips()
        totals = {DAMAGED_ARCHIVE: len(self._tars), EMPTY_CAPTION: 0}
        samples = texts = several = 0
        with ThreadPoolExecutor() as threads:
            paths = (folder / tar for tar in self._tars)
            contents = threads.map(partial(read_samples, layout=layout), paths)
            for number, (of_tar, damage) in enumerate(contents):
                self._add(number, of_tar, skips)
                samples += len(of_tar)
                texts += sum(sample.lines > 0 for sample in of_tar)
                several += sum(sample.lines > 1 for sample in of_tar)
                totals[EMPTY_CAPTION] += sum(len(sample.captions) for sample in of_tar)
                if damage is not None:
                    skips.add(DAMAGED_ARCHIVE, str(damage))
        check_lines(str(folder / shards), several, texts, layout.caption_per_line)
        self.skipped: Mapping[str, int] = skips.counts
        totals = dict.fromkeys(skips.counts, samples) | totals
        skips.check(self.name, str(folder / shards), totals, bad_share)
        if not self._table:
            raise DataError(f"{folder / shards}: no usable pictures in {len(self._tars)} archives")

    def _add(self, tar: int, samples: Sequence[Sample], skips: Skips) -> None:
        for sample in samples:
            key = f"{self._tars[tar]}/{sample.key}"
            if sample.flaw is not None:
                skips.add(sample.flaw, key)
            if sample.picture is None:
                skips.add(NO_PICTURE, f"{key} ({_seen(sample)})")
            elif self._table.add(Record(key, sample.captions), skips):
                self._tar.append(tar)
                self._offset.append(sample.picture.offset)
                self._size.append(sample.picture.size)

    def __len__(self) -> int:
        return len(self._table)

    def record(self, index: int) -> Record:
        """Return what is known of a record."""
        return self._table[index]

    def encoded(self, index: int) -> bytes:
        """Read the picture of a record from its archive.

        Raises:
            BadRecord: it cannot be read.
        """
        path, size = self._folder / self._tars[self._tar[index]], self._size[index]
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(self._offset[index])
                content = file.read(size)
        except OSError as error:
            raise BadRecord(UNREADABLE_IMAGE, f"{path}: {error.strerror}") from error
        if len(content) < size:
            raise BadRecord(UNREADABLE_IMAGE, f"{path}: has become shorter since it was opened")
        return content


def _seen(sample: Sample) -> str:
    """Say what a sample without a picture has instead."""
    seen = ", ".join(f".{suffix}" for suffix in sample.suffixes)
    dotted = any("." in suffix for suffix in sample.suffixes)
    return f"has {seen}" + ("; see key_dot" if dotted else "")


def expand(folder: Path, pattern: str) -> list[str]:
    """Return the names of the files of a folder that a pattern stands for, in order.

    In the glob pattern, {00000..00099} stands for a range of numbers.

    Raises:
        DataError: there are none, or one of a range is missing.
    """
    if match := _RANGE.search(pattern):
        first, last = match.groups()
        numbers = (str(n).zfill(len(first)) for n in range(int(first), int(last) + 1))
        patterns = [_RANGE.sub(number, pattern, count=1) for number in numbers]
        return [name for each in patterns for name in expand(folder, each)]
    names = sorted(glob.glob(pattern, root_dir=folder))
    if not names:
        raise DataError(f"{folder / pattern}: no such files")
    return names
