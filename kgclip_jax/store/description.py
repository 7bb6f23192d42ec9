"""What a checkpoint says of the model inside: enough to load it without the config of its run."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kgclip_jax import schema
from kgclip_jax.data.tokenization.tokenizer_config import (
    ClipBpe,
    TokenizerJson,
    TokenizerSettings,
    make_tokenizer,
)
from kgclip_jax.errors import CheckpointError, ConfigError
from kgclip_jax.models import spec
from kgclip_jax.models.adapters import Lora
from kgclip_jax.models.transformer import Execution

ITEMS = "items"
"""Key of a description under which a checkpoint names the trees that it holds."""


@dataclass(frozen=True)
class Description:
    """A model in a checkpoint.

    Attributes:
        model: its architecture and preprocessing.
        tokenizer: of its texts, with the file that it was opened from.
        tokenizer_fingerprint: of that tokenizer.
        adapters: by tower; the model's own parameters do not contain them.
        element_tokenizer: of the word pieces that its knowledge encoder reads, if it reads them.
        element_tokenizer_fingerprint: of that tokenizer.
        parser: the spaCy pipeline for the texts that its knowledge encoder reads, if it has one.
        execution: how it was computed.
    """

    model: spec.DualEncoder
    tokenizer: ClipBpe | TokenizerJson
    tokenizer_fingerprint: str
    adapters: dict[str, Lora] = field(default_factory=dict)
    element_tokenizer: TokenizerJson | None = None
    element_tokenizer_fingerprint: str | None = None
    parser: str | None = None
    execution: Execution = field(default_factory=Execution)


def describe(
    model: spec.DualEncoder,
    tokenizer: TokenizerSettings,
    *,
    element_tokenizer: TokenizerJson | None = None,
    parser: str | None = None,
    adapters: Mapping[str, Lora] | None = None,
    execution: Execution | None = None,
) -> dict[str, Any]:
    """Return a `Description` as nested dicts. Raises UserError for a tokenizer without its file.

    What a model without a knowledge encoder does not use, word pieces and parser, is left out.
    """
    fingerprint, pieces = fingerprints(model, tokenizer, element_tokenizer)
    description = Description(
        model=model,
        tokenizer=tokenizer,
        tokenizer_fingerprint=fingerprint,
        adapters=dict(adapters or {}),
        element_tokenizer=None if model.knowledge is None else element_tokenizer,
        element_tokenizer_fingerprint=pieces,
        parser=None if model.knowledge is None else parser,
        execution=execution or Execution(),
    )
    return schema.to_dict(description)


def fingerprints(
    model: spec.DualEncoder, tokenizer: TokenizerSettings, elements: TokenizerSettings | None
) -> tuple[str, str | None]:
    """Return the fingerprints of a model's tokenizers of texts and of word pieces."""
    text = make_tokenizer(tokenizer, model.text.context_length).fingerprint
    if elements is None or model.knowledge is None:
        return text, None
    return text, make_tokenizer(elements, model.knowledge.element_length).fingerprint


def read_description(saved: Mapping[str, Any], where: str) -> Description:
    """Parse what `describe` returned; what is younger than the checkpoint had its default.

    Args:
        saved: may say more.
        where: names the checkpoint in messages.

    Raises:
        CheckpointError: it is of a version that this one does not understand.
    """
    names = {entry.name for entry in dataclasses.fields(Description)}
    known = {name: value for name, value in saved.items() if name in names}
    try:
        return schema.parse(Description, known, path="description")
    except ConfigError as error:
        raise CheckpointError(f"{where} holds a model of another version: {error}") from error


def check_same(where: str, saved: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of another model, or of whatever else is described.

    Tokenizers may lie elsewhere: their fingerprints tell. How a model is computed may change.

    Args:
        where: names the checkpoint in messages.
        saved: its description: `describe`, with or without more.
        new: the same of what should read it.

    Raises:
        CheckpointError: with a line for each difference.
    """
    both = _comparable(saved, where), _comparable(new, where)
    lines = [
        f"  {key}: {old!r} in the checkpoint, {now!r} here"
        for key, old, now in schema.differences(*both)
    ]
    if lines:
        raise CheckpointError(f"{where} holds another model:\n" + "\n".join(lines))


def _comparable(description: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What must be the same, completed by the defaults of what is not said."""
    values = {**description, **schema.to_dict(read_description(description, where))}
    have_fingerprints = ("tokenizer", "element_tokenizer")
    may_differ = (ITEMS, "execution", *have_fingerprints)
    return {key: value for key, value in values.items() if key not in may_differ}
