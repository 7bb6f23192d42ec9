"""A model as a folder that Hugging Face transformers, open_clip or OpenAI's CLIP loads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from kgclip_jax.convert import knowledge, openai
from kgclip_jax.convert.exported_files import CARD, OPENAI_FILE, STEMS, check_free
from kgclip_jax.convert.families import FAMILIES
from kgclip_jax.convert.family import Family, Files, Format
from kgclip_jax.convert.pretrained import EXTRA_FILE
from kgclip_jax.convert.rules import to_theirs
from kgclip_jax.convert.tokenizer_files import OPEN_CLIP_CONFIG, TokenizerFiles, write_tokenizer
from kgclip_jax.convert.weights import SHARD_BYTES, write_safetensors
from kgclip_jax.convert.whole_folder import whole_folder
from kgclip_jax.data.tokenization.tokenizer_config import ClipBpe, Tokenizers, TokenizerSettings
from kgclip_jax.errors import ConversionError
from kgclip_jax.files import atomic_file, write_atomically, write_json, writing
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Params
from kgclip_jax.models.vision import sincos2d

# open_clip reads one file alone, however large it is.
_SHARD_BYTES = {"huggingface": SHARD_BYTES, "open_clip": None}


class Contents(NamedTuple):
    """What the folder of a model holds.

    Attributes:
        format: whose libraries read it.
        shape: the architecture.
        parameters: how many numbers the weights are.
        left_out: parameters that the format cannot hold, by path; they are in `EXTRA_FILE`.
        notes: what a user of the tokenizer should know.
    """

    format: Format
    shape: spec.DualEncoder
    parameters: int
    left_out: Sequence[str] = ()
    notes: Sequence[str] = ()


class Exported(NamedTuple):
    """What became of a model.

    Attributes:
        family: kind of model that the folder holds.
        left_out: parameters that the format cannot hold, by path; they are in `EXTRA_FILE`. A
            knowledge encoder's are there too, and no such paths: the folder has a module for them.
    """

    family: str
    left_out: tuple[str, ...]


def export(
    params: Params,
    shape: spec.DualEncoder,
    tokenizers: Tokenizers,
    output: Path,
    *,
    format: Format,
    card: Callable[[Contents], str],
    parser: str | None = None,
    force: bool = False,
) -> Exported:
    """Write a folder, whole or not at all.

    Args:
        params: of `Model(shape)`, float32 arrays on the host, and of any further heads.
        shape: the architecture.
        tokenizers: of the model.
        output: the folder to make.
        format: whose library shall read it.
        card: writes the model card, README.md, of what the folder holds.
        parser: the spaCy pipeline of the training captions, which a knowledge encoder needs to be
            told; None where all scene graphs were exact.
        force: replace an earlier export, see `check_free`.

    Raises:
        ConversionError: the format cannot hold this architecture or tokenizer.
        UserError: `output` exists and may not be replaced, or the disk refuses.
    """
    check = partial(check_free, replace=force)
    check(output)
    params, shape = with_position_table(params, shape)
    family, files = fitting_family(shape, format)
    rules = (*family.rules(shape), *knowledge.rules(shape))
    weights, left_out = to_theirs(rules, params, shape)
    extra = {name: weights.pop(name) for name in [*weights] if name.startswith(knowledge.PREFIX)}
    extra |= left_out
    with whole_folder(output, check) as folder:
        tokenizer_files = _write_tokenizer(tokenizers.text, folder, format, shape)
        _write_settings(files, tokenizer_files.text_cfg, folder)
        if format == "openai":
            _write_pickle(weights | openai.scalars(shape), folder / OPENAI_FILE)
        else:
            write_safetensors(folder, weights, STEMS[format], max_bytes=_SHARD_BYTES[format])
        if extra:
            write_safetensors(folder, extra, Path(EXTRA_FILE).stem, max_bytes=None)
        knowledge.write(folder, shape, tokenizers, parser)
        contents = Contents(
            format=format,
            shape=shape,
            parameters=sum(np.size(leaf) for leaf in jax.tree.leaves(params)),
            left_out=tuple(left_out),
            notes=tokenizer_files.notes,
        )
        write_atomically(folder / CARD, card(contents))
    return Exported(family.name, tuple(left_out))


def fitting_family(shape: spec.DualEncoder, format: Format) -> tuple[Family, Files]:
    """Return the family of a format that holds an architecture, and its JSON files by name.

    Raises:
        ConversionError: none does; it says what stands against the one that comes nearest.
    """
    refusals = []
    for family in FAMILIES:
        if family.format == format:
            try:
                return family, family.files(shape)
            except ConversionError as refusal:
                refusals.append(refusal)
    raise min(refusals, key=lambda refusal: len(str(refusal).splitlines()))


def with_position_table(params: Params, shape: spec.DualEncoder) -> tuple[Params, spec.DualEncoder]:
    """Turn fixed sine-cosine positions into a table like a learned one; no format knows the former.

    The class token's row is zero. Models with learned positions are returned as they are.
    """
    if shape.vision.positions == "learned":
        return params, shape
    waves = sincos2d(shape.vision.grid, shape.vision.transformer.width)
    table = np.pad(waves, ((int(shape.vision.class_token), 0), (0, 0)))
    vision = replace(shape.vision, positions="learned")
    params = params | {"vision": params["vision"] | {"positions": table}}
    return params, replace(shape, vision=vision)


def _write_tokenizer(
    tokenizer: TokenizerSettings, folder: Path, format: Format, shape: spec.DualEncoder
) -> TokenizerFiles:
    if format == "openai":
        if not isinstance(tokenizer, ClipBpe):
            raise ConversionError("OpenAI's format has CLIP's tokenizer; choose another --format")
        return TokenizerFiles({}, ())
    if format == "huggingface" and isinstance(tokenizer, ClipBpe) and not shape.text.causal:
        raise ConversionError(
            "a bidirectional text tower sees the padding, and transformers' CLIPTokenizer has "
            "another one than training had; choose --format=open_clip"
        )
    return write_tokenizer(tokenizer, folder, format, shape.text.context_length)


def _write_settings(files: Files, text_cfg: Mapping[str, Any], folder: Path) -> None:
    """Write the JSON files; the tokenizer's settings stand among open_clip's of the text tower."""
    for name, values in files.items():
        if text_cfg and name == OPEN_CLIP_CONFIG:
            model = values["model_cfg"]
            text = model["text_cfg"] | text_cfg
            values = {**values, "model_cfg": model | {"text_cfg": text}}
        write_json(folder / name, values)


def _write_pickle(weights: Mapping[str, np.ndarray], path: Path) -> None:
    """Write a state dict as OpenAI's loader takes it."""
    try:
        import torch
    except ImportError as error:
        raise ConversionError(
            "OpenAI's format is a file of torch's: pip install torch, or choose another --format"
        ) from error
    tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
    with atomic_file(path) as temporary, writing(path, RuntimeError):  # as torch calls a full disk
        torch.save(tensors, temporary)
