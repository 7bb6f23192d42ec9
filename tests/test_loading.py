"""Trained models from runs and from elsewhere, as something to start from."""

import shutil
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax import config, schema
from kgclip_jax.convert.export import export
from kgclip_jax.convert.model_card import Card
from kgclip_jax.convert.sources import EXTRA_FILE
from kgclip_jax.convert.weights import write_safetensors
from kgclip_jax.data.settings import Data
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.data.tokenization.tokenizer_config import ClipBpe, TokenizerJson, make_tokenizer
from kgclip_jax.errors import CheckpointError, ConfigError, ConversionError
from kgclip_jax.files import write_json
from kgclip_jax.loading import open_trained, starting_point
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.presets import preset
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.training import lora
from kgclip_jax.training.checkpoints import Checkpoints, describe
from kgclip_jax.training.settings import Optimizer, TowerTuning, Tuning
from kgclip_jax.training.step import TrainState
from kgclip_jax.workdir import Workdir

TOKENIZER = ClipTokenizer(32)
SHAPE = replace(preset("tiny"), vision=replace(preset("tiny").vision, positions="learned"))
EXPERIMENT = config.Experiment(
    model=SHAPE,
    data=Data({}),
    objectives=config.Objectives(Contrastive("softmax")),
    optimizer=Optimizer(1e-3),
    total_steps=4,
    batch_size=8,
    tuning=Tuning(text=TowerTuning("lora", rank=2, alpha=4.0)),
)


def filled(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32) * np.float32(0.1), shapes
    )


@pytest.fixture(scope="module")
def adapted():
    """Parameters of a run with low-rank factors, none of them zero."""
    return filled(lora.abstract_params(Model(SHAPE), EXPERIMENT.tuning))


