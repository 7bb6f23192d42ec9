"""A frozen teacher: what it costs, where it lies, and which one is refused."""

import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from kgclip_jax import config
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers
from kgclip_jax.errors import CheckpointError, ConfigError
from kgclip_jax.frozen_teachers import DualEncoderTeacher, open_teachers
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.flops import text_flops
from kgclip_jax.models.spec import KnowledgeEncoder
from kgclip_jax.models.transformer import Execution
from kgclip_jax.paths import leaves_by_path
from kgclip_jax.store.checkpoints import saved_steps
from kgclip_jax.store.description import describe
from kgclip_jax.store.workdir import Workdir
from tests import toys
from tests.store.runs import filled, save_run
from tests.training.test_toys import ONE, READING, TINY, TOY, trainer

TAUGHT = replace(TOY, objectives={"toy": toys.ToyObjective(teacher="clip")})
EXECUTION = Execution("float32").on("cpu")


@pytest.fixture
def source(tmp_path):
    """A run that might have trained the teacher: a checkpoint of random parameters."""
    workdir = Workdir(tmp_path / "source")
    params = filled(Model(TINY).abstract())
    save_run(workdir, describe(TINY, Tokenizers()), {7: {"model": params}})
    return workdir.root


def read_teachers(source, folder, reading=READING):
    settings = {"clip": DualEncoderTeacher("dual_encoder", str(source))}
    return open_teachers(settings, folder, reading, EXECUTION)


def test_a_teacher_costs_a_forward_pass_of_what_is_read_of_it_and_no_state(source, tmp_path):
    teachers = read_teachers(source, tmp_path / "teachers")
    assert teachers["clip"].origin == str(source)
    alone, taught = trainer(TOY, ONE), trainer(TAUGHT, ONE, teachers=teachers)
    assert (
        leaves_by_path(taught.setup.abstract).keys() == leaves_by_path(alone.setup.abstract).keys()
    )
    more, less = (each.compiled().cost_analysis()["flops"] for each in (taught, alone))
    forward = 32 * text_flops(TINY, 8)
    assert 0.9 * forward < more - less < 2 * forward
    _, (metrics,) = taught.train(1)
    assert metrics["toy/loss"] != alone.train(1)[1][0]["toy/loss"]
    for kept, own in zip(
        *map(jax.tree.leaves, (taught.setup.fixed.teachers["clip"], teachers["clip"].params)),
        strict=True,
    ):
        np.testing.assert_array_equal(kept, own)


def test_a_teacher_is_cut_like_its_student_and_teaches_the_same_in_parts(source, tmp_path):
    teachers = read_teachers(source, tmp_path / "teachers")
    _, (reference,) = trainer(TAUGHT, ONE, teachers=teachers).train(1)
    many = replace(TAUGHT, mesh=config.Mesh(2, 2, 2), execution=Execution(microbatches=2))
    parts = trainer(many, teachers=teachers)
    _, (metrics,) = parts.train(1)
    assert metrics["loss"] == pytest.approx(reference["loss"], rel=1e-6)
    for path, leaf in leaves_by_path(parts.setup.fixed.teachers["clip"]).items():
        wanted = leaves_by_path(parts.setup.abstract.params["model"])[path].sharding
        assert leaf.sharding.is_equivalent_to(wanted, leaf.ndim), path


def test_a_teacher_goes_on_when_its_source_is_gone_and_its_run_has_moved(source, tmp_path):
    first = read_teachers(source, tmp_path / "run" / "teachers")["clip"]
    shutil.rmtree(source)
    (tmp_path / "run").rename(tmp_path / "moved")
    again = read_teachers(source, tmp_path / "moved" / "teachers")["clip"]
    assert again.origin == str(source)
    assert again.model == first.model
    jax.tree.map(np.testing.assert_array_equal, again.params, first.params)


def test_a_damaged_copy_of_a_teacher_is_refused(source, tmp_path):
    folder = tmp_path / "teachers"
    read_teachers(source, folder)
    shutil.rmtree(folder / "clip" / "0" / "model")
    with pytest.raises(CheckpointError, match=r"damaged: .*/model/.*; delete .*clip/0 to begin"):
        read_teachers(source, folder)
    shutil.rmtree(folder / "clip" / "0")
    assert read_teachers(source, folder)["clip"].origin == str(source)


class OtherTokenizer(ClipTokenizer):
    fingerprint = "other"


def test_a_teacher_that_reads_otherwise_than_its_student_is_refused(source, tmp_path):
    for reading, message in [
        (replace(READING, image_size=32), r"reads pictures of 16 pixels, not of 32"),
        (replace(READING, tokenizer=OtherTokenizer(32)), "reads the tokens of another tokenizer"),
        (replace(READING, tokenizer=ClipTokenizer(64)), "reads at most 32 tokens, and .* is 64"),
    ]:
        with pytest.raises(ConfigError, match=rf"config\.teachers\.clip \(.*source\) {message}"):
            read_teachers(source, tmp_path / "teachers", reading)
    assert not saved_steps(tmp_path / "teachers" / "clip")


def test_a_teacher_that_reads_other_scene_graphs_is_refused(tmp_path):
    encoder = KnowledgeEncoder(TINY.text.transformer, triples=3, element_length=4)
    shape, other = (
        replace(TINY, knowledge=replace(encoder, triples=triples)) for triples in (3, 2)
    )
    workdir = Workdir(tmp_path / "source")
    params = filled(Model(shape).abstract())
    save_run(workdir, describe(shape, Tokenizers()), {7: {"model": params}})
    for student, message in [
        (TINY, r"reads scene graphs, and config\.model\.knowledge is None"),
        (other, r"reads other triples than config\.model\.knowledge"),
    ]:
        with pytest.raises(ConfigError, match=message):
            read_teachers(
                workdir.root, tmp_path / "teachers", preprocessing_for(student, Tokenizers())
            )
    reading = preprocessing_for(shape, Tokenizers())
    assert read_teachers(workdir.root, tmp_path / "teachers", reading)["clip"].model.shape == shape


def test_a_teacher_that_is_not_there_and_one_that_nobody_learns_from_are_refused(source, tmp_path):
    teachers = read_teachers(source, tmp_path / "teachers")
    other = replace(TOY, objectives={"toy": toys.ToyObjective(teacher="clap")})
    with pytest.raises(
        ConfigError,
        match=r"^config\.objectives\.toy: teachers\.clap is not there; did you mean clip",
    ):
        trainer(other, ONE, teachers=teachers)
    with pytest.raises(ConfigError, match=r"^config\.teachers\.clip is used by none of the objec"):
        trainer(TOY, ONE, teachers=teachers)
