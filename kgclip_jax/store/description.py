"""What a checkpoint says of the model inside: enough to load it without the config of its run."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kgclip_jax import schema
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers, make_tokenizer
from kgclip_jax.errors import CheckpointError, ConfigError
from kgclip_jax.models import spec
from kgclip_jax.models.adapters import Lora
from kgclip_jax.models.heads import Head
from kgclip_jax.models.transformer import Execution

ITEMS = "items"
"""Key of a description under which a checkpoint names the trees that it holds."""


@dataclass(frozen=True)
class Description:
    """A model in a checkpoint.

    Attributes:
        model: its architecture and preprocessing.
        tokenizers: with the files that they were opened from.
        fingerprints: of its tokenizers, see `fingerprints`.
        adapters: by tower; the model's own parameters do not contain them.
        heads: the settings of each, as plain values: a model is read whoever knows its heads.
        parser: the spaCy pipeline for the texts that its knowledge encoder reads, if it has one.
        execution: how it was computed.
    """

    model: spec.DualEncoder
    tokenizers: Tokenizers
    fingerprints: dict[str, str]
    adapters: dict[str, Lora] = field(default_factory=dict)
    heads: dict = field(default_factory=dict)
    parser: str | None = None
    execution: Execution = field(default_factory=Execution)


def describe(
    model: spec.DualEncoder,
    tokenizers: Tokenizers,
    *,
    parser: str | None = None,
    adapters: Mapping[str, Lora] | None = None,
    heads: Mapping[str, Head] | None = None,
    execution: Execution | None = None,
) -> dict[str, Any]:
    """Return a `Description` as nested dicts. Raises UserError for a tokenizer without its file.

    What a model without a knowledge encoder does not use, word pieces and parser, is left out.
    """
    if model.knowledge is None:
        tokenizers, parser = Tokenizers(tokenizers.text), None
    description = Description(
        model=model,
        tokenizers=tokenizers,
        fingerprints=fingerprints(model, tokenizers),
        adapters=dict(adapters or {}),
        heads={name: schema.to_dict(head) for name, head in (heads or {}).items()},
        parser=parser,
        execution=execution or Execution(),
    )
    return schema.to_dict(description)


def fingerprints(model: spec.DualEncoder, tokenizers: Tokenizers) -> dict[str, str]:
    """Return the fingerprints of a model's tokenizers: "text", and "elements" if it has them."""
    made = {"text": make_tokenizer(tokenizers.text, model.text.context_length)}
    if tokenizers.elements is not None and model.knowledge is not None:
        made["elements"] = make_tokenizer(tokenizers.elements, model.knowledge.element_length)
    return {name: tokenizer.fingerprint for name, tokenizer in made.items()}


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
    may_differ = (ITEMS, "execution", "tokenizers")
    return {key: value for key, value in values.items() if key not in may_differ}
