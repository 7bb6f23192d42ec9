"""Trained models from checkpoints, which say themselves what they hold."""

import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers, make_tokenizer
from kgclip_jax.errors import CheckpointError, DataError
from kgclip_jax.models.adapters import Lora, abstract_adapters, merge_adapters
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.presets import preset
from kgclip_jax.models.transformer import Execution
from kgclip_jax.store.checkpoints import Checkpoints
from kgclip_jax.store.description import describe
from kgclip_jax.store.trained import open_run
from kgclip_jax.store.workdir import Workdir
from tests.convert.small_models import word_tokenizer
from tests.store.runs import filled, save_run

SHAPE = preset("tiny")
ADAPTERS = {"text": Lora(2, alpha=4.0)}


def make_params(seed):
    model = Model(SHAPE)
    return {
        "model": filled(model.abstract(), seed),
        "adapters": filled(abstract_adapters(model, ADAPTERS), seed + 1),
        "heads": {"fusion": {"kernel": np.full((2, 3), seed, np.float32)}},
    }


def merged(seed):
    params = make_params(seed)
    return jax.device_get(merge_adapters(params["model"], params["adapters"], ADAPTERS))


def assert_equal(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    jax.tree.map(np.testing.assert_array_equal, left, right)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = Workdir(tmp_path_factory.mktemp("run"))
    items = {step: make_params(step) | {"average": make_params(10 + step)} for step in (0, 4)}
    execution = Execution("bfloat16", microbatches=2)
    save_run(workdir, describe(SHAPE, Tokenizers(), adapters=ADAPTERS, execution=execution), items)
    return workdir


def test_a_run_gives_its_merged_parameters_whatever_heads_it_had(run):
    trained = open_run(run)
    assert (trained.shape, trained.tokenizers, trained.step) == (SHAPE, Tokenizers(), 4)
    assert trained.execution == Execution("bfloat16", microbatches=2)
    params = trained.read()
    assert_equal(params, merged(4))
    plain = make_params(4)["model"]["text"]["blocks"]["mlp"]["up"]["kernel"]
    assert np.abs(params["text"]["blocks"]["mlp"]["up"]["kernel"] - plain).max() > 1e-3
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(params))


def test_steps_and_averages_are_chosen_and_read_as_often_as_one_likes(run):
    first, averaged = open_run(run, step=0), open_run(run, averaged=True)
    for _ in range(2):
        assert_equal(first.read(), merged(0))
        assert_equal(averaged.read(), merged(14))


def test_the_config_of_the_run_is_not_read(run, tmp_path):
    moved = Workdir(tmp_path / "moved")
    shutil.copytree(run.root, moved.root)
    moved.config.write_text("{}")
    assert_equal(open_run(moved).read(), merged(4))


def test_what_is_not_there_is_said(run, tmp_path):
    with pytest.raises(CheckpointError, match="has no step 7; it has: 0, 4"):
        open_run(run, step=7)
    with pytest.raises(CheckpointError, match="checkpoints has no checkpoint yet"):
        open_run(Workdir(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_an_average_that_was_not_kept_is_an_error(tmp_path):
    workdir = Workdir(tmp_path)
    save_run(workdir, describe(SHAPE, Tokenizers()), {1: {"model": make_params(1)["model"]}})
    assert_equal(open_run(workdir).read(), make_params(1)["model"])
    with pytest.raises(CheckpointError, match=r"keeps no moving average; it would with config\.op"):
        open_run(workdir, averaged=True)


def test_a_run_is_opened_beside_one_that_is_saving(tmp_path):
    workdir = Workdir(tmp_path)
    model = make_params(1)["model"]
    save_run(workdir, describe(SHAPE, Tokenizers()), {1: {"model": model}})
    writer = Checkpoints(workdir.checkpoints, keep=2)
    trained = open_run(workdir)
    writer.save(2, {"model": model}, progress={}, description=describe(SHAPE, Tokenizers()))
    assert_equal(trained.read(), model)
    writer.close()
    assert (trained.step, open_run(workdir).step) == (1, 2)


def test_a_moved_run_has_its_tokenizer_with_it(tmp_path):
    workdir, settings = Workdir(tmp_path / "run"), word_tokenizer(tmp_path)
    shape = replace(SHAPE, text=replace(SHAPE.text, vocabulary=12, eos_id=1))
    params = filled(Model(shape).abstract())
    save_run(workdir, describe(shape, Tokenizers(settings)), {1: {"model": params}})
    workdir.keep_tokenizers(Tokenizers(settings))
    (tmp_path / "words.json").unlink()
    moved = Workdir(workdir.root.rename(tmp_path / "moved"))
    own = open_run(moved).tokenizers.text
    assert own == replace(settings, file=str(moved.root / "tokenizer.json"))
    assert make_tokenizer(own, 8)(["dog"])[0].tolist() == [3, *[1] * 7]
    changed = (moved.root / "tokenizer.json").read_text().replace("dog", "cat")
    (moved.root / "tokenizer.json").write_text(changed)
    with pytest.raises(CheckpointError, match="moved has other tokenizers than it was trained"):
        open_run(moved)
    (moved.root / "tokenizer.json").unlink()
    with pytest.raises(DataError, match=r"moved/tokenizer\.json"):
        open_run(moved)
