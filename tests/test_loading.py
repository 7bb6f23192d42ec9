"""Trained models from runs and from elsewhere, as something to start from."""

import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from kgclip_jax.convert.export import export
from kgclip_jax.convert.foreign_models import EXTRA_FILE
from kgclip_jax.convert.weights import write_safetensors
from kgclip_jax.data.tokenization.tokenizer_config import TokenizerJson, Tokenizers
from kgclip_jax.errors import CheckpointError, ConfigError, ConversionError
from kgclip_jax.inference import load
from kgclip_jax.loading import open_trained, settings_of, starting_point
from kgclip_jax.models.adapters import Lora, abstract_adapters, merge_adapters
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.presets import preset
from kgclip_jax.store.description import describe
from kgclip_jax.store.workdir import Workdir
from tests.store.runs import filled, save_run

TOKENIZERS = Tokenizers()
SHAPE = replace(preset("tiny"), vision=replace(preset("tiny").vision, positions="learned"))
ADAPTERS = {"text": Lora(2, alpha=4.0)}


@pytest.fixture(scope="module")
def items():
    """Parameters of a run with low-rank factors, none of them zero."""
    model = Model(SHAPE)
    adapters = filled(abstract_adapters(model, ADAPTERS), seed=2)
    return {"model": filled(model.abstract()), "adapters": adapters}


