"""BERT's embeddings and first layers in the knowledge encoder, against transformers' own."""

import json
import shutil
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tokenizers
import torch
from safetensors.numpy import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, BertModel

from kgclip_jax.batch import Triples
from kgclip_jax.convert.bert import open_bert
from kgclip_jax.data.tokenization.tokenizer_config import TokenizerJson
from kgclip_jax.errors import ConversionError
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.presets import preset

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"word{number}" for number in range(33))]
SETTINGS = {
    "vocab_size": len(WORDS),
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 9,
}
DEPTH, LENGTH = 2, 5
KNOWLEDGE = spec.KnowledgeEncoder(
    spec.Transformer(width=24, depth=DEPTH, heads=3, mlp_width=40, norm_eps=1e-12),
    element_length=LENGTH,
    elements="wordpiece",
    vocabulary=len(WORDS),
)
SHAPE = replace(preset("tiny"), knowledge=KNOWLEDGE)


def save_tokenizer(file, words):
    model = tokenizers.models.WordLevel(
        {word: number for number, word in enumerate(words)}, unk_token="[UNK]"
    )
    tokenizers.Tokenizer(model).save(str(file))


def perturbed(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


@pytest.fixture(scope="module")
def bert():
    torch.manual_seed(0)
    return perturbed(BertModel(BertConfig(**SETTINGS)))


@pytest.fixture(scope="module")
def folder(bert, tmp_path_factory):
    """A BERT without a head, as transformers saves it."""
    folder = tmp_path_factory.mktemp("bert") / "plain"
    bert.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    save_tokenizer(file, WORDS)
    return TokenizerJson("json", str(file), pad_id=0)


def assert_equal(left, right):
    assert left.keys() == right.keys()
    for name, part in left.items():
        if isinstance(part, dict):
            assert_equal(part, right[name])
        else:
            assert part.dtype == right[name].dtype == np.float32
            np.testing.assert_array_equal(part, right[name])


@torch.no_grad()
def by_transformers(bert, tokens, mask):
    """Structure-CLIP's encoder up to its projection, made of transformers' own modules."""
    texts, slots = mask.shape
    elements = bert.embeddings(torch.tensor(tokens).reshape(-1, LENGTH).long()).mean(dim=1)
    head, relation, tail = elements.reshape(texts, slots, 3, -1).unbind(dim=2)
    hidden = head + relation - tail
    unseen = torch.finfo(torch.float32).min * ~torch.tensor(mask)[:, None, None, :]
    for layer in bert.encoder.layer[:DEPTH]:
        found = layer(hidden, unseen)
        hidden = found[0] if isinstance(found, tuple) else found
    return hidden.numpy()


@pytest.mark.parametrize("readout", ["first", "mean"])
def test_the_encoder_computes_what_bert_computes(bert, folder, tokenizer, readout):
    shape = replace(SHAPE, knowledge=replace(KNOWLEDGE, readout=readout))
    params = open_bert(folder, shape, tokenizer)()
    rng = np.random.default_rng(0)
    projection = rng.standard_normal((24, shape.embedding)).astype(np.float32)
    params["projection"] = {"kernel": projection, "bias": np.zeros(shape.embedding, np.float32)}
    tokens = rng.integers(0, len(WORDS), (4, KNOWLEDGE.triples, 3, LENGTH)).astype(np.int32)
    mask = np.arange(KNOWLEDGE.triples) < np.array([1, 3, 5, 6])[:, None]
    model = Model(shape)
    params = model.abstract() | {"knowledge": jax.tree.map(jnp.asarray, params)}
    ours = model.bind(params).knowledge(Triples(tokens, mask), jnp.zeros((1, 1)))
    states = by_transformers(bert, tokens, mask)
    if readout == "first":
        expected = states[:, 0]
    else:
        expected = (states * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ours, expected @ projection, atol=1e-5)


def rewritten(folder, target, rename, suffix="safetensors"):
    """The same weights under other names."""
    target.mkdir()
    shutil.copy(folder / "config.json", target)
    weights = load_file(folder / "model.safetensors")
    weights = {new: weights[name] for name in weights if (new := rename(name)) is not None}
    if suffix == "safetensors":
        save_file(weights, target / "model.safetensors")
    else:
        tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
        torch.save(tensors, target / "pytorch_model.bin")
    return target


def test_names_of_old_and_heads_make_no_difference(bert, folder, tokenizer, tmp_path):
    expected = open_bert(folder, SHAPE, tokenizer)()
    assert expected.keys() == {"pieces", "blocks"}

    def as_of_old(name):
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        return f"bert.{name.replace('LayerNorm.bias', 'LayerNorm.beta')}"

    old = rewritten(folder, tmp_path / "old", as_of_old, "bin")
    assert_equal(open_bert(old, SHAPE, tokenizer)(), expected)
    with_head = BertForMaskedLM(BertConfig(**SETTINGS))
    with_head.bert.load_state_dict(bert.state_dict(), strict=False)
    with_head.save_pretrained(tmp_path / "head")
    assert_equal(open_bert(tmp_path / "head", SHAPE, tokenizer)(), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": 48}, r"transformer\.width: 48 -> 24"),
        ({"num_attention_heads": 2}, r"transformer\.heads: 2 -> 3"),
        ({"intermediate_size": 20}, r"transformer\.mlp_width: 20 -> 40"),
        ({"layer_norm_eps": 1e-5}, r"transformer\.norm_eps: 1e-05 -> 1e-12"),
        ({"hidden_act": "gelu_pytorch_tanh"}, r"activation: 'gelu_tanh' -> 'gelu_erf'"),
        ({"hidden_act": "relu"}, r"config\.json: config\.hidden_act must be one of"),
        ({"vocab_size": 36}, r"vocabulary: 36 -> 37"),
        ({"num_hidden_layers": 1}, r"has 1 layers, fewer than .*transformer\.depth 2"),
        ({"max_position_embeddings": 4}, r"has 4 positions, fewer than .*element_length 5"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type must be one of"),
        ({"model_type": "roberta"}, "model_type must be one of bert, not 'roberta'"),
    ],
    ids=str,
)
def test_another_bert_is_refused(folder, tokenizer, tmp_path, change, message):
    settings = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(settings | change))
    shutil.copy(folder / "model.safetensors", tmp_path)
    with pytest.raises(ConversionError, match=message) as refusal:
        open_bert(tmp_path, SHAPE, tokenizer)
    assert str(refusal.value).startswith(str(tmp_path))


