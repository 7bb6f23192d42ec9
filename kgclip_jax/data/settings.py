"""Settings of the sources of training pairs, of the held-out sets, and of how they are mixed."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from kgclip_jax.data.emoji.world import EmojiWorld
from kgclip_jax.knowledge.negatives import NegativeSettings
from kgclip_jax.knowledge.parsing.parser import MODEL
from kgclip_jax.schema import check


@dataclass(frozen=True)
class EmojiSource:
    """Scenes of emoji drawings, rendered on the fly.

    Attributes:
        kind: tells this source apart from the others.
        world: what the scenes are made of.
        weight: share of the training pairs, relative to the other sources.
        evaluation_items: size of each held-out set; 0 for none.
    """

    kind: Literal["emoji"]
    world: EmojiWorld
    weight: float = 1.0
    evaluation_items: int = 500

    def __post_init__(self) -> None:
        check(self.weight > 0, "weight must be positive")
        check(self.evaluation_items != 1, "evaluation_items must be 0, or 2 and more")


@dataclass(frozen=True, kw_only=True)
class StoredPictures:
    """What all sources of pictures on disk have in common.

    Attributes:
        kind: tells this source apart from the others.
        folder: where the pictures lie, absolute or relative to `data.path`.
        crop_scale: least and largest share of the picture that a random crop covers.
        weight: share of the training pairs, relative to the other sources.
        graphs: folder of the captions' scene graphs, written by `launch/prepare.py parse` or
            `graphs`, absolute or relative to `data.path`; None where neither the model nor the
            negatives need them.
        scene_graphs: folder of Visual Genome's graphs of whole pictures, which `graphs` writes too,
            for records whose keys have the ids of its pictures; a negative that they say is
            refused.
    """

    kind: str
    folder: str = "."
    crop_scale: tuple[float, float] = (0.9, 1.0)
    weight: float = 1.0
    graphs: str | None = None
    scene_graphs: str | None = None

    def __post_init__(self) -> None:
        low, high = self.crop_scale
        check(0 < low <= high <= 1, "crop_scale must be two shares between 0 and 1")
        check(self.weight > 0, "weight must be positive")


@dataclass(frozen=True, kw_only=True)
class PhotographSource(StoredPictures):
    """A folder of photographs with a captions file (Flickr CSV or COCO json).

    Attributes:
        split: the part to train on, as the folder's split file or captions files name it; None for
            all of a Flickr folder.
        evaluation_split: the part to evaluate retrieval on, or None.
    """

    kind: Literal["photographs"]
    split: str | None = "train"
    evaluation_split: str | None = None

    def held_out(self) -> "PhotographSource | None":
        """Return the settings of the part to evaluate on, or None."""
        split = self.evaluation_split
        return None if split is None else replace(self, split=split)


@dataclass(frozen=True, kw_only=True)
class KarpathySource(StoredPictures):
    """Pictures with the captions and splits of Karpathy and Fei-Fei.

    Attributes:
        file: the JSON file, absolute or relative to `data.path`; "{split}" in its name stands for
            the split.
        split: the part to train on; "train" takes the pictures of "restval" too.
        evaluation_split: the part to evaluate retrieval on, or None.
    """

    kind: Literal["karpathy"]
    file: str
    split: str = "train"
    evaluation_split: str | None = None

    def held_out(self) -> "KarpathySource | None":
        """Return the settings of the part to evaluate on, or None."""
        split = self.evaluation_split
        return None if split is None else replace(self, split=split)


@dataclass(frozen=True, kw_only=True)
class VisualGenomeSource(StoredPictures):
    """The regions of Visual Genome, each cut out of its picture, with the phrase about it."""

    kind: Literal["visual_genome"]

    def held_out(self) -> None:
        """Return None: the regions have no splits."""


@dataclass(frozen=True, kw_only=True)
class WebdatasetSource(StoredPictures):
    """Tar archives of captioned pictures, as img2dataset and webdataset write them.

    Attributes:
        shards: names of the archives to train on: a glob pattern, in which {00000..00099} is a
            range.
        evaluation_shards: names of those to evaluate retrieval on, or None.
        caption_field: of the json files in the archives.
    """

    kind: Literal["webdataset"]
    shards: str = "*.tar"
    evaluation_shards: str | None = None
    caption_field: str = "caption"

    def held_out(self) -> "WebdatasetSource | None":
        """Return the settings of the part to evaluate on, or None."""
        shards = self.evaluation_shards
        return None if shards is None else replace(self, shards=shards)


@dataclass(frozen=True, kw_only=True)
class TfdsSource(StoredPictures):
    """A data set of TensorFlow Datasets; `folder` is its `data_dir`.

    Attributes:
        dataset: such as "coco_captions", or "coco_captions/2014/1.1.0" where there are several.
        split: the part to train on, such as "train+restval".
        evaluation_split: the part to evaluate retrieval on, or None.
        image: feature that holds the picture; a dot leads into a nested one.
        captions: feature that holds one or more texts.
    """

    kind: Literal["tfds"]
    dataset: str
    split: str = "train"
    evaluation_split: str | None = None
    image: str = "image"
    captions: str = "captions.text"

    def held_out(self) -> "TfdsSource | None":
        """Return the settings of the part to evaluate on, or None."""
        split = self.evaluation_split
        return None if split is None else replace(self, split=split)


@dataclass(frozen=True, kw_only=True)
class ArrayRecordSource(StoredPictures):
    """A folder of shards that `launch/prepare.py shards` has written.

    Attributes:
        evaluation_folder: one to evaluate retrieval on, or None.
    """

    kind: Literal["array_record"]
    evaluation_folder: str | None = None

    def held_out(self) -> "ArrayRecordSource | None":
        """Return the settings of the part to evaluate on, or None."""
        folder = self.evaluation_folder
        return None if folder is None else replace(self, folder=folder)


StoredSource: TypeAlias = (
    PhotographSource
    | KarpathySource
    | VisualGenomeSource
    | WebdatasetSource
    | TfdsSource
    | ArrayRecordSource
)


@dataclass(frozen=True)
class Data:
    """Where training pairs come from.

    Attributes:
        sources: by name; mixed by their weights.
        path: folder that the sources' relative folders start from.
        bad_share: give up when a larger share of the records cannot be used.
        workers: processes that prepare batches; 0 prepares them in threads of the main process.
        text_buckets: lengths that text batches are cut to, the smallest that holds the longest text
            of the batch; the context length is always one of them.
        negatives: texts that are wrong on purpose, made of each caption, or None.
        parser: the spaCy pipeline that the scene graphs of training captions come from; it parses
            held-out texts for a knowledge encoder.
    """

    sources: dict[str, EmojiSource | StoredSource]
    path: str = "."
    bad_share: float = 0.05
    workers: int = 1
    text_buckets: tuple[int, ...] = ()
    negatives: NegativeSettings | None = None
    parser: str = MODEL

    def __post_init__(self) -> None:
        check(self.workers >= 0, "workers must not be negative")
        check(0 <= self.bad_share <= 1, "bad_share must be a share between 0 and 1")