@pytest.fixture(scope="module")
def run(tmp_path_factory, items):
    workdir = Workdir(tmp_path_factory.mktemp("run"))
    save_run(workdir, describe(SHAPE, TOKENIZERS, adapters=ADAPTERS), {3: items})
    return workdir.root


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same architecture as transformers keeps it."""
    output = tmp_path_factory.mktemp("exports") / "tiny"
    params = filled(Model(SHAPE).abstract(), seed=1)
    export(params, SHAPE, TOKENIZERS, output, format="huggingface", card=str)
    return output


def assert_equal(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    jax.tree.map(np.testing.assert_array_equal, left, right)


def test_a_run_gives_its_merged_parameters_as_often_as_one_likes(run, items):
    trained = open_trained(run)
    assert (trained.shape, trained.tokenizers, trained.step) == (SHAPE, TOKENIZERS, 3)
    expected = jax.device_get(merge_adapters(items["model"], items["adapters"], ADAPTERS))
    for _ in range(2):
        assert_equal(trained.read(), expected)


def test_no_platform_but_the_default_is_asked_for(run, monkeypatch):
    """JAX_PLATFORMS=cuda has no other."""

    def devices(backend=None, real=jax.devices):
        if backend == "cpu":
            raise RuntimeError("Unknown backend cpu")
        return real(backend)

    monkeypatch.setattr(jax, "devices", devices)
    assert load(run).encode_text(["a dog"]).shape == (1, SHAPE.embedding)


@pytest.mark.parametrize("kind", ["run", "folder"])
def test_the_home_folder_is_known(kind, run, folder, monkeypatch):
    source = {"run": run, "folder": folder}[kind]
    monkeypatch.setenv("HOME", str(source.parent))
    assert_equal(open_trained(f"~/{source.name}").read(), open_trained(source).read())
    assert settings_of(f"~/{source.name}")["init_from"] == f"~/{source.name}"


def test_a_run_and_a_folder_can_be_started_from(run, folder):
    assert_equal(starting_point(run, SHAPE, TOKENIZERS).read(), open_trained(run).read())
    assert_equal(
        starting_point(folder, SHAPE, TOKENIZERS).read(), filled(Model(SHAPE).abstract(), seed=1)
    )


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(items, broken, tmp_path):
    params = jax.tree.map(np.copy, items["model"])
    params["text"]["embedding"][3, 5] = params["logit_scale"][...] = broken
    run = Workdir(tmp_path / "run")
    save_run(run, describe(SHAPE, TOKENIZERS), {3: {"model": params}})
    message = f"^{run.root}: logit_scale and 1 others have numbers that are infinite or NaN"
    with pytest.raises(CheckpointError, match=message):
        open_trained(run.root).read()
    with pytest.raises(CheckpointError, match=message):
        starting_point(run.root, SHAPE, TOKENIZERS).read()


def test_what_only_runs_have_is_refused_of_others(folder):
    for options in ({"step": 1}, {"averaged": True}):
        with pytest.raises(CheckpointError, match="is no run"):
            open_trained(folder, **options)


def test_another_architecture_is_refused_line_by_line(folder):
    wanted = replace(SHAPE, vision=replace(SHAPE.vision, mean=(0.0, 0.5, 1.0)), embedding=16)
    with pytest.raises(ConversionError) as refusal:
        starting_point(folder, wanted, TOKENIZERS)
    assert "  embedding: 32 -> 16" in str(refusal.value).splitlines()
    assert "  vision.mean: (0.48" in str(refusal.value)
    assert "set config.model.KEY to the source's own value" in str(refusal.value).splitlines()[-1]


@pytest.mark.parametrize("kind", ["run", "folder", "file"])
def test_a_contradictory_shape_is_refused_by_every_source(kind, run, folder):
    source = {"run": run, "folder": folder, "file": folder / "model.safetensors"}[kind]
    found = open_trained(source, shape=replace(SHAPE, logit_scale=2.0)).shape
    assert replace(found, initial_values=SHAPE.initial_values) == SHAPE
    with pytest.raises(ConversionError) as refusal:
        open_trained(source, shape=replace(SHAPE, embedding=16))
    first, difference, remedy = str(refusal.value).splitlines()
    assert first.startswith(f"{source} is another model than the given shape")
    assert difference == "  embedding: 32 -> 16"
    assert "set config.model.KEY to the source's own value, or use --config=configs/" in remedy
    assert f"/finetune.py:{source};" in remedy


def test_another_image_size_is_taken_only_when_asked_for(folder):
    wanted = replace(SHAPE, vision=replace(SHAPE.vision, image_size=32))
    with pytest.raises(ConversionError, match="image_size: 16 -> 32"):
        starting_point(folder, wanted, TOKENIZERS)
    params = starting_point(folder, wanted, TOKENIZERS, resize=True).read()
    expected = jax.tree.map(lambda leaf: leaf.shape, Model(wanted).abstract())
    assert jax.tree.map(np.shape, params) == expected


def test_another_tokenizer_is_refused(folder, tmp_path, words):
    tokenizers = Tokenizers(TokenizerJson("json", str(words), pad_id=0))
    with pytest.raises(ConversionError, match=r"another tokenizer.*\{'kind': 'clip'\}"):
        starting_point(folder, SHAPE, tokenizers)


def without_tokenizer(folder, copy):
    shutil.copytree(folder, copy)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"):
        (copy / name).unlink()
    return copy


def test_a_folder_without_tokenizer_files_is_not_started_from(folder, tmp_path):
    bare = without_tokenizer(folder, tmp_path / "bare")
    assert open_trained(bare).tokenizers is None
    with pytest.raises(ConversionError, match=rf"^{bare} has no tokenizer files, .*put the token"):
        starting_point(bare, SHAPE, TOKENIZERS)


def test_a_file_alone_is_started_from(folder, tmp_path):
    file = Path(shutil.copy(folder / "model.safetensors", tmp_path))
    assert open_trained(file, shape=SHAPE).tokenizers is None
    assert_equal(
        starting_point(file, SHAPE, TOKENIZERS).read(), filled(Model(SHAPE).abstract(), seed=1)
    )


def test_a_tokenizer_beside_a_file_is_read(folder, tmp_path, words):
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copy(folder / name, tmp_path)
    assert open_trained(tmp_path / "model.safetensors", shape=SHAPE).tokenizers == TOKENIZERS


def test_heads_that_are_not_taken_are_named(folder, tmp_path, caplog):
    extended = shutil.copytree(folder, tmp_path / "extended")
    write_safetensors(extended, {"knowledge/kernel": np.ones(3)}, Path(EXTRA_FILE).stem)
    params = starting_point(extended, SHAPE, TOKENIZERS).read()
    assert_equal(params, filled(Model(SHAPE).abstract(), seed=1))
    assert caplog.messages == [f"{extended / EXTRA_FILE}: not taken, of no tower: knowledge/kernel"]


@pytest.fixture
def words(tmp_path):
    import tokenizers

    file = tmp_path / "words.json"
    model = tokenizers.models.WordLevel({"<unk>": 0, "dog": 1}, unk_token="<unk>")
    tokenizers.Tokenizer(model).save(str(file))
    return file


def test_nothing_there_is_said(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise AssertionError("looked up on the hub")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    monkeypatch.chdir(tmp_path)
    for source in (tmp_path / "nowhere", "runs/nowhere", "./nowhere", "~/nowhere", "a/b/nowhere"):
        with pytest.raises(ConversionError, match=f"^{source} is not there"):
            open_trained(source)


def test_a_damaged_config_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{\n"objectives": {,')
    with pytest.raises(ConfigError, match=r"config\.json, line 2"):
        open_trained(tmp_path)
