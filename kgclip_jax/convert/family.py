"""What a family of foreign models is, and how two descriptions of a model are compared."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from kgclip_jax import schema
from kgclip_jax.convert.rules import Rules
from kgclip_jax.errors import ConversionError
from kgclip_jax.models import spec

Format = Literal["huggingface", "open_clip", "openai"]
Files = Mapping[str, Mapping[str, Any]]  # JSON objects by file name


def _unchanged(name: str) -> str:
    return name


class Family(NamedTuple):
    """Foreign models of one layout: their descriptions and weights, read and written.

    Attributes:
        name: of the family.
        format: the library that it belongs to; some have several families.
        recognises: whether these JSON files describe a model of this family.
        describe: from JSON files by name ("config.json") to the architecture. Raises
            ConversionError for settings that cannot be had here.
        files: from the architecture to JSON files by name; inverse of `describe`. Raises
            ConversionError with a line for each property that the format cannot hold.
        rules: the table of weights for an architecture.
        ignorable: names of weights that may be there and mean nothing.
        canonical: another spelling of a weight's name -> the table's spelling.
    """

    name: str
    format: Format
    recognises: Callable[[Files], bool]
    describe: Callable[[Files], spec.DualEncoder]
    files: Callable[[spec.DualEncoder], Files]
    rules: Callable[[spec.DualEncoder], Rules]
    ignorable: frozenset[str] = frozenset()
    canonical: Callable[[str], str] = _unchanged


def canonical(shape: spec.DualEncoder) -> spec.DualEncoder:
    """Return the one description of all those that mean the same function of the same parameters.

    The highest id of a text is its end of text if the end of text is the highest id of all.
    """
    text = shape.text
    if text.pooling == "argmax" and text.eos_id == text.vocabulary - 1:
        text = dataclasses.replace(text, pooling="eos")
    return dataclasses.replace(shape, text=text)


def differences(source: spec.DualEncoder, wanted: spec.DualEncoder) -> list[str]:
    """Say line by line in which properties two models differ; empty when weights are exchangeable.

    What only a fresh start of training uses, initial values and the limit of the logit scale, is
    not compared.
    """
    return [
        f"  {key}: {old!r} -> {new!r}"
        for key, old, new in schema.differences(_comparable(source), _comparable(wanted))
    ]


def _comparable(shape: spec.DualEncoder) -> dict[str, Any]:
    values = schema.to_dict(canonical(shape))
    del values["logit_scale"], values["max_logit_scale"], values["initial_values"]
    values["logit_bias"] = shape.logit_bias is not None
    if values["text"]["pooling"] != "eos":
        del values["text"]["eos_id"]  # the tower does not look for it
    return values


def refuse_what_is_lost(format_name: str, shape: spec.DualEncoder, held: spec.DualEncoder) -> None:
    """Raise ConversionError unless a format holds the towers of an architecture.

    A logit bias may be lost: it is a parameter, and converting reports those that have no place. So
    may a knowledge encoder, which no format knows: exports have it beside the towers.

    `held` is what is read back from what was written.
    """
    shape = dataclasses.replace(shape, knowledge=None)
    if held.logit_bias is None:
        shape = dataclasses.replace(shape, logit_bias=None)
    if lost := differences(shape, held):
        raise ConversionError(
            f"{format_name} cannot hold this model (property: the model's -> the nearest that it "
            "can hold):\n" + "\n".join(lost)
        )
