"""From the settings of an experiment to its sources and held-out sets."""

from pathlib import Path

from kgclip_jax import config
from kgclip_jax.data.emoji.evaluation import evaluation_sets as emoji_sets
from kgclip_jax.data.emoji.source import EmojiScenes
from kgclip_jax.data.photographs import Photographs, retrieval_set
from kgclip_jax.models.spec import Vision
from kgclip_jax.types import EvaluationSet, Source


def training_sources(data: config.Data, image_size: int) -> list[Source]:
    """Open the sources of training pairs, in the order of the settings.

    Raises:
        DataError: when one of them is missing or malformed, or has too many bad records.
    """
    sources: list[Source] = []
    for settings in data.sources.values():
        match settings:
            case config.EmojiSource():
                sources.append(EmojiScenes(settings.world, image_size))
            case config.PhotographSource():
                sources.append(_photographs(data, settings, settings.split, image_size))
    return sources


def evaluation_sets(data: config.Data, vision: Vision) -> list[EvaluationSet]:
    """Build the held-out sets of all sources, pictures included."""
    sets: list[EvaluationSet] = []
    for settings in data.sources.values():
        match settings:
            case config.EmojiSource():
                if settings.evaluation_items:
                    size, items = vision.image_size, settings.evaluation_items
                    sets.extend(emoji_sets(settings.world, size, items))
            case config.PhotographSource():
                split = settings.evaluation_split
                if split is not None:
                    photographs = _photographs(data, settings, split, vision.image_size)
                    sets.append(retrieval_set(photographs, vision.resize))
    return sets


def _photographs(
    data: config.Data, settings: config.PhotographSource, split: str, size: int
) -> Photographs:
    return Photographs(
        Path(data.path) / settings.folder,
        split,
        size=size,
        scale=settings.crop_scale,
        bad_share=data.bad_share,
    )
