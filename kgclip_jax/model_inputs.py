"""How a model wants its inputs, from its architecture and its tokenizers."""

from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.tokenization.tokenizer_config import (
    Tokenizer,
    Tokenizers,
    make_tokenizer,
)
from kgclip_jax.data.tokenization.triple_tokenizer import triple_tokenizer
from kgclip_jax.errors import ConfigError
from kgclip_jax.models import spec


def preprocessing_for(shape: spec.DualEncoder, tokenizers: Tokenizers) -> Preprocessing:
    """Make the preprocessing of a model.

    Args:
        shape: its architecture.
        tokenizers: its tokenizers.

    Raises:
        ConfigError: a tower cannot read what a tokenizer writes.
        DataError: the file of a tokenizer cannot be read.
    """
    tokenizer = make_tokenizer(tokenizers.text, shape.text.context_length)
    _check_tokenizer(shape.text, tokenizer)
    return Preprocessing(
        image_size=shape.vision.image_size,
        tokenizer=tokenizer,
        causal=shape.text.causal,
        triples=triple_tokenizer(shape.knowledge, tokenizers),
        resize=shape.vision.resize,
        interpolation=shape.vision.interpolation,
    )


def _check_tokenizer(text: spec.Text, tokenizer: Tokenizer) -> None:
    if text.vocabulary < tokenizer.vocabulary_size:
        raise ConfigError(
            f"config.model.text.vocabulary {text.vocabulary} is smaller than the tokenizer's "
            f"{tokenizer.vocabulary_size}"
        )
    if text.pooling == "eos" and text.eos_id != tokenizer.end_id:
        raise ConfigError(
            f"config.model.text.eos_id {text.eos_id} is not the tokenizer's {tokenizer.end_id}"
        )
    highest = tokenizer.vocabulary_size - 1
    if text.pooling == "argmax" and tokenizer.end_id != highest:
        raise ConfigError(
            "config.model.text.pooling 'argmax' reads a text at its highest token id, but this "
            f"tokenizer ends texts with {tokenizer.end_id} and has ids up to {highest}: a word or "
            "the padding would be read; 'eos' with config.model.text.eos_id reads the end"
        )
