"""Sources of stored pictures: what all kinds of them have in common, and how they are opened."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from kgclip_jax.cache import NO_CACHE, Cache
from kgclip_jax.data.evaluation_sets import EvaluationSet
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.photographs import Photographs, retrieval_set
from kgclip_jax.data.records import Records
from kgclip_jax.data.structured_captions import structured_captions
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.graph_store import GraphStore
from kgclip_jax.knowledge.parsing.parser import MODEL, installed_version
from kgclip_jax.ranges import NonNegativeInt, PositiveFloat, Range, Share
from kgclip_jax.schema import LocalPath, check

CropShare = Annotated[float, Range(0, 1, open_low=True)]

_logger = logging.getLogger(__name__)


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

    path: LocalPath = "."
    bad_share: Share = 0.05
    workers: NonNegativeInt = 1
    parser: str = MODEL


@dataclass(frozen=True, kw_only=True)
class StoredPictures:
    """What all sources of pictures on disk have in common.

    Attributes:
        part: the setting that says which part is trained on; `evaluation_...` of the same name says
            which is evaluated. None where there are no parts.
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
        structured: train on the captions alone of which Structure-CLIP makes a negative, and on
            their pictures; see `kgclip_jax.data.structured_captions`.
    """

    part: ClassVar[str | None] = None

    kind: str
    folder: LocalPath = "."
    crop_scale: tuple[CropShare, CropShare] = (0.9, 1.0)
    weight: PositiveFloat = 1.0
    graphs: LocalPath | None = None
    scene_graphs: LocalPath | None = None
    structured: bool = False

    def __post_init__(self) -> None:
        low, high = self.crop_scale
        check(low <= high, "crop_scale must ascend")
        check(self.graphs is not None or not self.structured, "structured needs graphs")

    @property
    def knows_graphs(self) -> bool:
        """Whether the scene graphs of captions are known."""
        return self.graphs is not None

    def records(self, root: Path, *, bad_share: float = 0.05) -> Records:
        """Open the part of the source that is trained on.

        Relative folders start from `root`. What can be seen without opening the pictures counts for
        `bad_share`.

        Raises:
            DataError: the source is missing or malformed, or has too many bad records.
        """
        raise NotImplementedError

    def held_out(self) -> "StoredPictures | None":
        """Return the settings of the part to evaluate on, or None."""
        if self.part is None:
            return None
        chosen = getattr(self, f"evaluation_{self.part}")
        return None if chosen is None else replace(self, **{self.part: chosen})

    def open(self, data: Data, image_size: int, cache: Cache = NO_CACHE) -> Photographs:
        """Open the pictures to train on.

        Raises:
            DataError: as `records`.
            ConfigError: scene graphs come from another pipeline than `data.parser`, or are those of
                pictures instead of captions, or the other way round.
        """
        root = Path(data.path)
        graphs = scene_graphs = None
        if self.graphs is not None:
            graphs = _open_graphs(root / self.graphs, data.parser)
        if self.scene_graphs is not None:
            scene_graphs = _open_store(root / self.scene_graphs, "pictures")
        records = self.records(root, bad_share=data.bad_share)
        chosen = None
        if self.structured and graphs is not None:
            chosen = structured_captions(records, graphs, cache)
        return Photographs(
            records,
            size=image_size,
            scale=self.crop_scale,
            graphs=graphs,
            scene_graphs=scene_graphs,
            structured=chosen,
        )

    def held_out_sets(self, data: Data, transform: EvaluationTransform) -> list[EvaluationSet]:
        """Return the retrieval set of the part to evaluate on, if there is one."""
        part = self.held_out()
        if part is None:
            return []
        records = part.records(Path(data.path), bad_share=data.bad_share)
        return [retrieval_set(records, transform, bad_share=data.bad_share)]


def _open_store(folder: Path, of: Literal["captions", "pictures"]) -> GraphStore:
    store = GraphStore(folder)
    if store.contents.of != of:
        raise ConfigError(
            f"{folder} holds scene graphs of {store.contents.of}, not of {of}: a source names "
            "those of captions as its `graphs`, those of pictures as its `scene_graphs`"
        )
    return store


def _open_graphs(folder: Path, parser: str) -> GraphStore:
    """Open a store of graphs, and see that held-out texts would be parsed in the same way.

    Another version of the parser, or a store that names none, is worth a warning.
    """
    store = _open_store(folder, "captions")
    model, version = (store.contents.settings.get(key) for key in ("model", "parser"))
    if model is not None and model != parser:
        raise ConfigError(
            f"{folder}: the graphs come from the spaCy pipeline {model!r}, and config.data.parser "
            f"is {parser!r}; set it to the same"
        )
    here = installed_version(parser)
    unnamed = model is None or version is None
    if unnamed or (here is not None and here != version):
        _logger.warning(
            "%s: the graphs come from %s; held-out texts are parsed by %r, which may find others",
            folder,
            "no parser that is named" if unnamed else f"the parser {version!r}",
            here or parser,
        )
    return store
