"""Checkpoints: whole or not there, of one model, exact, and honest about failures."""

import resource
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.errors import CheckpointError
from kgclip_jax.models.presets import preset
from kgclip_jax.training.checkpoints import Checkpoints, describe, saved_steps
from kgclip_jax.training.step import TrainState

DESCRIPTION = describe(preset("tiny"), "fingerprint")


def make_state(seed=0, *, averaged=False):
    keys = jax.random.split(jax.random.key(seed), 3)
    kernel, first, average = (jax.random.normal(key, (64, 128)) for key in keys)
    params = {"text": {"kernel": kernel}, "logit_scale": jnp.array(2.5)}
    return TrainState(
        step=jnp.array(seed, jnp.int32),
        params=params,
        optimizer=({"mu": first}, jnp.array(seed)),
        average={"text": {"kernel": average}, "logit_scale": jnp.array(1.5)} if averaged else None,
    )


LARGEST_FILE = 8 * 2**20  # bytes


def make_large_leaf(seed):
    """A state of twice what the disk takes, in one file: tensorstore grumbles at a second one."""
    values = np.random.default_rng(seed).random(LARGEST_FILE // 2, np.float32)
    return TrainState(jnp.array(seed), {"kernel": jnp.asarray(values)}, {}, None)


def abstract_of(state):
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), state
    )


