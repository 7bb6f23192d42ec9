"""The sources of captioned pictures, as a config names them."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from kgclip_jax.data.emoji.world import EmojiWorld
from kgclip_jax.knowledge.parsing.parser import MODEL
from kgclip_jax.schema import Registry, check


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

    @property
    def knows_graphs(self) -> bool:
        """Whether the scene graphs of captions are known: those of drawn scenes always are."""
        return True


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

    @property
    def knows_graphs(self) -> bool:
        """Whether the scene graphs of captions are known."""
        return self.graphs is not None


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


SOURCES = Registry(
    "source",
    {
        "emoji": "kgclip_jax.data.sources:EmojiSource",
        "photographs": "kgclip_jax.data.sources:PhotographSource",
        "karpathy": "kgclip_jax.data.sources:KarpathySource",
        "visual_genome": "kgclip_jax.data.sources:VisualGenomeSource",
        "webdataset": "kgclip_jax.data.sources:WebdatasetSource",
        "tfds": "kgclip_jax.data.sources:TfdsSource",
        "array_record": "kgclip_jax.data.sources:ArrayRecordSource",
    },
)

SourceConfig: TypeAlias = EmojiSource | StoredSource


@dataclass(frozen=True)
class Data:
    """Where files lie, and how batches are prepared from them.

    Attributes:
        path: folder that relative folders of sources start from.
        bad_share: give up when a larger share of the records cannot be used.
        workers: processes that prepare batches; 0 prepares them in threads of the main process.
        parser: the spaCy pipeline that the scene graphs of training captions come from; it parses
            held-out texts for a knowledge encoder.
    """

    path: str = "."
    bad_share: float = 0.05
    workers: int = 1
    parser: str = MODEL

    def __post_init__(self) -> None:
        check(self.workers >= 0, "workers must not be negative")
        check(0 <= self.bad_share <= 1, "bad_share must be a share between 0 and 1")
