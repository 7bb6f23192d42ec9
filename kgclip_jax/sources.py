"""From the settings of an experiment to its held-out sets."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from kgclip_jax.data.classification import classification_set
from kgclip_jax.data.emoji.evaluation import evaluation_sets as emoji_sets
from kgclip_jax.data.evaluation_settings import ClassificationFolder, HeldOut
from kgclip_jax.data.photographs import retrieval_set
from kgclip_jax.data.readers.open_records import open_records
from kgclip_jax.data.sources import Data, EmojiSource, SourceConfig
from kgclip_jax.data.suites import composition_set
from kgclip_jax.models.spec import Vision
from kgclip_jax.types import EvaluationSet

def evaluation_sets(
    sources: Iterable[SourceConfig],
    data: Data,
    vision: Vision,
    others: Mapping[str, HeldOut] = MappingProxyType({}),
) -> list[EvaluationSet]:
    """Build the held-out sets of all sources and those beside them, pictures included.

    Raises:
        DataError: when one of them is missing or malformed, or has too many bad records.
    """
    sets: list[EvaluationSet] = []
    for settings in sources:
        if isinstance(settings, EmojiSource):
            if settings.evaluation_items:
                size, items = vision.image_size, settings.evaluation_items
                sets.extend(emoji_sets(settings.world, size, items))
        elif (held_out := settings.held_out()) is not None:
            records = open_records(held_out, Path(data.path), bad_share=data.bad_share)
            sets.append(
                retrieval_set(
                    records,
                    vision.image_size,
                    vision.resize,
                    vision.interpolation,
                    bad_share=data.bad_share,
                )
            )
    return sets + [_held_out_set(name, others[name], data.path, vision) for name in others]


def _held_out_set(name: str, settings: HeldOut, path: str, vision: Vision) -> EvaluationSet:
    size, resize, interpolation = vision.image_size, vision.resize, vision.interpolation
    if isinstance(settings, ClassificationFolder):
        return classification_set(
            settings, path, name=name, size=size, resize=resize, interpolation=interpolation
        )
    return composition_set(
        settings, path, name=name, size=size, resize=resize, interpolation=interpolation
    )
