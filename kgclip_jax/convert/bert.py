"""BERT's embeddings and first layers, as a start for the knowledge encoder.

Structure-CLIP starts its encoder from `bert-base-uncased`. This goes one way only: what the encoder
becomes is no BERT any more.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from kgclip_jax import schema
from kgclip_jax.convert import huggingface
from kgclip_jax.convert.families import WEIGHT_FILES
from kgclip_jax.convert.foreign_config import known, reading
from kgclip_jax.convert.names import listing
from kgclip_jax.convert.rules import (
    Rule,
    Weights,
    fused,
    linear,
    norm,
    parameter_shapes,
    ruled,
    same,
    to_ours,
)
from kgclip_jax.convert.tokenizer_files import TOKENIZER_JSON
from kgclip_jax.convert.tokenizer_json import token_ids
from kgclip_jax.convert.weights import Lazy, read_weights
from kgclip_jax.data.tokenization.json_tokenizer import read_tokenizer_json
from kgclip_jax.data.tokenization.tokenizer_config import TokenizerJson
from kgclip_jax.errors import ConversionError
from kgclip_jax.files import read_json_object, read_text
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Params

PREFIX = "bert."
"""Of BERT's own weights where a head for some task stands beside it."""

VOCABULARY = "vocab.txt"
"""Word pieces line by line, where there is no tokenizer.json."""

_LAYER = re.compile(r"encoder\.layer\.(\d+)\.")


@dataclass(frozen=True)
class Config(huggingface.Blocks):
    """`config.json`. Attributes: as in transformers."""

    model_type: Literal["bert"] = "bert"
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_attention_heads: int = 12
    hidden_act: Literal["quick_gelu", "gelu", "gelu_pytorch_tanh"] = "gelu"
    layer_norm_eps: float = 1e-12
    vocab_size: int = 30522
    max_position_embeddings: int = 512
    position_embedding_type: Literal["absolute"] = "absolute"
    is_decoder: Literal[False] = False


def open_bert(
    folder: str | Path, shape: spec.DualEncoder, tokenizer: TokenizerJson
) -> Callable[[], Params]:
    """Check that a knowledge encoder can start from a BERT; return what reads its parameters.

    Args:
        folder: with the `config.json` and the weights of a Hugging Face BERT, with or without a
            head.
        shape: an architecture whose knowledge encoder reads word pieces.
        tokenizer: of these.

    Returns:
        A function that returns the nested parameters below "knowledge": all but "projection".

    Raises:
        ConversionError: there is no BERT in `folder`, or one of other dimensions, with a line for
            each of them, of too few layers, or with other word pieces. Reading raises it too,
            naming the weights that are missing, unused or of another shape.
        DataError: a tokenizer cannot be read.
    """
    folder = Path(folder).expanduser()
    _check_same(folder, _read_config(folder), shape)
    _check_same_pieces(folder, tokenizer)
    names = [name for kind in WEIGHT_FILES["huggingface"] for name in kind]
    file = next((folder / name for name in names if (folder / name).is_file()), None)
    if file is None:
        raise ConversionError(
            f"{folder} has no weights; one of these is needed: {', '.join(names)}"
        )

    def read() -> Params:
        try:
            return _convert(read_weights(file), shape)
        except ConversionError as error:
            raise ConversionError(f"{file} does not hold the BERT described:\n{error}") from error

    return read


def _read_config(folder: Path) -> Config:
    file = folder / huggingface.FILE
    if not file.is_file():
        raise ConversionError(
            f"config.knowledge_init_from: {folder} is no folder of a BERT; {file} is missing. One "
            "on the Hugging Face hub must be downloaded first: hf download NAME --local-dir=FOLDER"
        )
    with reading(str(file)):
        return schema.parse(Config, known(Config, read_json_object(file, ConversionError)))


def _check_same(folder: Path, config: Config, shape: spec.DualEncoder) -> None:
    """Raise ConversionError unless the encoder is made of such layers and such word pieces."""
    knowledge = _encoder(shape)
    depth = knowledge.transformer.depth
    if config.num_hidden_layers < depth:
        raise ConversionError(
            f"{folder} has {config.num_hidden_layers} layers, fewer than "
            f"config.model.knowledge.transformer.depth {depth}"
        )
    if config.max_position_embeddings < knowledge.element_length:
        raise ConversionError(
            f"{folder} has {config.max_position_embeddings} positions, fewer than "
            f"config.model.knowledge.element_length {knowledge.element_length}"
        )
    found = dataclasses.replace(
        knowledge,
        transformer=dataclasses.replace(config.transformer(), depth=depth),
        vocabulary=config.vocab_size,
    )
    if lines := [
        f"  {key}: {own!r} -> {wanted!r}"
        for key, own, wanted in schema.differences(schema.to_dict(found), schema.to_dict(knowledge))
    ]:
        raise ConversionError(
            f"{folder} is another BERT than config.model.knowledge (its own -> "
            "config.model.knowledge):\n"
            + "\n".join(lines)
            + "\nset config.model.knowledge.KEY to BERT's own value"
        )


