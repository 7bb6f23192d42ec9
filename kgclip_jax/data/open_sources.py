"""From the settings of a source to its records, pictures and scene graphs."""

import logging
from pathlib import Path
from typing import Literal

from kgclip_jax.data.emoji.source import EmojiScenes
from kgclip_jax.data.photographs import Photographs
from kgclip_jax.data.readers.open_records import open_records
from kgclip_jax.data.sources import Data, EmojiSource, SourceConfig
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.graph_store import GraphStore
from kgclip_jax.knowledge.parsing.parser import installed_version
from kgclip_jax.types import Source

_logger = logging.getLogger(__name__)


def open_source(settings: SourceConfig, data: Data, image_size: int) -> Source:
    """Open a source of training pairs.

    Raises:
        DataError: when it is missing or malformed, or has too many bad records.
        ConfigError: when scene graphs come from another pipeline than `data.parser`, or are those
            of pictures instead of captions, or the other way round.
    """
    if isinstance(settings, EmojiSource):
        return EmojiScenes(settings.world, image_size)
    folder = Path(data.path)
    records = open_records(settings, folder, bad_share=data.bad_share)
    graphs = scene_graphs = None
    if settings.graphs is not None:
        graphs = _open_graphs(folder / settings.graphs, data.parser)
    if settings.scene_graphs is not None:
        scene_graphs = _open_store(folder / settings.scene_graphs, "pictures")
    return Photographs(
        records,
        size=image_size,
        scale=settings.crop_scale,
        graphs=graphs,
        scene_graphs=scene_graphs,
    )


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
