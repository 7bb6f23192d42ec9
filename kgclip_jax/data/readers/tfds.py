"""Captioned pictures of TensorFlow Datasets, without TensorFlow: `tfds.data_source`.

The data set must lie on disk in its random-access format, ArrayRecord:

    pip install -r requirements-tfds.txt
    tfds build coco_captions --data_dir=FOLDER --file_format=array_record
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kgclip_jax.data.records import Record
from kgclip_jax.data.skips import NO_CAPTION, UNREADABLE_RECORD
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.knowledge.clean_captions import clean_caption

_INFO = "dataset_info.json"


class _Opened(NamedTuple):
    """The raw examples, and how to read a feature of them, by its path."""

    source: Any
    features: dict[str, Any]
    decoders: dict[str, Any]


class TfdsPictures:
    """The examples of a split: a `Records`. Keys are "split/number".

    Nothing is known of an example before it is read, so one without a caption, or with a picture
    that cannot be decoded, is a bad record when its turn comes.

    Attributes:
        name: for logs and tables.
        skipped: nothing.
    """

    def __init__(
        self,
        folder: Path,
        dataset: str,
        split: str,
        *,
        image: str = "image",
        captions: str = "captions.text",
    ) -> None:
        """Open a split of a data set that lies on disk; nothing is downloaded.

        `folder` is what TFDS calls `data_dir`; for the rest see `data.sources.TfdsSource`.

        Raises:
            DataError: tensorflow-datasets is not installed, the data set is not there or in another
                format, or it has no such split or feature.
        """
        self.name = f"{dataset}/{split}"
        self.skipped: Mapping[str, int] = {}
        self._folder = folder
        self._dataset = dataset
        self._split = split
        self._image = image
        self._captions = captions
        self._source: _Opened | None = None
        self._length = len(self._opened().source)

    def __len__(self) -> int:
        return self._length

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_source": None}  # open files do not travel to workers

    def record(self, index: int) -> Record:
        """Read the captions of an example.

        Raises:
            BadRecord: it cannot be read, or has none.
            DataError: the feature is no text.
        """
        value = self._feature(index, self._captions)
        texts = list(value) if isinstance(value, list | np.ndarray) else [value]
        if not all(isinstance(text, bytes) for text in texts):
            raise DataError(f"{self.name}: the feature {self._captions!r} is no text")
        captions = [clean_caption(text.decode("utf-8", "replace")) for text in texts]
        captions = [text for text in captions if text]
        if not captions:
            raise BadRecord(NO_CAPTION, f"{self.name}: example {index}")
        return Record(f"{self._split}/{index}", captions)

    def encoded(self, index: int) -> bytes:
        """Read the picture of an example.

        Raises:
            BadRecord: it cannot be read.
        """
        content: bytes = self._feature(index, self._image)
        return content

    def _feature(self, index: int, path: str) -> Any:
        """Read one feature of an example, and decode no other; pictures are not decoded at all."""
        if not 0 <= index < self._length:
            raise IndexError(f"example {index} of {self._length}")
        opened = self._opened()
        try:
            value = opened.features[path].deserialize_example_np(
                opened.source[index], decoders=opened.decoders[path]
            )
        except (RuntimeError, ValueError) as error:
            raise BadRecord(UNREADABLE_RECORD, f"{self.name}: example {index}: {error}") from error
        for name in path.split("."):
            value = value[name]
        return value

    def _opened(self) -> _Opened:
        if self._source is None:
            tfds = _tensorflow_datasets()
            builder = _builder(tfds, self._folder, self._dataset)
            features = builder.info.features
            if not isinstance(_feature(self.name, features, self._image), tfds.features.Image):
                raise DataError(f"{self.name}: the feature {self._image!r} is no picture")
            _feature(self.name, features, self._captions)
            skip = tfds.decode.SkipDecoding()
            for key in reversed(self._image.split(".")):
                skip = {key: skip}
            readers = {}
            for path in (self._image, self._captions):
                first = path.split(".")[0]
                readers[path] = tfds.features.FeaturesDict({first: features[first]})
            source = _data_source(tfds, builder, self.name, self._split)
            self._source = _Opened(source, readers, {self._image: skip, self._captions: None})
        return self._source


def _tensorflow_datasets() -> Any:
    try:
        return importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise DataError(
            f"tensorflow-datasets cannot be imported ({error}): pip install -r "
            "requirements-tfds.txt"
        ) from error


def _builder(tfds: Any, folder: Path, dataset: str) -> Any:
    directory = _directory(folder, dataset)
    try:
        return tfds.builder_from_directory(directory)
    except Exception as error:  # whatever its parsers raise on hostile files
        raise DataError(f"{directory}: not a data set that TFDS can read ({error})") from error


def _directory(folder: Path, dataset: str) -> Path:
    """Find the folder of a data set, whose configuration and version need not be said if alone.

    `tfds.builder` would do this too, but runs the data set's own code, which needs TensorFlow.
    """
    root = folder / dataset.replace(":", "/")
    depths = (_INFO, f"*/{_INFO}", f"*/*/{_INFO}")
    found = sorted(path.parent for depth in depths for path in root.glob(depth))
    if not found:
        raise DataError(
            f"{root}: no data set; make it by tfds build {dataset} --data_dir={folder} "
            "--file_format=array_record"
        )
    if len(found) > 1:
        options = ", ".join(str(path.relative_to(folder)) for path in found)
        raise DataError(f"{root}: several data sets; choose one of {options}")
    return found[0]


def _data_source(tfds: Any, builder: Any, name: str, split: str) -> Any:
    raw = tfds.decode.DeserializeMethod.RAW_BYTES
    try:
        return builder.as_data_source(split, deserialize_method=raw)
    except NotImplementedError as error:
        raise DataError(
            f"{builder.data_path}: its files cannot be read at random; build the data set with "
            "--file_format=array_record"
        ) from error
    except ValueError as error:
        known = ", ".join(builder.info.splits)
        raise DataError(f"{name}: no such examples ({error}); there are {known}") from error


def _feature(name: str, features: Any, path: str) -> Any:
    """Return the feature of a data set that a path leads to."""
    for key in path.split("."):
        known = list(features.keys()) if hasattr(features, "keys") else []
        if key not in known:
            there = ", ".join(known) or "none"
            raise DataError(f"{name}: no feature {path!r}, {key!r} is missing; there are {there}")
        features = features[key]
    return features
