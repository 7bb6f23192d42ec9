"""Damage to a checkpoint is found when it is read, and what is whole is named."""

import shutil

import pytest

from kgclip_jax.errors import CheckpointError
from kgclip_jax.store.checkpoints import Checkpoints
from tests.store.test_checkpoints import abstract_of, assert_equal, make_items, save


@pytest.fixture(scope="module")
def two_steps(tmp_path_factory):
    """Folder of the checkpoints of steps 1 and 2."""
    folder = tmp_path_factory.mktemp("two") / "checkpoints"
    checkpoints = Checkpoints(folder)
    for step in (1, 2):
        save(checkpoints, step, make_items(step, averaged=True))
    checkpoints.close()
    return folder


def largest_file(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return max(files, key=lambda path: path.stat().st_size)


def flip_a_bit(folder):
    file = largest_file(folder)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def zero(folder):
    file = largest_file(folder)
    file.write_bytes(bytes(4096) + file.read_bytes()[4096:])


def empty(folder):
    shutil.rmtree(folder.parent)
    folder.parent.mkdir()


@pytest.mark.parametrize("part", ["model", "optimizer", "progress", "description"])
@pytest.mark.parametrize("harm", [flip_a_bit, zero, shutil.rmtree, empty])
def test_damage_is_found_and_the_step_that_is_whole_is_named(two_steps, tmp_path, harm, part):
    folder = shutil.copytree(two_steps, tmp_path / "checkpoints")
    harm(folder / "2" / part)
    items, checkpoints = make_items(), Checkpoints(folder)

    def read(step):
        checkpoints.restore(step, abstract_of(items))
        checkpoints.progress(step)

    with pytest.raises(CheckpointError) as refusal:
        read(2)
    (line,) = str(refusal.value).splitlines()
    file = "checksums.json" if harm is empty else f"{part}/"
    assert line.startswith("the checkpoint of step 2 is damaged: ")
    assert file in line
    assert line.endswith(f"; delete {folder}/2 to go back to step 1")
    read(1)
    harm(folder / "1" / part)
    with pytest.raises(CheckpointError, match="to begin anew: none before is whole"):
        read(2)
    checkpoints.close()


def test_damage_of_what_is_not_read_is_no_hindrance(two_steps, tmp_path):
    folder = shutil.copytree(two_steps, tmp_path / "checkpoints")
    items, checkpoints = make_items(1, averaged=True), Checkpoints(folder)
    flip_a_bit(folder / "1" / "average")
    flip_a_bit(folder / "1" / "optimizer")
    assert_equal(checkpoints.restore_on_host(1, "model", items["model"]), items["model"])
    with pytest.raises(CheckpointError, match=r"average/.* is not as it was written"):
        checkpoints.restore_on_host(1, "average", items["average"])
    checkpoints.close()
