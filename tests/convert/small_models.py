"""Small models to export, and tokenizers for them."""

import functools
import math
from dataclasses import replace

import jax
import numpy as np
import tokenizers

from kgclip_jax.data.tokenization.tokenizer_config import TokenizerJson
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.presets import preset

SIDE = 32


def siglip():
    """SigLIP's layout, small."""
    shape, small = preset("SigLIP-B-16"), {"width": 16, "depth": 2, "heads": 2, "mlp_width": 32}
    vision = replace(shape.vision, transformer=replace(shape.vision.transformer, **small))
    text = replace(shape.text, transformer=replace(shape.text.transformer, **small))
    vision = replace(vision, image_size=SIDE)
    return replace(shape, vision=vision, text=replace(text, vocabulary=50), embedding=16)


def word_tokenizer(folder):
    """A tokenizer as SigLIP's: an end of text, which is also the padding."""
    words = ["<unk>", "</s>", "a", "dog", "two", "cats", "to", "the", "left", "of", "x", "house"]
    file = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    )
    file.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    file.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    file.add_special_tokens(["<unk>", "</s>"])
    file.save(str(folder / "words.json"))
    return TokenizerJson("json", str(folder / "words.json"), pad_id=1, clean="canonicalize")


@functools.cache
def make_params(shape, seed=0):
    """Random weights of ordinary size, in numbers that OpenAI's half precision holds."""
    rng = np.random.default_rng(seed)
    middle = {"scale": 1, "logit_scale": math.log(shape.logit_scale)}
    middle["logit_bias"] = shape.logit_bias or 0

    def draw(path, leaf):
        around = middle.get(path[-1].key, 0)
        return np.array(around + 0.1 * rng.standard_normal(leaf.shape), np.float16).astype("f")

    return jax.tree_util.tree_map_with_path(draw, Model(shape).abstract())


def piece_tokenizer(folder):
    """A tokenizer as BERT's: [CLS], word pieces, [SEP], padded with 0."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{x}" for x in letters)]
    vocabulary += ["dog", "sofa", "left", "is", "##ing", "##ed"]
    file = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({x: i for i, x in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    file.normalizer = tokenizers.normalizers.BertNormalizer()
    file.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    file.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    file.add_special_tokens(vocabulary[:4])
    file.save(str(folder / "pieces.json"))
    return TokenizerJson("json", str(folder / "pieces.json"), pad_id=0)
