"""Streams of a run that is only planned: of what lies here, and of what lies elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kgclip_jax.batch import Pairs
from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.stored_pictures import Data, StoredPictures
from kgclip_jax.data.streams.caption_stream import abstract_pairs
from kgclip_jax.data.streams.captions_config import CaptionsConfig
from kgclip_jax.data.streams.stream import StreamConfig, StreamOpening, StreamShape
from kgclip_jax.data.text_slots import TextSlots, one_slot
from kgclip_jax.errors import ConfigError


class PlannedCaptions:
    """Captioned pictures that are not here: their settings say what a batch looks like.

    Texts have the slots of `config.streams.NAME.text_slots`, where it names some, else the context
    length: lengths of captions would be found in the data.
    """

    refusals: Mapping[str, str] = {}

    def __init__(self, name: str, settings: CaptionsConfig, reading: Preprocessing) -> None:
        self.name = name
        self.rows = settings.rows
        longest = reading.tokenizer.context_length
        given = settings.text_slots
        slots = given if isinstance(given, TextSlots) else one_slot(settings.rows, longest)
        self.unit = slots.unit
        count = 0 if settings.negatives is None else settings.negatives.count
        self._pairs = abstract_pairs(self.rows, slots, reading, negatives=count)
        lengths = " and ".join(map(str, slots.lengths))
        self.notes = [f"its data is not here: planned with texts of {lengths} tokens"]

    def abstract(self) -> Pairs:
        """Return the blocks of a whole step without their values."""
        return self._pairs

    def constants(self) -> dict[str, Any]:
        """Return nothing: all is in the rows."""
        return {}


def planned_streams(
    settings: Mapping[str, StreamConfig], opening: StreamOpening
) -> dict[str, StreamShape]:
    """Open the streams of a run; captioned pictures in folders that are not here are planned.

    Raises:
        ConfigError: these have side tables, whose files alone tell how wide they are.
        DataError: what another stream is made of is not here.
    """
    return {
        name: _planned(name, stream, opening)
        if isinstance(stream, CaptionsConfig) and _is_elsewhere(stream, opening.data)
        else stream.open(name, opening)
        for name, stream in settings.items()
    }


def _is_elsewhere(settings: CaptionsConfig, data: Data) -> bool:
    return any(
        isinstance(source, StoredPictures) and not Path(data.path, source.folder).exists()
        for source in settings.sources.values()
    )


def _planned(name: str, settings: CaptionsConfig, opening: StreamOpening) -> PlannedCaptions:
    if settings.tables:
        raise ConfigError(
            f"config.streams.{name}.tables: the pictures of this stream are not here, and how wide "
            "a table is stands in its files"
        )
    return PlannedCaptions(name, settings, opening.preprocessing)
