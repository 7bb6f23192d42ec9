"""Where a tokenizer meets a tower."""

from dataclasses import replace

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, processors

from kgclip_jax.data.tokenization.tokenizer_config import TokenizerJson, Tokenizers
from kgclip_jax.errors import ConfigError
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models.presets import preset


def of_words(folder, words, pad):
    """A tokenizer of whole words that ends every text with "END"."""
    tokenizer = tokenizers.Tokenizer(
        models.WordLevel(dict(zip(words, range(9), strict=False)), "?")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    end = words.index("END")
    tokenizer.post_processor = processors.TemplateProcessing(
        "$A END", special_tokens=[("END", end)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return Tokenizers(TokenizerJson("json", str(folder / "tokenizer.json"), words.index(pad)))


@pytest.mark.parametrize(
    ("words", "pad"), [(["?", "dog", "END", "PAD"], "PAD"), (["PAD", "?", "END", "dog"], "PAD")]
)
def test_arg_max_pooling_needs_an_end_of_text_above_all_else(tmp_path, words, pad):
    text = replace(preset("tiny").text, pooling="argmax", eos_id=2)
    shape = replace(preset("tiny"), text=text)
    with pytest.raises(ConfigError, match="ends texts with 2 and has ids up to 3"):
        preprocessing_for(shape, of_words(tmp_path, words, pad))
    by_end = replace(shape, text=replace(text, pooling="eos"))
    assert preprocessing_for(by_end, of_words(tmp_path, words, pad)).tokenizer.end_id == 2
    preprocessing_for(shape, of_words(tmp_path, ["PAD", "?", "dog", "END"], "PAD"))
    preprocessing_for(shape, Tokenizers())
