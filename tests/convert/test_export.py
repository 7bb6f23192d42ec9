"""Exported folders: what is in them, what torch makes of them, and what happens when it fails."""

import builtins
import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from kgclip_jax.convert import export as exporting
from kgclip_jax.convert.export import EXTRA_FILE, export, with_position_table
from kgclip_jax.convert.exported_files import check_free
from kgclip_jax.convert.pretrained import open_pretrained
from kgclip_jax.convert.tokenizer_files import read_tokenizer
from kgclip_jax.convert.weights import read_weights
from kgclip_jax.data.tokenization.tokenizer_config import ClipBpe, Tokenizers, make_tokenizer
from kgclip_jax.errors import ConversionError, UserError
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.presets import preset
from kgclip_jax.reporting.model_card import Card, model_card
from tests.convert.small_models import SIDE, make_params, siglip, word_tokenizer

READER = Path(__file__).with_name("torch_reader.py")
QUICKSTART = preset("quickstart")
SMALL = replace(QUICKSTART, text=replace(QUICKSTART.text, vocabulary=50, eos_id=1))
CARD = Card("mine", 7, {"streams": {"captions": {"sources": {"emoji": {"kind": "emoji"}}}}})
TEXTS = ["a dog", "two cats to the left of an enormous red house", "", "x " * 90, "ein Löwe 🦁"]


