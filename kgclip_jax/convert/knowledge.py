"""The knowledge encoder in an exported folder: beside what the format of the folder can hold.

PyTorch users get it as a module with its settings and weights; here it is read back from them.
"""

import dataclasses
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from kgclip_jax import schema
from kgclip_jax.convert.foreign_config import reading
from kgclip_jax.convert.rules import Rule, linear, norm, packed, same
from kgclip_jax.convert.tokenizer_json import token_ids
from kgclip_jax.data.tokenization.cleaning import with_normalizers
from kgclip_jax.data.tokenization.json_tokenizer import read_tokenizer_json
from kgclip_jax.data.tokenization.tokenizer_config import (
    TokenizerJson,
    Tokenizers,
    TokenizerSettings,
    make_tokenizer,
)
from kgclip_jax.errors import ConversionError
from kgclip_jax.files import read_json_object, write_json
from kgclip_jax.models import spec

FILE = "knowledge_encoder.json"
MODULE = "knowledge_encoder.py"
TOKENIZER = "element_tokenizer.json"
PREFIX = "knowledge_encoder."
"""Of the names of its weights in the file of what a format cannot hold; torch's names follow."""

EXACT = "exact graphs"
"""Of emoji scenes, which know what is in them: nothing was parsed."""


@dataclass(frozen=True)
class Settings:
    """`knowledge_encoder.json`.

    Attributes:
        encoder: the encoder itself.
        embedding: features of the space that it adds to.
        end_id: the token that ends an element, those behind it do not count; None: all count.
        graphs: where scene graphs come from: `EXACT`, or the spaCy pipeline that parses texts whose
            source brings none.
    """

    encoder: spec.KnowledgeEncoder
    embedding: int
    end_id: int | None
    graphs: str


def describe(shape: spec.DualEncoder, tokenizer: TokenizerSettings, parser: str | None) -> Settings:
    """Describe the knowledge encoder of an architecture that has one.

    `parser` is the spaCy pipeline of its training captions; None for exact graphs.
    """
    knowledge = shape.knowledge
    if knowledge is None:
        raise ValueError("the architecture has no knowledge encoder")
    ends = knowledge.elements == "text"
    return Settings(
        knowledge,
        embedding=shape.embedding,
        end_id=make_tokenizer(tokenizer, knowledge.element_length).end_id if ends else None,
        graphs=EXACT if parser is None else parser,
    )


def rules(shape: spec.DualEncoder) -> tuple[Rule, ...]:
    """The table of its weights: none for an architecture without a knowledge encoder."""
    if shape.knowledge is None:
        return ()
    pieces = (
        same("knowledge/pieces/embedding", f"{PREFIX}table.weight"),
        same("knowledge/pieces/positions", f"{PREFIX}positions"),
        same("knowledge/pieces/token_type", f"{PREFIX}token_type"),
        *norm("knowledge/pieces/norm", f"{PREFIX}norm"),
    )
    ours, theirs = "knowledge/blocks", f"{PREFIX}blocks.layers.{{layer}}"
    heads = shape.knowledge.transformer.heads
    mixed = shape.knowledge.combination == "linear"
    return (
        *(pieces if shape.knowledge.elements == "wordpiece" else ()),
        *(linear("knowledge/combination", f"{PREFIX}combination") if mixed else ()),
        *packed(f"{ours}/attention/qkv", f"{theirs}.self_attn.in_proj_", parts=3, heads=heads),
        *linear(f"{ours}/attention/out", f"{theirs}.self_attn.out_proj"),
        *norm(f"{ours}/norm1", f"{theirs}.norm1"),
        *linear(f"{ours}/mlp/up", f"{theirs}.linear1"),
        *linear(f"{ours}/mlp/down", f"{theirs}.linear2"),
        *norm(f"{ours}/norm2", f"{theirs}.norm2"),
        *linear("knowledge/projection", f"{PREFIX}projection"),
    )


