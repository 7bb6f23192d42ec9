"""What a fresh run starts from: another model, with or without a knowledge encoder, and BERT."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
import tokenizers
from safetensors.numpy import save_file

from kgclip_jax import schema
from kgclip_jax.convert import bert, huggingface
from kgclip_jax.convert.export import export
from kgclip_jax.convert.rules import weight_shapes
from kgclip_jax.data.tokenization.tokenizer_config import TokenizerJson, Tokenizers
from kgclip_jax.errors import ConfigError, ConversionError
from kgclip_jax.loading import find_start, open_trained, settings_of, starting_point
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.presets import preset
from kgclip_jax.store.description import describe
from kgclip_jax.store.workdir import Workdir
from tests.store.runs import filled, save_run

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "dog", "cat"]
PLAIN = replace(preset("tiny"), vision=replace(preset("tiny").vision, positions="learned"))
BLOCKS = spec.Transformer(width=16, depth=1, heads=2, mlp_width=24, norm_eps=1e-12)
KNOWLEDGE = spec.KnowledgeEncoder(
    BLOCKS, element_length=4, elements="wordpiece", vocabulary=len(PIECES)
)
SHAPE = replace(PLAIN, knowledge=KNOWLEDGE)
SEED = 3


def save_pieces(file, pieces=PIECES):
    numbers = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(file))
    return TokenizerJson("json", str(file), pad_id=0)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    return save_pieces(tmp_path_factory.mktemp("pieces") / "pieces.json")


@pytest.fixture(scope="module")
def fresh():
    """The parameters of a run that starts from nothing."""
    return jax.device_get(jax.jit(lambda: Model(SHAPE).initialise(SEED))())


@pytest.fixture(scope="module")
def plain_source(tmp_path_factory):
    output = tmp_path_factory.mktemp("exports") / "plain"
    params = filled(Model(PLAIN).abstract(), seed=1)
    export(params, PLAIN, Tokenizers(), output, format="huggingface", card=str)
    return str(output)


@pytest.fixture(scope="module")
def run_source(pieces, tmp_path_factory):
    """A run with the same knowledge encoder."""
    workdir = Workdir(tmp_path_factory.mktemp("run"))
    description = describe(SHAPE, Tokenizers(elements=pieces), parser="en_mine")
    save_run(workdir, description, {4: {"model": filled(Model(SHAPE).abstract(), seed=2)}})
    workdir.keep_tokenizers(Tokenizers(elements=pieces))
    return str(workdir.root)


@pytest.fixture(scope="module")
def bert_source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    settings = huggingface.blocks_settings(BLOCKS) | {"vocab_size": len(PIECES)}
    (folder / "config.json").write_text(json.dumps(settings | {"model_type": "bert"}))
    rng = np.random.default_rng(5)
    shapes = dict(weight_shapes(bert.rules(BLOCKS.heads), SHAPE))
    shapes["embeddings.token_type_embeddings.weight"] = (2, BLOCKS.width)
    weights = {name: rng.standard_normal(shape).astype("f") for name, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors")
    return str(folder)


def assert_equal(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    jax.tree.map(np.testing.assert_array_equal, left, right)


def assert_afresh(params, fresh):
    """The host draws the same numbers, to the last digits."""
    assert jax.tree.structure(params) == jax.tree.structure(fresh)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), params, fresh)


def started(pieces, shape=SHAPE, seed=SEED, **sources):
    start = find_start(shape, Tokenizers(elements=pieces), seed=seed, **sources)
    return start.origins, start.read()


def towers(params):
    return {name: part for name, part in params.items() if name != "knowledge"}


def test_nothing_named_is_nothing_found(pieces):
    assert find_start(SHAPE, Tokenizers(elements=pieces), seed=SEED) is None


def test_a_plain_source_gives_towers_and_the_seed_gives_the_encoder(pieces, plain_source, fresh):
    origins, params = started(pieces, init_from=plain_source)
    assert origins == (f"starting from {plain_source}", "knowledge encoder: fresh")
    assert_equal(towers(params), filled(Model(PLAIN).abstract(), seed=1))
    assert_afresh(params["knowledge"], fresh["knowledge"])
    _, other = started(pieces, seed=SEED + 1, init_from=plain_source)
    assert not np.allclose(
        params["knowledge"]["pieces"]["embedding"], other["knowledge"]["pieces"]["embedding"]
    )


def test_bert_gives_the_encoder_all_but_its_projection(pieces, plain_source, bert_source, fresh):
    expected = bert.open_bert(bert_source, SHAPE, pieces)()
    for source in (None, plain_source):
        origins, params = started(pieces, init_from=source, knowledge_init_from=bert_source)
        assert origins[-1] == f"knowledge encoder: from {bert_source}"
        assert len(origins) == (1 if source is None else 2)
        knowledge = dict(params["knowledge"])
        assert_afresh(knowledge.pop("projection"), fresh["knowledge"]["projection"])
        assert_equal(knowledge, expected)
        if source is None:
            assert_afresh(towers(params), towers(fresh))
        else:
            assert_equal(towers(params), filled(Model(PLAIN).abstract(), seed=1))


def test_a_run_with_the_same_encoder_gives_all_of_it(pieces, run_source, bert_source):
    origins, params = started(pieces, init_from=run_source)
    assert origins == (f"starting from {run_source}",)
    assert_equal(params, filled(Model(SHAPE).abstract(), seed=2))
    with pytest.raises(ConfigError, match=r"has a knowledge encoder already; leave out config\.kn"):
        started(pieces, init_from=run_source, knowledge_init_from=bert_source)


@pytest.mark.parametrize("change", [{"weight": 0.5}, {"readout": "mean"}, {"triples": 3}], ids=str)
def test_another_encoder_is_refused(pieces, run_source, change):
    shape = replace(SHAPE, knowledge=replace(KNOWLEDGE, **change))
    with pytest.raises(ConversionError, match=f"knowledge.{next(iter(change))}: "):
        started(pieces, shape, init_from=run_source)


def test_a_source_with_an_encoder_is_no_start_for_a_run_without_one(run_source):
    with pytest.raises(ConversionError, match=r"\n  knowledge: \{.*\} -> None\n"):
        started(None, PLAIN, init_from=run_source)


def test_a_source_without_an_encoder_may_differ_in_nothing_else(pieces, plain_source):
    with pytest.raises(ConversionError, match=r"knowledge: None -> \{"):
        starting_point(plain_source, SHAPE, Tokenizers())
    shape = replace(SHAPE, text=replace(SHAPE.text, context_length=16))
    with pytest.raises(ConversionError) as refusal:
        started(pieces, shape, init_from=plain_source)
    assert str(refusal.value).splitlines()[1:-1] == ["  text.context_length: 32 -> 16"]


def test_an_encoder_of_other_word_pieces_is_refused(run_source, tmp_path):
    others = save_pieces(tmp_path / "other.json", [*PIECES[:4], "cat", "dog"])
    with pytest.raises(ConversionError, match=r"other word pieces than config\.element_tokenizer"):
        started(others, init_from=run_source)


def test_a_run_says_all_that_a_config_needs_to_go_on_from_it(run_source):
    settings = settings_of(run_source)
    assert settings["data"] == {"parser": "en_mine"}
    own = open_trained(run_source).tokenizers.elements
    assert own.file == f"{run_source}/element_tokenizer.json"
    assert settings["element_tokenizer"] == schema.to_dict(own)
    assert settings["model"] == schema.to_dict(SHAPE)
    assert started(own, init_from=settings["init_from"])


def test_a_start_from_the_hub_has_its_commit(plain_source, tmp_path, monkeypatch):
    commit = "0123456789" * 4
    folder = tmp_path / commit
    folder.symlink_to(plain_source)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(folder))
    for name in ("org/base", "org/base@main"):
        start = find_start(PLAIN, Tokenizers(), seed=SEED, init_from=name)
        assert start.init_from == f"org/base@{commit}"
        assert start.origins == (f"starting from org/base@{commit}",)
    assert find_start(PLAIN, Tokenizers(), seed=SEED, init_from=str(plain_source)).init_from == str(
        plain_source
    )
