"""From the settings of a source to its records."""

from pathlib import Path

from kgclip_jax.data.readers.array_records import ArrayRecords
from kgclip_jax.data.readers.folders import open_folder
from kgclip_jax.data.readers.karpathy import open_karpathy
from kgclip_jax.data.readers.tfds import TfdsPictures
from kgclip_jax.data.readers.visual_genome import open_regions
from kgclip_jax.data.readers.webdataset import TarPictures
from kgclip_jax.data.records import Records
from kgclip_jax.data.settings import (
    ArrayRecordSource,
    KarpathySource,
    PhotographSource,
    StoredSource,
    TfdsSource,
    VisualGenomeSource,
    WebdatasetSource,
)


def open_records(settings: StoredSource, root: Path, *, bad_share: float = 0.05) -> Records:
    """Open the part of a source that is trained on.

    Args:
        settings: see `kgclip_jax.data.settings`; `settings.held_out()` gives those of the other
            part.
        root: folder that relative folders of the settings start from.
        bad_share: give up when a larger share of the records cannot be used, as far as that can be
            seen without opening the pictures.

    Raises:
        DataError: the source is missing or malformed, or has too many bad records.
    """
    folder = root / settings.folder
    match settings:
        case PhotographSource():
            return open_folder(folder, settings.split, bad_share=bad_share)
        case KarpathySource():
            file = root / settings.file
            return open_karpathy(file, folder, settings.split, bad_share=bad_share)
        case VisualGenomeSource():
            return open_regions(folder, bad_share=bad_share)
        case WebdatasetSource():
            field = settings.caption_field
            return TarPictures(folder, settings.shards, caption_field=field, bad_share=bad_share)
        case TfdsSource():
            image, captions = settings.image, settings.captions
            dataset, split = settings.dataset, settings.split
            return TfdsPictures(folder, dataset, split, image=image, captions=captions)
        case ArrayRecordSource():
            return ArrayRecords(folder)
