"""From the settings of an experiment to its sources and held-out sets."""

import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from kgclip_jax.data.classification import classification_set
from kgclip_jax.data.emoji.evaluation import evaluation_sets as emoji_sets
from kgclip_jax.data.emoji.source import EmojiScenes
from kgclip_jax.data.evaluation_config import ClassificationFolder, HeldOut
from kgclip_jax.data.evaluation_sets import EvaluationSet
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.photographs import Photographs, retrieval_set
from kgclip_jax.data.readers import open_records
from kgclip_jax.data.settings import Data, EmojiSource
from kgclip_jax.data.suites import composition_set
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.graph_store import GraphStore
from kgclip_jax.knowledge.parsing.parser import installed_version
from kgclip_jax.models.spec import Vision
from kgclip_jax.types import Source

_logger = logging.getLogger(__name__)


def training_sources(data: Data, image_size: int) -> list[Source]:
    """Open the sources of training pairs, in the order of the settings.

    Raises:
        DataError: when one of them is missing or malformed, or has too many bad records.
        ConfigError: when scene graphs come from another pipeline than `data.parser`, or are those
            of pictures instead of captions, or the other way round.
    """
    sources: list[Source] = []
    for settings in data.sources.values():
        if isinstance(settings, EmojiSource):
            sources.append(EmojiScenes(settings.world, image_size))
        else:
            records = open_records(settings, Path(data.path), bad_share=data.bad_share)
            graphs = scene_graphs = None
            if settings.graphs is not None:
                graphs = _open_graphs(Path(data.path) / settings.graphs, data.parser)
            if settings.scene_graphs is not None:
                scene_graphs = _open_store(Path(data.path) / settings.scene_graphs, "pictures")
            sources.append(
                Photographs(
                    records,
                    size=image_size,
                    scale=settings.crop_scale,
                    graphs=graphs,
                    scene_graphs=scene_graphs,
                )
            )
    return sources


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
    if model is None or version is None:
        _logger.warning(
            "%s names no parser that its graphs come from; held-out texts are parsed by %s, which "
            "may find others",
            folder,
            here or parser,
        )
    elif here is not None and here != version:
        _logger.warning(
            "%s: the graphs come from the parser %r; held-out texts are parsed by %r, which may "
            "find others",
            folder,
            version,
            here,
        )
    return store


def evaluation_sets(
    data: Data,
    vision: Vision,
    others: Mapping[str, HeldOut] = MappingProxyType({}),
) -> list[EvaluationSet]:
    """List the held-out sets of all sources and those beside them; no picture is read yet.

    Raises:
        DataError: when one of them is missing or malformed, or has too many bad records.
    """
    transform = EvaluationTransform(vision.image_size, vision.resize, vision.interpolation)
    sets: list[EvaluationSet] = []
    for settings in data.sources.values():
        if isinstance(settings, EmojiSource):
            if settings.evaluation_items:
                sets.extend(emoji_sets(settings.world, transform.size, settings.evaluation_items))
        elif (held_out := settings.held_out()) is not None:
            records = open_records(held_out, Path(data.path), bad_share=data.bad_share)
            sets.append(retrieval_set(records, transform, bad_share=data.bad_share))
    for name, other in others.items():
        if isinstance(other, ClassificationFolder):
            sets.append(classification_set(other, data.path, name=name, transform=transform))
        else:
            sets.append(composition_set(other, data.path, name=name, transform=transform))
    return sets
