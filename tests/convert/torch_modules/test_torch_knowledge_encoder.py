"""The module for PyTorch users against our own encoder, whatever the tokens and the masks."""

import dataclasses
import itertools
import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from kgclip_jax.batch import Triples
from kgclip_jax.convert import knowledge
from kgclip_jax.convert.rules import to_theirs
from kgclip_jax.convert.torch_modules.knowledge_encoder import KnowledgeEncoder
from kgclip_jax.convert.weights import write_safetensors
from kgclip_jax.data.tokenization.tokenizer_config import ClipBpe
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.presets import preset
from tests.convert.small_models import make_params

TINY = preset("tiny")
WIDTH = TINY.text.transformer.width
TEXT = spec.KnowledgeEncoder(spec.Transformer(WIDTH, 2, 2, 24), triples=3, element_length=4)
PIECES = replace(
    TEXT,
    transformer=spec.Transformer(12, 3, 3, 20, "quick_gelu", norm_eps=1e-2),
    elements="wordpiece",
    vocabulary=40,
)
MASKS = np.array(list(itertools.product([False, True], repeat=3)))  # none, all, and with gaps


def made(encoder, folder):
    """(architecture, parameters, module from a folder) of an encoder."""
    shape = replace(TINY, knowledge=encoder)
    params = make_params(shape)
    weights, _ = to_theirs(knowledge.rules(shape), params, shape)
    write_safetensors(folder, weights, "kgclip_jax_extra")
    settings = dataclasses.asdict(knowledge.describe(shape, ClipBpe(), None))
    (folder / knowledge.FILE).write_text(json.dumps(settings))
    return shape, params, KnowledgeEncoder.from_folder(folder)


def inputs(seed=0):
    """Unit embeddings, tokens of every length, and every mask."""
    rng = np.random.default_rng(seed)
    plain = rng.standard_normal((len(MASKS), TINY.embedding)).astype(np.float32)
    tokens = rng.integers(0, 40, (len(MASKS), 3, 3, 4), dtype=np.int32)
    beyond = np.arange(4) >= rng.integers(0, 5, (len(MASKS), 3, 3, 1))
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    return plain, np.where(beyond, np.int32(-1), tokens), MASKS


def in_torch(module, params, plain, tokens, mask):
    table = None if module.has_own_table else torch.tensor(params["text"]["embedding"])
    return module(torch.tensor(plain), torch.tensor(tokens), torch.tensor(mask), table)


@pytest.mark.parametrize(
    ("encoder", "activation", "readout"),
    [
        (TEXT, "gelu_erf", "first"),
        (TEXT, "quick_gelu", "mean"),
        (PIECES, "gelu_tanh", "mean"),
        (PIECES, "gelu_erf", "first"),
        (replace(TEXT, combination="linear"), "gelu_erf", "first"),
        (replace(TEXT, combination="sum"), "gelu_erf", "first"),
    ],
    ids=["text", "text, mean", "pieces, mean", "pieces", "linear", "sum"],
)
def test_it_computes_what_ours_does(encoder, activation, readout, tmp_path):
    transformer = replace(encoder.transformer, activation=activation)
    encoder = replace(encoder, transformer=transformer, readout=readout, weight=0.7)
    shape, params, module = made(encoder, tmp_path)
    plain, tokens, mask = inputs()

    @jax.jit
    def fused(params, plain, triples):
        return plain + Model(shape).bind(params).read_graphs(triples)

    mine = fused(jax.tree.map(jnp.asarray, params), plain, Triples(tokens, mask))
    for trained in (False, True):  # torch has another program for inference
        module.train(trained)
        theirs = in_torch(module, params, plain, tokens, mask).detach().numpy()
        np.testing.assert_allclose(theirs, mine, atol=1e-5, rtol=0)
    added = np.linalg.norm(theirs - plain, axis=1)
    np.testing.assert_allclose(added, np.where(mask.any(axis=1), 0.7, 0), atol=1e-6)


@pytest.mark.parametrize("encoder", [TEXT, PIECES], ids=["text", "pieces"])
def test_it_can_be_trained_on_texts_without_triples_too(encoder, tmp_path):
    _, params, module = made(encoder, tmp_path)
    in_torch(module.train(), params, *inputs()).square().sum().backward()
    gradients = {name: weight.grad for name, weight in module.named_parameters()}
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    assert all(gradient.any() for gradient in gradients.values()), gradients.keys()


def test_its_state_dict_is_what_the_file_has(tmp_path):
    shape, params, module = made(PIECES, tmp_path)
    weights, _ = to_theirs(knowledge.rules(shape), params, shape)
    state = module.state_dict()
    assert weights.keys() == {knowledge.PREFIX + name for name in state}
    for name, weight in state.items():
        np.testing.assert_array_equal(weights[knowledge.PREFIX + name], weight)


def test_tokens_end_with_the_end_and_triples_with_the_last_slot(tmp_path):
    _, _, module = made(TEXT, tmp_path)
    end, ids = module.end_id, {"a": 5, "b": 6, "c": 7}
    assert end == 49407

    def tokenize(elements):
        assert elements == sorted(set(elements))
        return [[1, ids[x], end, end] for x in elements]  # padded as transformers does

    graphs = [[("a", "b", "c")], [], [("b", "b", "a")] * 5]
    tokens, mask = module.tokens_of(graphs, tokenize)
    assert mask.tolist() == [[True, False, False], [False] * 3, [True] * 3]
    assert tokens.shape == (3, 3, 3, 4)
    assert tokens[0, 0].tolist() == [[1, i, end, -1] for i in (5, 6, 7)]
    assert tokens[2, 2].tolist() == [[1, i, end, -1] for i in (6, 6, 5)]
    assert (tokens[~mask] == -1).all()
    assert not module.tokens_of([[], []], tokenize)[1].any()


def test_all_tokens_of_word_pieces_count(tmp_path):
    _, _, module = made(PIECES, tmp_path)
    tokens, _ = module.tokens_of([[("a", "b", "c")]], lambda elements: [[2, 9, 3, 0]] * 3)
    assert tokens[0, 0].tolist() == [[2, 9, 3, 0]] * 3


def test_misuse_is_refused(tmp_path):
    (tmp_path / "pieces").mkdir()
    _, params, text = made(TEXT, tmp_path)
    _, _, pieces = made(PIECES, tmp_path / "pieces")
    plain, tokens, mask = map(torch.tensor, inputs())
    with pytest.raises(ValueError, match="takes the text tower's table"):
        text(plain, tokens, mask)
    with pytest.raises(ValueError, match="takes no table, it has its own"):
        pieces(plain, tokens, mask, torch.tensor(params["text"]["embedding"]))
    with pytest.raises(ValueError, match=r"shape \(3, 2\) of 3 strings; each must have 4 ids"):
        text.tokens_of([[("a", "b", "c")]], lambda elements: [[1, 2]] * 3)