@pytest.fixture(scope="module")
def run(tmp_path_factory, adapted):
    workdir = Workdir(tmp_path_factory.mktemp("run"))
    write_json(workdir.config, schema.to_dict(EXPERIMENT))
    checkpoints = Checkpoints(workdir.checkpoints, describe(SHAPE, TOKENIZER.fingerprint))
    params = jax.tree.map(jnp.asarray, adapted)
    checkpoints.save(3, TrainState(jnp.array(3), params, {}, None), {})
    checkpoints.close()
    return workdir.root


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same architecture as transformers keeps it."""
    output = tmp_path_factory.mktemp("exports") / "tiny"
    params = filled(Model(SHAPE).abstract(), seed=1)
    export(params, SHAPE, ClipBpe(), output, format="huggingface", card=Card("tiny", 0, {}))
    return output


def assert_equal(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    jax.tree.map(np.testing.assert_array_equal, left, right)


def test_a_run_gives_its_merged_parameters(run, adapted):
    trained = open_trained(run)
    assert (trained.shape, trained.tokenizer, trained.step) == (SHAPE, ClipBpe(), 3)
    expected = jax.device_get(lora.merge(adapted, EXPERIMENT.tuning))
    assert_equal(trained.read(), expected)
    plain = adapted["text"]["blocks"]["mlp"]["up"]["kernel"]
    assert np.abs(expected["text"]["blocks"]["mlp"]["up"]["kernel"] - plain).max() > 1e-3


def test_a_run_and_a_folder_can_be_started_from(run, folder):
    assert_equal(starting_point(run, SHAPE, TOKENIZER).read(), open_trained(run).read())
    assert_equal(
        starting_point(folder, SHAPE, TOKENIZER).read(), filled(Model(SHAPE).abstract(), seed=1)
    )


def test_what_only_runs_have_is_refused_of_others(folder):
    for options in ({"step": 1}, {"averaged": True}):
        with pytest.raises(CheckpointError, match="is no run"):
            open_trained(folder, **options)


def test_another_architecture_is_refused_line_by_line(folder):
    wanted = replace(SHAPE, vision=replace(SHAPE.vision, mean=(0.0, 0.5, 1.0)), embedding=16)
    with pytest.raises(ConversionError) as refusal:
        starting_point(folder, wanted, TOKENIZER)
    assert "  embedding: 32 -> 16" in str(refusal.value).splitlines()
    assert "  vision.mean: (0.48" in str(refusal.value)
    assert "set config.model.KEY to the source's own value" in str(refusal.value).splitlines()[-1]


@pytest.mark.parametrize("kind", ["run", "folder", "file"])
def test_a_contradictory_shape_is_refused_by_every_source(kind, run, folder):
    source = {"run": run, "folder": folder, "file": folder / "model.safetensors"}[kind]
    assert open_trained(source, shape=replace(SHAPE, logit_scale=2.0)).shape == SHAPE
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
        starting_point(folder, wanted, TOKENIZER)
    params = starting_point(folder, wanted, TOKENIZER, resize=True).read()
    expected = jax.tree.map(lambda leaf: leaf.shape, Model(wanted).abstract())
    assert jax.tree.map(np.shape, params) == expected


def test_another_tokenizer_is_refused(folder, tmp_path, words):
    tokenizer = make_tokenizer(TokenizerJson("json", str(words), pad_id=0), 32)
    with pytest.raises(ConversionError, match=r"another tokenizer.*\{'kind': 'clip'\}"):
        starting_point(folder, SHAPE, tokenizer)


def without_tokenizer(folder, copy):
    shutil.copytree(folder, copy)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"):
        (copy / name).unlink()
    return copy


def test_a_folder_without_tokenizer_files_is_not_started_from(folder, tmp_path):
    bare = without_tokenizer(folder, tmp_path / "bare")
    assert open_trained(bare).tokenizer is None
    with pytest.raises(ConversionError, match=rf"^{bare} has no tokenizer files, .*put the token"):
        starting_point(bare, SHAPE, TOKENIZER)


def test_a_file_alone_is_started_from(folder, tmp_path):
    file = Path(shutil.copy(folder / "model.safetensors", tmp_path))
    assert open_trained(file, shape=SHAPE).tokenizer is None
    assert_equal(
        starting_point(file, SHAPE, TOKENIZER).read(), filled(Model(SHAPE).abstract(), seed=1)
    )


def test_a_tokenizer_beside_a_file_is_read(folder, tmp_path, words):
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copy(folder / name, tmp_path)
    assert open_trained(tmp_path / "model.safetensors", shape=SHAPE).tokenizer == ClipBpe()


def test_heads_that_are_not_taken_are_named(folder, tmp_path, caplog):
    extended = shutil.copytree(folder, tmp_path / "extended")
    write_safetensors(extended, {"knowledge/kernel": np.ones(3)}, Path(EXTRA_FILE).stem)
    params = starting_point(extended, SHAPE, TOKENIZER).read()
    assert_equal(params, filled(Model(SHAPE).abstract(), seed=1))
    assert caplog.messages == [f"{extended / EXTRA_FILE}: not taken, of no tower: knowledge/kernel"]


@pytest.fixture
def words(tmp_path):
    import tokenizers

    file = tmp_path / "words.json"
    model = tokenizers.models.WordLevel({"<unk>": 0, "dog": 1}, unk_token="<unk>")
    tokenizers.Tokenizer(model).save(str(file))
    return file


def test_a_run_keeps_a_copy_of_its_tokenizer(tmp_path, words):
    workdir = Workdir(tmp_path / "run")
    workdir.create()
    settings = TokenizerJson("json", str(words), pad_id=0)
    workdir.keep_tokenizer(settings)
    content = words.read_bytes()
    words.unlink()
    own = workdir.own_tokenizer(settings)
    assert own.file != settings.file
    assert (tmp_path / "run" / "tokenizer.json").read_bytes() == content
    assert make_tokenizer(own, 8)(["dog"])[0].tolist() == [1] + [0] * 7


def test_nothing_there_is_said(tmp_path):
    with pytest.raises((ConfigError, ConversionError), match="nowhere"):
        open_trained(tmp_path / "nowhere")
