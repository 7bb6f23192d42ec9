"""Knowledge encoders of exported folders: torch alone computes the same, and nothing is lost."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

import kgclip_jax
from kgclip_jax import loading
from kgclip_jax.convert.export import EXTRA_FILE, Contents, export, with_position_table
from kgclip_jax.convert.exported_files import check_free
from kgclip_jax.convert.knowledge import FILE, MODULE, TOKENIZER
from kgclip_jax.convert.pretrained import open_pretrained
from kgclip_jax.convert.torch_modules.knowledge_encoder import KnowledgeEncoder
from kgclip_jax.convert.weights import read_weights, write_safetensors
from kgclip_jax.data.tokenization.tokenizer_config import ClipBpe, Tokenizers, make_tokenizer
from kgclip_jax.errors import ConversionError
from kgclip_jax.inference import ClipEncoder
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.triples import from_triples, to_triples
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.presets import preset
from kgclip_jax.reporting.card_examples import knowledge_example
from kgclip_jax.reporting.model_card import Card, model_card
from kgclip_jax.store.description import fingerprints
from tests.convert.small_models import make_params, piece_tokenizer, siglip, word_tokenizer
from tests.convert.twins import open_clip_siglip

READER = Path(__file__).with_name("torch_knowledge_reader.py")
CARD = Card("mine", 7, {})
CLIP = Tokenizers()
QUICKSTART = preset("quickstart")
BLOCKS = spec.Transformer(128, 2, 4, 96, activation="gelu_erf", norm_eps=1e-5)

WORDED = {
    "a dog left of a sofa": [("dog", "left of", "sofa")],
    "a sofa left of a dog": [("sofa", "left of", "dog")],
    "a sofa to the right of a dog": [("sofa", "to the right of", "dog")],
    "two cats": [],
    "ein Löwe 🦁 is an antidisestablishmentarian lion": [
        ("Löwe 🦁", "is", "antidisestablishmentarian lion of the very far north"),
        ("x", "to the left of the enormous red house and in front of it", "  "),
    ],
    "many things": [("dog", "on", "cat"), *(("dog", "is", x) for x in ("a", "b", "c", "d"))],
}
CAPTIONS = [Caption(text, from_triples(text, triples)) for text, triples in WORDED.items()]
SITTING = [("dog", "on", "sofa"), ("dog", "is", "small"), ("sofa", "is", "red")]
EXAMPLE = [  # as the cards have it
    Caption("a small dog on a red sofa", from_triples("", SITTING)),
    Caption("a cat", from_triples("", [])),
]


def with_knowledge(shape, **settings):
    """A model with an encoder of its texts' first three triples."""
    blocks = replace(BLOCKS, width=shape.text.transformer.width)
    encoder = {"transformer": blocks, "triples": 3, "weight": 0.3} | settings
    return replace(shape, knowledge=spec.KnowledgeEncoder(**encoder))


def of_pieces(tokenizer, **settings):
    vocabulary = make_tokenizer(tokenizer, 5).vocabulary_size
    return with_knowledge(
        QUICKSTART,
        transformer=spec.Transformer(48, 3, 6, 80, activation="gelu_tanh", norm_eps=1e-3),
        elements="wordpiece",
        vocabulary=vocabulary,
        **settings,
    )


def write(folder, shape, format="huggingface", tokenizers=CLIP, **options):
    card = options.pop("card", CARD)
    texts = {"card": partial(model_card, card), "parser": card.parser}
    return export(make_params(shape), shape, tokenizers, folder, format=format, **texts, **options)


