"""The sources of captioned pictures, as a config names them."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol, runtime_checkable

from kgclip_jax.cache import NO_CACHE, Cache
from kgclip_jax.data.emoji.evaluation import evaluation_sets
from kgclip_jax.data.emoji.source import EmojiScenes
from kgclip_jax.data.emoji.world import EmojiWorld
from kgclip_jax.data.evaluation_sets import EvaluationSet
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.readers.array_records import ArrayRecords
from kgclip_jax.data.readers.caption_tables import Columns
from kgclip_jax.data.readers.folders import FolderLayout, open_folder
from kgclip_jax.data.readers.karpathy import open_karpathy
from kgclip_jax.data.readers.tar_samples import TarLayout
from kgclip_jax.data.readers.tfds import TfdsPictures
from kgclip_jax.data.readers.visual_genome import open_regions
from kgclip_jax.data.readers.webdataset import TarPictures
from kgclip_jax.data.records import Records, Source
from kgclip_jax.data.stored_pictures import Data, StoredPictures
from kgclip_jax.ranges import NonNegativeInt, PositiveFloat
from kgclip_jax.schema import LocalPath, Registry, check


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
    weight: PositiveFloat = 1.0
    evaluation_items: NonNegativeInt = 500

    def __post_init__(self) -> None:
        check(self.evaluation_items != 1, "evaluation_items must be 0, or 2 and more")

    @property
    def knows_graphs(self) -> bool:
        """Whether the scene graphs of captions are known: those of drawn scenes always are."""
        return True

    def open(self, data: Data, image_size: int, cache: Cache = NO_CACHE) -> EmojiScenes:
        """Open the scenes; they lie nowhere."""
        return EmojiScenes(self.world, image_size)

    def held_out_sets(self, data: Data, transform: EvaluationTransform) -> list[EvaluationSet]:
        """Return all sets that the world allows."""
        items = self.evaluation_items
        return evaluation_sets(self.world, transform.size, items) if items else []


@dataclass(frozen=True, kw_only=True)
class PhotographSource(StoredPictures):
    """A folder of photographs with captions: a table, COCO json, or a text beside each picture.

    Attributes:
        split: the part to train on, as `splits.json`, the captions files or `file` name it; None
            for all of a folder.
        evaluation_split: the part to evaluate retrieval on, or None.
        file: the file of captions, absolute or relative to `folder`; "{split}" in its name stands
            for the split. None looks for the usual ones, see `data.readers.folders`.
        image_column: of a table; None for the one that has a usual name, as "filepath".
        caption_column: likewise, as "title".
        caption_per_line: whether each line of a text beside a picture is a caption (True), or all
            of it is one (False).
    """

    part: ClassVar = "split"

    kind: Literal["photographs"]
    split: str | None = "train"
    evaluation_split: str | None = None
    file: str | None = None
    image_column: str | None = None
    caption_column: str | None = None
    caption_per_line: bool | None = None

    def records(self, root: Path, *, bad_share: float = 0.05) -> Records:
        """Open the part to train on, see `StoredPictures.records`."""
        columns = Columns(self.image_column, self.caption_column)
        layout = FolderLayout(self.file, columns, self.caption_per_line)
        return open_folder(root / self.folder, self.split, layout, bad_share=bad_share)


@dataclass(frozen=True, kw_only=True)
class KarpathySource(StoredPictures):
    """Pictures with the captions and splits of Karpathy and Fei-Fei.

    Attributes:
        file: the JSON file, absolute or relative to `data.path`; "{split}" in its name stands for
            the split.
        split: the part to train on; "train" takes the pictures of "restval" too.
        evaluation_split: the part to evaluate retrieval on, or None.
    """

    part: ClassVar = "split"

    kind: Literal["karpathy"]
    file: LocalPath
    split: str = "train"
    evaluation_split: str | None = None

    def records(self, root: Path, *, bad_share: float = 0.05) -> Records:
        """Open the part to train on, see `StoredPictures.records`."""
        file, folder = root / self.file, root / self.folder
        return open_karpathy(file, folder, self.split, bad_share=bad_share)


@dataclass(frozen=True, kw_only=True)
class VisualGenomeSource(StoredPictures):
    """The regions of Visual Genome, each cut out of its picture, with the phrase about it."""

    kind: Literal["visual_genome"]

    def records(self, root: Path, *, bad_share: float = 0.05) -> Records:
        """Open the part to train on, see `StoredPictures.records`."""
        return open_regions(root / self.folder, bad_share=bad_share)


@dataclass(frozen=True, kw_only=True)
class WebdatasetSource(StoredPictures):
    """Tar archives of captioned pictures, as img2dataset and webdataset write them.

    Attributes:
        shards: names of the archives to train on: a glob pattern, in which {00000..00099} is a
            range.
        evaluation_shards: names of those to evaluate retrieval on, or None.
        caption_field: of the json files in the archives.
        caption_per_line: whether each line of a .txt is a caption (True), or all of it is one
            (False).
        key_dot: whether the "first" or the "last" dot of a file's name ends the name of its sample.
    """

    part: ClassVar = "shards"

    kind: Literal["webdataset"]
    shards: str = "*.tar"
    evaluation_shards: str | None = None
    caption_field: str = "caption"
    caption_per_line: bool | None = None
    key_dot: Literal["first", "last"] = "first"

    def records(self, root: Path, *, bad_share: float = 0.05) -> Records:
        """Open the part to train on, see `StoredPictures.records`."""
        return TarPictures(
            root / self.folder,
            self.shards,
            layout=TarLayout(self.caption_field, self.key_dot, self.caption_per_line),
            bad_share=bad_share,
        )


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

    part: ClassVar = "split"

    kind: Literal["tfds"]
    dataset: str
    split: str = "train"
    evaluation_split: str | None = None
    image: str = "image"
    captions: str = "captions.text"

    def records(self, root: Path, *, bad_share: float = 0.05) -> Records:
        """Open the part to train on, see `StoredPictures.records`."""
        return TfdsPictures(
            root / self.folder,
            self.dataset,
            self.split,
            image=self.image,
            captions=self.captions,
        )


@dataclass(frozen=True, kw_only=True)
class ArrayRecordSource(StoredPictures):
    """A folder of shards that `launch/prepare.py shards` has written.

    Attributes:
        evaluation_folder: one to evaluate retrieval on, or None.
    """

    part: ClassVar = "folder"

    kind: Literal["array_record"]
    evaluation_folder: LocalPath | None = None

    def records(self, root: Path, *, bad_share: float = 0.05) -> Records:
        """Open the part to train on, see `StoredPictures.records`."""
        return ArrayRecords(root / self.folder)


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


@runtime_checkable
class SourceConfig(Protocol):
    """A frozen dataclass that is a source's entry in a config."""

    @property
    def kind(self) -> str:
        """Its name in `SOURCES`."""
        ...

    @property
    def weight(self) -> float:
        """Share of the training pairs, relative to the other sources."""
        ...

    @property
    def knows_graphs(self) -> bool:
        """Whether the scene graphs of captions are known."""
        ...

    def open(self, data: Data, image_size: int, cache: Cache = NO_CACHE) -> Source:
        """Open the records to train on. Raises UserError where it cannot.

        What takes a pass over all of them is kept in `cache`.
        """
        ...

    def held_out_sets(self, data: Data, transform: EvaluationTransform) -> list[EvaluationSet]:
        """Return what models are evaluated on; no picture is read yet."""
        ...