def _check_same_pieces(folder: Path, tokenizer: TokenizerJson) -> None:
    """Raise ConversionError for other ids than BERT's, as far as its folder tells them."""
    json, lines = folder / TOKENIZER_JSON, folder / VOCABULARY
    if json.is_file():
        own = token_ids(read_tokenizer_json(json))
    elif lines.is_file():
        pieces = read_text(lines, ConversionError).removesuffix("\n").split("\n")
        own = {piece: number for number, piece in enumerate(pieces)}
    else:
        return
    if own != token_ids(read_tokenizer_json(tokenizer.file)):
        raise ConversionError(
            f"{folder} has other word pieces than config.element_tokenizer.file {tokenizer.file}"
        )


def _encoder(shape: spec.DualEncoder) -> spec.KnowledgeEncoder:
    if shape.knowledge is None or shape.knowledge.elements != "wordpiece":
        raise ValueError("the architecture has no knowledge encoder that reads word pieces")
    return shape.knowledge


def rules(heads: int) -> tuple[Rule, ...]:
    """The table of weights."""
    ours, theirs = "knowledge/blocks", "encoder.layer.{layer}"
    return (
        same("knowledge/pieces/embedding", "embeddings.word_embeddings.weight"),
        same("knowledge/pieces/positions", "embeddings.position_embeddings.weight"),
        same("knowledge/pieces/token_type", "embeddings.token_type_embeddings.weight"),
        *norm("knowledge/pieces/norm", "embeddings.LayerNorm"),
        *fused(
            f"{ours}/attention/qkv",
            [f"{theirs}.attention.self.{part}" for part in ("query", "key", "value")],
            heads,
        ),
        *linear(f"{ours}/attention/out", f"{theirs}.attention.output.dense"),
        *norm(f"{ours}/norm1", f"{theirs}.attention.output.LayerNorm"),
        *linear(f"{ours}/mlp/up", f"{theirs}.intermediate.dense"),
        *linear(f"{ours}/mlp/down", f"{theirs}.output.dense"),
        *norm(f"{ours}/norm2", f"{theirs}.output.LayerNorm"),
    )


def _convert(weights: Weights, shape: spec.DualEncoder) -> Params:
    """Convert the embeddings and the first layers; all else of a BERT is left out."""
    knowledge = _encoder(shape)
    wanted = list(_wanted(weights, knowledge.transformer.depth))
    names = dict(wanted)
    if len(names) < len(wanted):
        twice = {own for _, own in wanted} - {*names.values()}
        raise ConversionError(f"weights that are there under two names:\n{listing(twice)}")

    def read(name: str) -> np.ndarray:
        array = weights[names[name]]
        match name:
            case "embeddings.position_embeddings.weight":
                return array[: knowledge.element_length]
            case "embeddings.token_type_embeddings.weight":
                return array[0]  # every token of an element is of the first of BERT's two types
            case _:
                return array

    table = rules(knowledge.transformer.heads)
    lazy = Lazy(iter(names), read)
    others = parameter_shapes(shape).keys() - ruled(table)
    return to_ours(table, lazy, shape, elsewhere=others)["knowledge"]


def _wanted(weights: Weights, depth: int) -> Iterator[tuple[str, str]]:
    """Yield the name in the table, and the own name, of each weight that the encoder may need.

    Left out are heads, the pooler, layers above the first ones, and the buffer that counts
    positions. Files of old, TensorFlow's above all, call the parts of a norm gamma and beta.
    """
    prefix = PREFIX if any(name.startswith(PREFIX) for name in weights) else ""
    for own in weights:
        name = own.removeprefix(prefix)
        name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
        name = re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)
        layer = _LAYER.match(name)
        beyond = layer is not None and int(layer[1]) >= depth
        head = not own.startswith(prefix) or name.startswith("pooler.")
        if not (beyond or head or name == "embeddings.position_ids"):
            yield name, own