BESIDE = ((("left of",), ("right of", "to the right of")),)
MEAN = {"readout": "mean", "element_length": 6, "converses": BESIDE}
KINDS = ["huggingface", "open_clip", "openai", "siglip", "huggingface pieces", "open_clip pieces"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(folder, architecture, tokenizers) of a model of each kind."""
    root = tmp_path_factory.mktemp("knowledge")
    words, pieces = word_tokenizer(root), piece_tokenizer(root)
    quick = replace(BLOCKS, activation="quick_gelu", norm_eps=1e-3)
    shapes = {
        "huggingface": with_knowledge(QUICKSTART),
        "open_clip": with_knowledge(QUICKSTART, transformer=quick, **MEAN),
        "openai": with_knowledge(QUICKSTART),
        "siglip": with_knowledge(siglip(), transformer=replace(BLOCKS, width=16), **MEAN),
        "huggingface pieces": of_pieces(pieces),
        "open_clip pieces": of_pieces(pieces, **MEAN),
    }
    models = {}
    for kind, shape in shapes.items():
        folder = root / kind / CARD.name
        text = words if kind == "siglip" else ClipBpe()
        tokenizers = Tokenizers(text, pieces if kind.endswith("pieces") else None)
        format = "huggingface" if kind == "siglip" else kind.removesuffix(" pieces")
        write(folder, shape, format, tokenizers)
        models[kind] = (folder, shape, tokenizers)
    return models


@pytest.fixture(scope="module")
def in_torch(exported, tmp_path_factory):
    """What torch makes of the texts, by the examples of the cards, in a process without JAX."""
    texts = tmp_path_factory.mktemp("texts") / "texts.json"
    graphs = [to_triples(caption.graph, caption.text) for caption in CAPTIONS]
    texts.write_text(json.dumps([[*WORDED], graphs]))
    folders = [folder for folder, *_ in exported.values()]
    process = subprocess.run(
        [sys.executable, *map(str, [READER, texts, *folders])],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    return {kind: dict(np.load(f"{folder}.npz")) for kind, (folder, *_) in exported.items()}


def encoder(shape, tokenizers):
    """The model that was exported, from what it was made of."""
    params = jax.tree.map(jax.numpy.asarray, make_params(shape))
    reading = preprocessing_for(shape, tokenizers)
    return ClipEncoder(Model(shape), params, reading, step=0)


@pytest.mark.parametrize("kind", KINDS)
def test_torch_alone_computes_the_same_texts(exported, in_torch, kind):
    model = encoder(*exported[kind][1:])
    for name, captions in [
        ("texts", CAPTIONS),
        ("example", EXAMPLE),
    ]:
        mine, theirs = model.encode_text(captions), in_torch[kind][name]
        plain = model.encode_text([caption.text for caption in captions])
        added = np.linalg.norm(mine - plain, axis=1)
        some = [bool(caption.graph.objects) for caption in captions]
        np.testing.assert_allclose(added, np.where(some, 0.3, 0), atol=1e-6)
        print(f"{kind}, {name}: error {np.abs(mine - theirs).max():.1e}")
        np.testing.assert_allclose(theirs, mine, atol=1e-5, rtol=0)
    assert np.abs(mine - plain).max() > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_it_comes_back_bit_for_bit(exported, in_torch, kind):
    folder, shape, tokenizers = exported[kind]
    source = open_pretrained(folder / "model.pt" if kind == "openai" else folder)
    params, described = with_position_table(make_params(shape), shape)
    assert source.shape == replace(described, initial_values=source.shape.initial_values)
    found = source.read()
    assert jax.tree.structure(found) == jax.tree.structure(params)
    jax.tree.map(np.testing.assert_array_equal, found, params)
    mine, theirs = (fingerprints(shape, each) for each in (tokenizers, source.tokenizers))
    assert mine.get("elements") == theirs.get("elements")
    if kind != "openai":
        mine = encoder(shape, tokenizers).encode_text(CAPTIONS)
        np.testing.assert_allclose(kgclip_jax.load(folder).encode_text(CAPTIONS), mine, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_folder_has_all_of_it_and_may_be_replaced(exported, kind):
    folder, _, tokenizers = exported[kind]
    names = {entry.name for entry in folder.iterdir()}
    assert {FILE, MODULE, EXTRA_FILE} <= names
    assert (TOKENIZER in names) == (tokenizers.elements is not None)
    check_free(folder, replace=True)
    card = (folder / "README.md").read_text()
    assert "t + 0.3 k / ||k||" in card
    assert "not of unit length" in card
    assert "cannot hold" not in card


def test_without_a_knowledge_encoder_nothing_of_it_is_there(tmp_path):
    write(tmp_path / "mine", with_knowledge(QUICKSTART))
    left_out = write(tmp_path / "mine", QUICKSTART, force=True).left_out
    assert left_out == ()
    names = {entry.name for entry in (tmp_path / "mine").iterdir()}
    assert not {FILE, MODULE, EXTRA_FILE} & names
    assert "Knowledge" not in (tmp_path / "mine" / "README.md").read_text()


def test_the_example_of_open_clip_s_siglip_finds_its_table():
    shape = with_knowledge(preset("SigLIP-B-16"))
    example = knowledge_example("mine", Contents("open_clip", shape, 0), None)
    assert ", table=model.text.token_embedding.weight)" in example
    model = open_clip_siglip().model
    assert model.text.token_embedding.weight.shape == (300, 24)
    assert not hasattr(model, "token_embedding")


@pytest.mark.parametrize(
    ("kinds", "parser", "graphs", "told"),
    [
        (["emoji"], None, "exact graphs", "had exact graphs, known with the pictures."),
        (["emoji", "photographs"], "en_mine", "en_mine", "over the spaCy pipeline `en_mine`;"),
        (["karpathy"], "/me/en_mine", "/me/en_mine", "over the spaCy pipeline `en_mine`;"),
    ],
)
def test_where_the_graphs_of_training_came_from_is_told(tmp_path, kinds, parser, graphs, told):
    sources = {kind: {"kind": kind} for kind in kinds}
    streams = {"captions": {"sources": sources}}
    config = {"data": {"parser": parser or "en_unused"}, "streams": streams}
    shape = with_knowledge(QUICKSTART)
    folder, card = tmp_path / "mine", replace(CARD, config=config)
    write(folder, shape, card=card)
    assert json.loads((folder / FILE).read_text())["graphs"] == graphs
    assert open_pretrained(folder).parser == parser
    assert told in (folder / "README.md").read_text()
    settings = loading.settings_of(str(folder))
    assert settings["data"] == ({} if parser is None else {"parser": parser})


def test_capitals_and_spaces_of_triples_do_not_matter(exported):
    encoder = KnowledgeEncoder.from_folder(exported["siglip"][0])
    asked = []

    def tokenize(elements):
        asked.append(elements)
        return [[encoder.end_id] * encoder.element_length] * len(elements)

    for triple in (("dogs", "left of", "cat"), ("Dogs", "Left  of", " cat")):
        encoder.tokens_of([[triple]], tokenize)
    assert asked == [["cat", "dogs", "left of"]] * 2


def test_canonical_names_are_told_and_a_folder_from_before_them_is_read(exported, tmp_path):
    folder, shape = shutil.copytree(exported["siglip"][0], tmp_path / "mine"), exported["siglip"][1]
    assert "by their canonical names" in (folder / "README.md").read_text()
    settings = json.loads((folder / FILE).read_text())
    assert settings["encoder"].pop("converses")
    (folder / FILE).write_text(json.dumps(settings))
    before = open_pretrained(folder).shape.knowledge
    assert before == replace(shape.knowledge, converses=())


@pytest.fixture
def folder(tmp_path):
    """An export with word pieces."""
    pieces = piece_tokenizer(tmp_path)
    write(tmp_path / "mine", of_pieces(pieces), tokenizers=Tokenizers(elements=pieces))
    return tmp_path / "mine"


def test_settings_without_weights_are_refused(folder):
    (folder / EXTRA_FILE).unlink()
    with pytest.raises(ConversionError, match=f"{FILE} describes .* weights are missing"):
        open_pretrained(folder)


def test_weights_without_settings_are_refused(folder):
    (folder / FILE).unlink()
    with pytest.raises(ConversionError, match=f"has weights of a knowledge encoder, but no {FILE}"):
        open_pretrained(folder)


def test_without_both_the_towers_are_left(folder):
    (folder / EXTRA_FILE).unlink()
    (folder / FILE).unlink()
    assert open_pretrained(folder).shape.knowledge is None


def test_a_missing_and_a_misshapen_weight_are_named(folder):
    weights = dict(read_weights(folder / EXTRA_FILE))
    norm = weights.pop("knowledge_encoder.blocks.layers.1.norm2.bias")
    write_safetensors(folder, weights, Path(EXTRA_FILE).stem)
    with pytest.raises(ConversionError, match=r"missing weights:\n  .*blocks.layers.1.norm2.bias"):
        open_pretrained(folder).read()
    weights["knowledge_encoder.blocks.layers.1.norm2.bias"] = norm[:-1]
    write_safetensors(folder, weights, Path(EXTRA_FILE).stem)
    with pytest.raises(ConversionError, match=r"expected \(48,\), got \(47,\)"):
        open_pretrained(folder).read()


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("transformer", {"depth": "six"}, "encoder.transformer.depth must be a int, not 'six'"),
        ("encoder", {"readout": "last"}, "settings.encoder.readout must be one of first, mean"),
        ("settings", {"dropout": 0.1}, "settings.dropout is no setting"),
        ("encoder", {"converses": [[["on"], ["on"]]]}, "each phrase must stand once, not on"),
        ("transformer", {"heads": 5}, "width 48 is not divisible by heads 5"),
        ("encoder", {"elements": "text", "vocabulary": None}, "its width 48 must be 128"),
    ],
)
def test_settings_that_make_no_sense_are_refused(folder, part, change, message):
    settings = json.loads((folder / FILE).read_text())
    encoder = settings["encoder"]
    parts = {"settings": settings, "encoder": encoder, "transformer": encoder["transformer"]}
    parts[part].update(change)
    (folder / FILE).write_text(json.dumps(settings))
    with pytest.raises(ConversionError, match=f"{FILE}: .*{message}"):
        open_pretrained(folder)


def test_word_pieces_need_their_tokenizer(folder, tmp_path):
    (folder / TOKENIZER).write_text("{}")
    with pytest.raises(ConversionError, match=f"{TOKENIZER} has no padding.pad_id"):
        kgclip_jax.load(folder)
    (folder / TOKENIZER).unlink()
    with pytest.raises(ConversionError, match=f"has no {TOKENIZER}"):
        kgclip_jax.load(folder)
    pieces = piece_tokenizer(tmp_path)
    for elements, message in [
        (None, "export needs its tokenizer"),
        (replace(pieces, clean="open_clip_lower"), "clean 'open_clip_lower'"),
        (replace(pieces, zeroed_id=3), "zeroed_id 3"),
    ]:
        with pytest.raises(ConversionError, match=message):
            write(tmp_path / "new", of_pieces(pieces), tokenizers=Tokenizers(elements=elements))
    assert not (tmp_path / "new").exists()
