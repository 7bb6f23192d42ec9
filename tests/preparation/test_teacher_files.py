"""Teachers whose tokenizer is damaged, and texts longer than a teacher has positions for."""

import json
import shutil

import pytest
import torch

from kgclip_jax.errors import ConfigError, DataError
from tests.preparation.test_text_teachers import (
    SIZES,
    WORDS,
    save_bert,
    save_tokenizer,
    teacher,
    transformers,
)

LONG = " ".join(WORDS * 20)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A model of 160 positions."""
    transformers.utils.logging.disable_progress_bar()
    return save_bert(tmp_path_factory.mktemp("teachers") / "bert")


@pytest.fixture(scope="module")
def roberta(tmp_path_factory):
    """A model that never uses the first two of its 22 positions."""
    transformers.utils.logging.disable_progress_bar()
    folder = tmp_path_factory.mktemp("teachers") / "roberta"
    size = save_tokenizer(folder, "bert", "[CLS] $A [SEP]")
    sizes = SIZES | {"max_position_embeddings": 22}
    config = transformers.RobertaConfig(vocab_size=size, pad_token_id=1, **sizes)
    transformers.RobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("damage", ["{}", "[]", '{"version"', "0", "without added tokens"])
def test_a_damaged_tokenizer_is_named(bert, tmp_path, damage):
    path = shutil.copytree(bert, tmp_path / "bert") / "tokenizer.json"
    if damage == "without added tokens":
        content = json.loads(path.read_text())
        del content["added_tokens"]
        damage = json.dumps(content)
    path.write_text(damage)
    with pytest.raises(DataError, match=rf"^{path}, or tokenizer_config\.json .* is damaged: "):
        teacher(path.parent)


def test_a_lost_tokenizer_is_refused(bert, tmp_path):
    path = shutil.copytree(bert, tmp_path / "bert") / "tokenizer.json"
    path.unlink()
    with pytest.raises(ConfigError, match=f"^teacher {path.parent}: "):
        teacher(path.parent)


def test_texts_are_cut_to_at_most_the_positions(bert):
    assert teacher(bert, length=160).embed([LONG]).shape == (1, 32)
    with pytest.raises(ConfigError, match="bert: length 161 is above the 160 tokens that it has"):
        teacher(bert, length=161)


def test_positions_that_are_never_used_do_not_count(roberta):
    assert teacher(roberta, length=20).embed([LONG]).shape == (1, 32)
    with pytest.raises(ConfigError, match="roberta: length 21 is above the 20 tokens that it has"):
        teacher(roberta, length=21)
    model = transformers.AutoModel.from_pretrained(roberta)
    with pytest.raises(RuntimeError, match="out of bounds"):
        model(torch.full((1, 21), 5))