def test_a_bert_on_the_hub_must_be_downloaded_first(tokenizer):
    with pytest.raises(ConversionError, match=r"google-bert/b is no folder .*: hf download NAME "):
        open_bert("google-bert/b", SHAPE, tokenizer)


def test_what_is_not_there_is_named(folder, tokenizer, tmp_path):
    with pytest.raises(ConversionError, match=r"knowledge_init_from: .*config\.json is missing"):
        open_bert(tmp_path / "nowhere", SHAPE, tokenizer)
    shutil.copy(folder / "config.json", tmp_path)
    with pytest.raises(ConversionError, match=r"has no weights; .* model\.safetensors, "):
        open_bert(tmp_path, SHAPE, tokenizer)


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        (lambda n: None if "layer.1.output.dense.bias" in n else n, "missing weights:\n.*layer.1"),
        (lambda n: None if "token_type" in n else n, "missing weights:\n.*token_type"),
        (lambda n: n.replace("encoder.layer.2", "encoder.more"), "unused weights:\n.*more"),
        (lambda n: n.replace("layer.2.output.Lay", "layer.1.output.extra.Lay"), "unused weights"),
    ],
)
def test_weights_that_do_not_fit_are_named(folder, tokenizer, tmp_path, rename, message):
    other = rewritten(folder, tmp_path / "other", rename)
    with pytest.raises(ConversionError, match=message) as refusal:
        open_bert(other, SHAPE, tokenizer)()
    assert str(refusal.value).startswith(f"{other / 'model.safetensors'} does not hold")


def test_a_weight_under_two_names_is_refused(folder, tokenizer, tmp_path):
    other = rewritten(folder, tmp_path / "other", lambda name: name)
    weights = load_file(other / "model.safetensors")
    weights["embeddings.LayerNorm.gamma"] = weights["embeddings.LayerNorm.weight"] + 1
    save_file(weights, other / "model.safetensors")
    with pytest.raises(ConversionError, match=r"under two names:\n.*LayerNorm"):
        open_bert(other, SHAPE, tokenizer)()


def test_other_word_pieces_are_refused(folder, tokenizer, tmp_path):
    other = rewritten(folder, tmp_path / "other", lambda name: name)
    (other / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    open_bert(other, SHAPE, tokenizer)
    (other / "vocab.txt").write_bytes("h\xe9".encode("latin-1"))
    with pytest.raises(ConversionError, match=r"other/vocab\.txt, line 1: .*\(0xe9\) is not UTF-8"):
        open_bert(other, SHAPE, tokenizer)
    (other / "vocab.txt").write_text("\n".join(reversed(WORDS)))
    with pytest.raises(ConversionError, match=r"has other word pieces than config\.element_tok"):
        open_bert(other, SHAPE, tokenizer)
    save_tokenizer(other / "tokenizer.json", WORDS)
    open_bert(other, SHAPE, tokenizer)
    save_tokenizer(other / "tokenizer.json", WORDS[::-1])
    with pytest.raises(ConversionError, match=r"has other word pieces than config\.element_tok"):
        open_bert(other, SHAPE, tokenizer)
