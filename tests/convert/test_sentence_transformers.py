"""What sentence-transformers, another reader of Hugging Face folders, makes of exports.

It is large, and no requirement of development: pip install "sentence-transformers>=6.2,<7"
"""

import numpy as np
import pytest
from PIL import Image

import kgclip_jax
from kgclip_jax.convert.export import export
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers
from kgclip_jax.models.presets import preset
from tests.convert.small_models import SIDE, make_params, siglip, word_tokenizer

TEXTS = ["a dog", "two cats to the left of a house"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_scores_are_ours(name, tmp_path):
    library = pytest.importorskip("sentence_transformers")
    shape, tokenizers, options = preset("quickstart"), Tokenizers(), {}
    if name == "siglip":  # whose tower sees the padding, which the library leaves out by default
        shape, tokenizers = siglip(), Tokenizers(word_tokenizer(tmp_path))
        options = {"processing_kwargs": {"text": {"padding": "max_length"}}}
    folder = tmp_path / name
    export(make_params(shape), shape, tokenizers, folder, format="huggingface", card=str)
    pixels = np.random.default_rng(3).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    pictures = [Image.fromarray(picture) for picture in pixels]
    theirs, ours = library.SentenceTransformer(str(folder), device="cpu"), kgclip_jax.load(folder)
    embedded = theirs.encode(pictures), theirs.encode(TEXTS, **options)
    found, expected = theirs.similarity(*embedded).numpy(), ours.similarity(pictures, TEXTS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert np.std(expected) > 1e-3