def assert_equal(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for mine, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.fixture
def open_checkpoints(tmp_path):
    """Open the same folder again and again; all are closed at the end."""
    opened = []

    def open_folder(description=DESCRIPTION, **settings):
        opened.append(Checkpoints(tmp_path / "checkpoints", description, **settings))
        return opened[-1]

    yield open_folder
    for checkpoints in opened:
        checkpoints.close()


@pytest.fixture
def small_files_only():
    """Let the disk refuse large files, but not the log of the tests, if that is a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("averaged", [False, True])
def test_state_and_progress_come_back_bit_equal(open_checkpoints, averaged):
    state = make_state(3, averaged=averaged)
    checkpoints = open_checkpoints()
    checkpoints.save(3, state, {"data_position": 3, "bad_records": {"torn": 2}})
    checkpoints.close()
    restored, progress = open_checkpoints().restore(3, abstract_of(state))
    assert_equal(restored, state)
    assert progress == {"data_position": 3, "bad_records": {"torn": 2}}


def test_a_saved_state_is_not_touched_by_the_steps_that_reuse_its_memory(open_checkpoints):
    state = make_state(1)
    expected = jax.device_get(state)
    step = jax.jit(lambda state: jax.tree.map(lambda leaf: leaf * 0, state), donate_argnums=0)
    checkpoints = open_checkpoints()
    checkpoints.save(1, state, {})
    for _ in range(3):
        state = step(state)
    checkpoints.close()
    restored, _ = open_checkpoints().restore(1, abstract_of(state))
    assert_equal(restored, expected)


def test_only_the_newest_are_kept(open_checkpoints, tmp_path):
    checkpoints = open_checkpoints(keep=2)
    for step in (2, 4, 6, 8):
        checkpoints.save(step, make_state(step), {})
    checkpoints.close()
    assert saved_steps(tmp_path / "checkpoints") == [6, 8]


def test_saving_a_step_twice_is_saving_it_once(open_checkpoints):
    checkpoints = open_checkpoints()
    checkpoints.save(5, make_state(5), {"data_position": 5})
    checkpoints.save(5, make_state(6), {"data_position": 6})
    checkpoints.close()
    assert open_checkpoints().restore(5, abstract_of(make_state()))[1] == {"data_position": 5}


def test_what_a_killed_run_left_half_written_is_removed_by_the_next_run_only(
    open_checkpoints, tmp_path
):
    partial = tmp_path / "checkpoints" / "7.orbax-checkpoint-tmp"
    partial.mkdir(parents=True)
    open_checkpoints().close()
    assert saved_steps(tmp_path / "checkpoints") == []
    assert partial.exists()
    checkpoints = open_checkpoints(keep=3)
    checkpoints.save(7, make_state(7), {})
    checkpoints.close()
    assert [entry.name for entry in (tmp_path / "checkpoints").iterdir()] == ["7"]


def test_parameters_and_their_average_are_read_alone(open_checkpoints):
    state = make_state(1, averaged=True)
    checkpoints = open_checkpoints()
    checkpoints.save(1, state, {})
    abstract = abstract_of(state.params)
    assert_equal(checkpoints.restore_params(1, abstract), state.params)
    assert_equal(checkpoints.restore_params(1, abstract, averaged=True), state.average)


def test_an_average_that_was_not_kept_is_an_error(open_checkpoints):
    state = make_state(1)
    checkpoints = open_checkpoints()
    checkpoints.save(1, state, {})
    with pytest.raises(CheckpointError, match="keeps no moving average"):
        checkpoints.restore_params(1, abstract_of(state.params), averaged=True)


def test_an_unknown_step_is_an_error_that_lists_the_known_ones(open_checkpoints):
    checkpoints = open_checkpoints()
    with pytest.raises(CheckpointError, match="has no step 4; it has: none"):
        checkpoints.restore(4, abstract_of(make_state()))
    for step in (3, 9):
        checkpoints.save(step, make_state(), {})
    with pytest.raises(CheckpointError, match="has no step 4; it has: 3, 9"):
        checkpoints.restore_params(4, abstract_of(make_state().params))


def test_what_is_younger_than_a_checkpoint_had_its_default(open_checkpoints):
    description = describe(preset("tiny"), "fingerprint")
    del description["model"]["knowledge"]
    older = open_checkpoints(description)
    older.save(1, make_state(), {})
    older.close()
    state, _ = open_checkpoints().restore(1, abstract_of(make_state()))
    assert_equal(state, make_state())


def test_a_model_of_another_version_is_refused(open_checkpoints):
    description = describe(preset("tiny"), "fingerprint")
    description["model"]["frobnicate"] = True
    younger = open_checkpoints(description)
    younger.save(1, make_state(), {})
    younger.close()
    with pytest.raises(CheckpointError, match=r"/1 holds a model of another version: .*frobnicate"):
        open_checkpoints().restore(1, abstract_of(make_state()))


def test_another_model_is_refused_with_a_diff(open_checkpoints):
    checkpoints = open_checkpoints()
    checkpoints.save(1, make_state(), {})
    checkpoints.close()
    other = open_checkpoints(describe(preset("quickstart"), "another fingerprint"))
    with pytest.raises(CheckpointError, match="/1 holds another model:\n") as refusal:
        other.restore(1, abstract_of(make_state()))
    lines = str(refusal.value).splitlines()[1:]
    assert "  model.vision.image_size: 16 in the checkpoint, 32 here" in lines
    assert "  tokenizer: 'fingerprint' in the checkpoint, 'another fingerprint' here" in lines
    assert not any("patch_size" in line for line in lines)  # both have 8


def test_other_word_pieces_are_another_model(open_checkpoints):
    checkpoints = open_checkpoints(describe(preset("tiny"), "fingerprint", "pieces"))
    checkpoints.save(1, make_state(), {})
    checkpoints.close()
    other = open_checkpoints(describe(preset("tiny"), "fingerprint", "others"))
    with pytest.raises(CheckpointError, match="element_tokenizer: 'pieces' in the checkpoint"):
        other.restore(1, abstract_of(make_state()))
    assert "element_tokenizer" not in DESCRIPTION


def test_which_checkpoints_there_are_is_known_without_opening_any(open_checkpoints, tmp_path):
    folder = tmp_path / "checkpoints"
    assert saved_steps(folder) == []
    assert not folder.exists()
    (folder / "7.orbax-checkpoint-tmp").mkdir(parents=True)
    assert saved_steps(folder) == []
    checkpoints = open_checkpoints()
    for step in (8, 10):
        checkpoints.save(step, make_state(step), {})
    checkpoints.close()
    assert saved_steps(folder) == [8, 10]


def test_a_damaged_checkpoint_is_named(open_checkpoints, tmp_path):
    checkpoints = open_checkpoints()
    checkpoints.save(1, make_state(), {})
    checkpoints.close()
    for file in (tmp_path / "checkpoints" / "1" / "params").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"cannot read checkpoint .*/1: "):
        open_checkpoints().restore(1, abstract_of(make_state()))


def test_a_save_that_fails_in_the_background_is_told_at_the_next_step(
    open_checkpoints, small_files_only
):
    checkpoints = open_checkpoints()
    checkpoints.check()
    checkpoints.save(2, make_large_leaf(2), {})

    def take_steps():
        for _ in range(3000):
            checkpoints.check()
            time.sleep(0.01)

    with pytest.raises(CheckpointError, match=r"there is none yet.*File too large"):
        take_steps()


def test_a_failed_save_leaves_the_one_before_it_whole(open_checkpoints, request, tmp_path):
    checkpoints = open_checkpoints()
    first = make_large_leaf(1)
    checkpoints.save(1, first, {})
    restored, _ = checkpoints.restore(1, abstract_of(first))  # waits for the save
    request.getfixturevalue("small_files_only")
    checkpoints.save(2, make_large_leaf(2), {})
    with pytest.raises(CheckpointError, match="the checkpoint of step 1 is whole"):
        checkpoints.close()
    assert_equal(restored, first)
    assert saved_steps(tmp_path / "checkpoints") == [1]
    assert_equal(open_checkpoints().restore(1, abstract_of(first))[0], first)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"cannot keep checkpoints in .*file/checkpoints"):
        Checkpoints(tmp_path / "file" / "checkpoints", DESCRIPTION)
