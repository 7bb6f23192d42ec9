"""From the settings of an experiment to its held-out sets."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from kgclip_jax.data.classification import classification_set
from kgclip_jax.data.emoji.evaluation import evaluation_sets as emoji_sets
from kgclip_jax.data.evaluation_config import ClassificationFolder, HeldOut
from kgclip_jax.data.evaluation_sets import EvaluationSet
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.photographs import retrieval_set
from kgclip_jax.data.readers.open_records import open_records
from kgclip_jax.data.sources import Data, EmojiSource, SourceConfig
from kgclip_jax.data.suites import composition_set
from kgclip_jax.models.spec import Vision


def evaluation_sets(
    sources: Iterable[SourceConfig],
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
    for settings in sources:
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
