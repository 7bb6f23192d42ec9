"""A run with a knowledge encoder of word pieces: trained, moved, loaded, and continued."""

import shutil

import numpy as np
import pytest
import tokenizers

import kgclip_jax
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.triples import from_triples
from kgclip_jax.store.workdir import Workdir

CONFIG = """
import runpy

from ml_collections import ConfigDict



def get_config():
    values = runpy.run_path("configs/quickstart.py")["get_config"]("structure").to_dict()
    values["init_from"] = None
    values["model"]["knowledge"] = dict(
        transformer=dict(width=16, depth=1, heads=2, mlp_width=24, norm_eps=1e-12),
        elements="wordpiece",
        vocabulary={vocabulary},
    )
    values["element_tokenizer"] = dict(kind="json", file="{file}", pad_id=0)
    return ConfigDict(values)
"""
FEW = {
    "checkpoints__every": 2,
    "streams__captions__sources__emoji__evaluation_items": 4,
    "streams__captions__sources__emoji__world__concepts": 12,
    "streams__captions__sources__emoji__world__unseen_concepts": 4,
    "streams__captions__sources__emoji__world__scenes": 50,
}


def save_word_pieces(file):
    """A tokenizer as BERT's, of letters."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{each}" for each in letters)]
    numbers = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(file))
    return len(pieces)


@pytest.fixture(scope="module")
def moved(commands, tmp_path_factory):
    """(new place of a run, how it was continued there) where its tokenizer's file is gone."""
    folder = tmp_path_factory.mktemp("word-pieces")
    file, config = folder / "pieces.json", folder / "config.py"
    config.write_text(CONFIG.format(vocabulary=save_word_pieces(file), file=file))
    first = commands.train(folder / "run", config=config, total_steps=4, **FEW)
    assert first.returncode == 0, first.stderr
    file.unlink()
    place = shutil.move(folder / "run", folder / "elsewhere")
    return place, commands.train(place, config=config, total_steps=6, **FEW)


def test_a_moved_run_continues_with_its_own_word_pieces(moved):
    root, continued = moved
    assert continued.returncode == 0, continued.stderr
    assert "continuing from step 4" in continued.stdout
    assert [line["step"] for line in Workdir(root).read_metrics()] == [1, 2, 3, 4, 5, 6]
    assert (root / "element_tokenizer.json").is_file()


def test_a_moved_run_is_loaded_with_its_word_pieces(moved):
    model = kgclip_jax.load(moved[0])
    text = "a dog above a cat"
    above = from_triples(text, [("dog", "above", "cat")])
    below = from_triples(text, [("cat", "above", "dog")])
    plain, one, other = model.encode_text([text, Caption(text, above), Caption(text, below)])
    np.testing.assert_allclose(np.linalg.norm(plain), 1, atol=1e-5)
    for row in (one, other):
        np.testing.assert_allclose(np.linalg.norm(row - plain), 0.2, rtol=1e-3)
    assert np.abs(one - other).max() > 1e-3