def write(folder, shape=QUICKSTART, format="huggingface", tokenizer=None, **options):
    params = options.pop("params", None) or make_params(shape)
    options = {"card": partial(model_card, CARD)} | options
    output = folder / CARD.name
    return export(
        params, shape, Tokenizers(tokenizer or ClipBpe()), output, format=format, **options
    )


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def assert_equal(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    jax.tree.map(np.testing.assert_array_equal, left, right)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(1).integers(0, 256, (6, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(folder, architecture, tokenizer) of a model in each format, and of a sharded SigLIP."""
    root = tmp_path_factory.mktemp("exported")
    models = {}
    for format in ("huggingface", "open_clip", "openai"):
        write(root / format, format=format)
        models[format] = (root / format / CARD.name, QUICKSTART, ClipBpe())
    words = word_tokenizer(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(exporting._SHARD_BYTES, "huggingface", 20_000)
        write(root / "siglip", siglip(), tokenizer=words)
    return models | {"siglip": (root / "siglip" / CARD.name, siglip(), words)}


@pytest.fixture(scope="module")
def in_torch(exported, pictures, tmp_path_factory):
    """What torch makes of each folder, from one process without JAX and without network."""
    root = tmp_path_factory.mktemp("read")
    (root / "pictures").mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(root / "pictures" / f"{number}.png")
    (root / "texts.json").write_text(json.dumps(TEXTS))
    folders = [folder for folder, _, _ in exported.values()]
    command = [READER, root / "pictures", root / "texts.json", *folders]
    process = subprocess.run(
        [sys.executable, *map(str, command)],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    return {name: dict(np.load(f"{folder}.npz")) for name, (folder, _, _) in exported.items()}


KINDS = ["huggingface", "open_clip", "openai", "siglip"]
COMMON = {
    "huggingface": ["config.json", "preprocessor_config.json"],
    "open_clip": ["open_clip_config.json", "open_clip_model.safetensors"],
    "openai": ["model.pt"],
}
CLIP_FILES = ["merges.txt", "tokenizer.json", "tokenizer_config.json", "vocab.json"]


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("huggingface", [*COMMON["huggingface"], *CLIP_FILES, "model.safetensors"]),
        ("open_clip", [*COMMON["open_clip"], *CLIP_FILES]),
        ("openai", COMMON["openai"]),
    ],
)
def test_a_folder_has_all_that_its_library_wants_and_a_card(exported, kind, files):
    folder = exported[kind][0]
    assert names(folder) == sorted(["README.md", *files])
    assert len({file.stat().st_mode for file in folder.iterdir()}) == 1  # all of them readable
    check_free(folder, replace=True)


def test_large_weights_are_sharded_with_an_index(exported):
    folder = exported["siglip"][0]
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    shards = sorted(set(index["weight_map"].values()))
    assert len(shards) > 2
    assert shards == [name for name in names(folder) if name.endswith(".safetensors")]
    check_free(folder, replace=True)


@pytest.mark.parametrize("kind", KINDS)
def test_torch_computes_the_same_features(exported, in_torch, pictures, kind):
    _, shape, settings = exported[kind]
    model, params = Model(shape), jax.tree.map(jnp.asarray, make_params(shape))
    tokens = make_tokenizer(settings, shape.text.context_length)(TEXTS)

    @jax.jit
    def features(params, images, tokens):
        module = model.bind(params)
        return module.vision(images).pooled, module.text(tokens).pooled

    image, text = map(np.array, features(params, pictures, tokens))
    for mine, theirs in [(image, in_torch[kind]["image"]), (text, in_torch[kind]["text"])]:
        print(f"{kind}: error {np.abs(mine - theirs).max():.1e} of {np.abs(theirs).max():.1f}")
        np.testing.assert_allclose(mine, theirs, atol=1e-5 * np.abs(theirs).max(), rtol=0)
        assert np.std(theirs, axis=0).max() > 0.01  # inputs make a difference
    image, text = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (image, text))
    logits = np.exp(params["logit_scale"]) * image @ text.T + params.get("logit_bias", 0)
    np.testing.assert_allclose(in_torch[kind]["logits"], logits, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_torch_sees_the_same_pixels_and_tokens(exported, in_torch, pictures, kind):
    _, shape, settings = exported[kind]
    pixels = (pictures / np.float32(255) - np.array(shape.vision.mean)) / shape.vision.std
    theirs = in_torch[kind]["pixels"].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(theirs, pixels, atol=1e-5)
    tokenizer = make_tokenizer(settings, shape.text.context_length)
    mine, theirs = tokenizer(TEXTS), in_torch[kind]["tokens"]
    assert mine.shape == theirs.shape
    for row, other, length in zip(mine, theirs, tokenizer.lengths(mine), strict=True):
        np.testing.assert_array_equal(row[:length], other[:length])


@pytest.mark.parametrize("kind", KINDS)
def test_coming_back_from_a_folder_changes_no_bit(exported, in_torch, kind):
    folder, shape, tokenizer = exported[kind]
    source = open_pretrained(folder / "model.pt" if kind == "openai" else folder)
    params, described = with_position_table(make_params(shape), shape)
    assert source.shape == replace(described, initial_values=source.shape.initial_values)
    assert_equal(source.read(), params)
    if kind != "openai":
        assert read_tokenizer(folder).kind == tokenizer.kind


def test_torch_holds_every_weight_of_the_files_bit_for_bit(exported, in_torch):
    for kind, file in [("huggingface", "model"), ("open_clip", "open_clip_model")]:
        written = read_weights(exported[kind][0] / f"{file}.safetensors")
        for name, weight in written.items():
            np.testing.assert_array_equal(in_torch[kind][f"weights/{name}"], weight)


def test_the_card_tells_the_size_of_the_model(exported):
    text = (exported["huggingface"][0] / "README.md").read_text()
    count = sum(leaf.size for leaf in jax.tree.leaves(make_params(QUICKSTART)))
    count += QUICKSTART.vision.length * QUICKSTART.vision.transformer.width
    assert f"Parameters: {count:,}" in text


def test_fixed_positions_become_a_table_with_nothing_for_the_class_token():
    params = make_params(QUICKSTART)
    table = with_position_table(params, QUICKSTART)[0]["vision"]["positions"]
    assert table.shape == (17, 128)
    assert not table[0].any()
    quarter = 1 / 10_000 ** np.linspace(0, 1, 32)  # row 2, column 3 of the 4 x 4 grid
    expected = [np.sin(3 * quarter), np.cos(3 * quarter), np.sin(2 * quarter), np.cos(2 * quarter)]
    np.testing.assert_allclose(table[1 + 2 * 4 + 3], np.concatenate(expected), atol=1e-6)
    assert "positions" not in params["vision"]
    learned = with_position_table(params, QUICKSTART)
    assert with_position_table(*learned) == learned


def test_what_a_format_cannot_hold_lies_beside_and_is_named(tmp_path):
    shape, words = replace(SMALL, logit_bias=-10.0), word_tokenizer(tmp_path)
    params = make_params(shape) | {"head": {"kernel": np.arange(6, dtype=np.float32)}}
    result = write(tmp_path, shape, tokenizer=words, params=params)
    assert sorted(result.left_out) == ["head/kernel", "logit_bias"]
    extra = read_weights(tmp_path / CARD.name / EXTRA_FILE)
    np.testing.assert_array_equal(extra["head/kernel"], np.arange(6))
    np.testing.assert_array_equal(extra["logit_bias"], params["logit_bias"])
    card = (tmp_path / CARD.name / "README.md").read_text()
    assert all(name in card for name in ("`head/kernel`", "`logit_bias`", EXTRA_FILE))
    result = write(tmp_path, shape, "open_clip", words, params=params, force=True)
    assert result.left_out == ("head/kernel",)


@pytest.mark.parametrize(
    ("format", "change", "message"),
    [
        ("huggingface", {"pooling": "mean"}, "Hugging Face CLIPModel cannot hold .*pooling"),
        ("openai", {"norm_pre": False}, "OpenAI's format cannot hold .*norm_pre"),
        ("open_clip", {"patch_bias": True}, "open_clip ViT cannot hold .*patch_bias"),
    ],
)
def test_an_architecture_that_no_family_holds_is_refused(tmp_path, format, change, message):
    shape = replace(QUICKSTART, vision=replace(QUICKSTART.vision, **change))
    with pytest.raises(ConversionError, match=f"(?s){message}"):
        write(tmp_path, shape, format)
    assert names(tmp_path) == []


def test_a_tokenizer_that_a_format_cannot_hold_is_refused(tmp_path):
    words = word_tokenizer(tmp_path)
    with pytest.raises(ConversionError, match="OpenAI's format has CLIP's tokenizer"):
        write(tmp_path, format="openai", tokenizer=words)
    with pytest.raises(ConversionError, match="sees the padding"):
        write(tmp_path, siglip())
    assert names(tmp_path) == ["words.json"]


def test_a_failure_leaves_nothing_and_what_was_there(tmp_path):
    words, root = word_tokenizer(tmp_path), tmp_path / "exports"
    write(root, SMALL, tokenizer=words, params=make_params(SMALL, seed=1))
    before = {name: (root / CARD.name / name).read_bytes() for name in names(root / CARD.name)}

    def fail(*_):
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="exists already"):
        write(root, SMALL, tokenizer=words)
    with pytest.raises(UserError, match="mine: No space left on device"):
        write(root, SMALL, tokenizer=words, force=True, card=fail)  # the last file of all
    assert names(root) == [CARD.name]
    assert before == {name: (root / CARD.name / name).read_bytes() for name in before}
    with pytest.raises(UserError, match="mine: No space left on device"):
        write(root / "new", SMALL, tokenizer=words, card=fail)
    assert not (root / "new").exists()
    (root / CARD.name / "thesis.txt").touch()
    with pytest.raises(UserError, match=r"holds what no export has \(thesis.txt\)"):
        write(root, SMALL, tokenizer=words, force=True)
    (root / CARD.name / "thesis.txt").unlink()
    write(root, SMALL, tokenizer=words, force=True)
    weights = "model.safetensors"
    assert (root / CARD.name / weights).read_bytes() != before[weights]


@pytest.mark.parametrize("format", ["huggingface", "open_clip", "openai"])
def test_a_full_disk_is_a_clear_error_and_leaves_nothing(tmp_path, format):
    shape = replace(SMALL, text=replace(SMALL.text, eos_id=SMALL.text.vocabulary - 1))
    tokenizer = ClipBpe() if format == "openai" else word_tokenizer(tmp_path)
    make_params(shape)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write .*model"):
            write(tmp_path / "exports", shape, format, tokenizer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (tmp_path / "exports").exists()


def test_openai_s_format_needs_torch(tmp_path, monkeypatch):
    real = builtins.__import__

    def without_torch(name, *arguments, **options):
        if name == "torch":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    with pytest.raises(ConversionError, match="pip install torch"):
        write(tmp_path, format="openai")
    assert names(tmp_path) == []