def write(
    folder: Path, shape: spec.DualEncoder, tokenizers: Tokenizers, parser: str | None
) -> None:
    """Write the module, its settings and the tokenizer of word pieces, if the model has them.

    Raises:
        ConversionError: a file cannot hold the tokenizer of word pieces, or there is none.
    """
    knowledge = shape.knowledge
    if knowledge is None:
        return
    write_json(folder / FILE, dataclasses.asdict(describe(shape, tokenizers.text, parser)))
    shutil.copyfile(Path(__file__).parent / "torch_modules" / MODULE, folder / MODULE)
    if knowledge.elements == "wordpiece":
        _write_tokenizer(tokenizers.elements, folder / TOKENIZER, knowledge.element_length)


def read(folder: Path, shape: spec.DualEncoder, extra: Collection[str]) -> spec.DualEncoder:
    """Return an architecture with the knowledge encoder that a folder has beside it, if any.

    `extra` are the names of the weights that the format cannot hold.

    Raises:
        ConversionError: the encoder's settings are there without its weights, or the other way
            round, or they are not understood.
    """
    file = folder / FILE
    has_weights = any(name.startswith(PREFIX) for name in extra)
    if not file.is_file():
        if has_weights:
            raise ConversionError(
                f"{folder} has weights of a knowledge encoder, but no {FILE}; copy that file of "
                "the export as well"
            )
        return shape
    if not has_weights:
        raise ConversionError(
            f"{file} describes a knowledge encoder whose weights are missing; copy the other files "
            f"of the export as well, or remove {FILE} to read the towers alone"
        )
    with reading(str(file)):
        return dataclasses.replace(shape, knowledge=_read_settings(file).encoder)


def _read_settings(file: Path) -> Settings:
    return schema.parse(Settings, read_json_object(file, ConversionError), path="settings")


def read_parser(folder: Path, shape: spec.DualEncoder) -> str | None:
    """Return the pipeline that parsed the captions of a knowledge encoder; None if none did."""
    if shape.knowledge is None:
        return None
    with reading(str(folder / FILE)):
        graphs = _read_settings(folder / FILE).graphs
    return None if graphs == EXACT else graphs


def read_tokenizer(folder: Path, shape: spec.DualEncoder) -> TokenizerJson | None:
    """Return the tokenizer of a knowledge encoder's word pieces; None if it reads none.

    Raises:
        ConversionError: the file is missing, or is not as exports have it.
    """
    if shape.knowledge is None or shape.knowledge.elements != "wordpiece":
        return None
    file = folder / TOKENIZER
    if not file.is_file():
        raise ConversionError(
            f"{folder} has no {TOKENIZER}, with which its knowledge encoder was trained; copy that "
            "file of the export as well"
        )
    padding = read_json_object(file, ConversionError).get("padding")
    if not isinstance(padding, dict) or not isinstance(padding.get("pad_id"), int):
        raise ConversionError(f"{file} has no padding.pad_id, which exports have")
    return TokenizerJson("json", str(file.resolve()), pad_id=padding["pad_id"])


def _write_tokenizer(settings: TokenizerJson | None, file: Path, length: int) -> None:
    """Write a tokenizer.json that cleans, cuts and pads by itself."""
    if settings is None:
        raise ConversionError("the knowledge encoder reads word pieces: export needs its tokenizer")
    if settings.zeroed_id is not None or settings.clean.startswith("open_clip"):
        raise ConversionError(
            f"{settings.file}: a tokenizer.json cannot hold what was done to the elements of "
            f"triples beside it (clean {settings.clean!r}, zeroed_id {settings.zeroed_id})"
        )
    content = read_tokenizer_json(settings.file)
    if settings.clean != "none":
        content = with_normalizers(content, settings.clean)
    names = {token: name for name, token in token_ids(content).items()}
    cut = {"direction": "Right", "max_length": length, "strategy": "LongestFirst", "stride": 0}
    padding = {
        "strategy": {"Fixed": length},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": settings.pad_id,
        "pad_type_id": 0,
        "pad_token": names[settings.pad_id],
    }
    content |= {"truncation": cut, "padding": padding}
    write_json(file, content)
