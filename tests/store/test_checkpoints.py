"""Checkpoints: whole or not there, exact, of the arrays asked for, and honest about failures."""

import resource
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from kgclip_jax.errors import CheckpointError
from kgclip_jax.store.checkpoints import Checkpoints, saved_steps

LARGEST_FILE = 8 * 2**20  # bytes


def make_items(seed=0, *, heads=(), averaged=False):
    keys = jax.random.split(jax.random.key(seed), 3)
    kernel, factor, head = (jax.random.normal(key, (64, 128)) for key in keys)
    params = {
        "model": {"text": {"kernel": kernel}, "logit_scale": jnp.array(2.5)},
        "adapters": {"text": {"a": factor}},
        "heads": {name: {"kernel": head} for name in heads},
    }
    optimizer = optax.adamw(1e-3).init(params)
    average = jax.tree.map(lambda leaf: leaf / 2, params) if averaged else None
    step = {"step": jnp.array(seed, jnp.int32), "state": optimizer}
    return params | {"optimizer": step, "average": average}


def make_large_items(seed):
    """Twice what the disk takes, in one file: tensorstore grumbles at a second one."""
    values = np.random.default_rng(seed).random(LARGEST_FILE // 2, np.float32)
    return {"model": {"kernel": jnp.asarray(values)}}


def abstract_of(tree):
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), tree
    )


def assert_equal(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    jax.tree.map(np.testing.assert_array_equal, left, right)


def save(checkpoints, step, items=None, *, progress=None, description=None):
    items = make_items(step) if items is None else items
    checkpoints.save(step, items, progress=progress or {}, description=description or {})


@pytest.fixture
def open_checkpoints(tmp_path):
    """Open the same folder again and again; all are closed at the end."""
    opened = []

    def open_folder(**settings):
        opened.append(Checkpoints(tmp_path / "checkpoints", **settings))
        return opened[-1]

    yield open_folder
    for checkpoints in opened:
        checkpoints.close()


@pytest.fixture
def saved(open_checkpoints):
    """Save items as step 1 and open them anew."""

    def saved(items, **rest):
        checkpoints = open_checkpoints()
        save(checkpoints, 1, items, **rest)
        checkpoints.close()
        return open_checkpoints()

    return saved


@pytest.fixture
def small_files_only():
    """Let the disk refuse large files, but not the log of the tests, if that is a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("averaged", [False, True])
def test_trees_and_progress_come_back_bit_equal(saved, averaged):
    items = make_items(3, heads=("fusion",), averaged=averaged)
    checkpoints = saved(items, progress={"position": 3, "bad": {"torn": 2}})
    for _ in range(2):  # an open folder is read as often as one likes
        assert_equal(checkpoints.restore(1, abstract_of(items)), items)
        assert checkpoints.progress(1) == {"position": 3, "bad": {"torn": 2}}


def test_empty_trees_are_not_written_and_come_back_empty(saved, tmp_path):
    items = make_items() | {"adapters": {}}
    checkpoints = saved(items, description={"model": "tiny"})
    named = ["model", "optimizer"]
    assert checkpoints.description(1) == {"model": "tiny", "items": named}
    folder = tmp_path / "checkpoints" / "1"
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {
        *named,
        "progress",
        "description",
    }
    assert_equal(checkpoints.restore(1, abstract_of(items)), items)


def test_trees_restore_onto_other_devices(saved):
    items = make_items(heads=("fusion",))
    mesh = Mesh(np.array(jax.devices()).reshape(4, 2), ("rows", "columns"))

    def place(leaf):
        spec = PartitionSpec("columns", "rows") if leaf.ndim == 2 else PartitionSpec()
        sharding = NamedSharding(mesh, spec)
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    abstract = jax.tree.map(place, items)
    restored = saved(items).restore(1, abstract)
    assert_equal(restored, items)
    assert_equal(
        jax.tree.map(lambda leaf: leaf.sharding, restored),
        jax.tree.map(lambda leaf: leaf.sharding, abstract),
    )


def test_an_average_may_be_left_alone(saved):
    items = make_items(averaged=True)
    abstract = abstract_of(items | {"average": None})
    assert_equal(saved(items).restore(1, abstract), items | {"average": None})


def test_a_part_is_read_on_the_host_whatever_stands_beside_it(saved):
    items = make_items(heads=("fusion",), averaged=True)
    checkpoints = saved(items)
    for item, subtree, expected in [
        ("model", None, items["model"]),
        ("heads", "fusion", items["heads"]["fusion"]),
        ("average", "model", items["average"]["model"]),
    ]:
        abstract = jax.eval_shape(lambda tree: tree, expected)
        read = checkpoints.restore_on_host(1, item, abstract, subtree)
        assert_equal(read, expected)
        assert all(type(leaf) is np.ndarray for leaf in jax.tree.leaves(read))
    assert checkpoints.restore_on_host(1, "no such item", {}) == {}


def test_a_part_that_is_not_there_is_named(saved):
    checkpoints = saved(make_items(averaged=True))
    abstract = abstract_of(make_items(heads=("fusion",)))
    with pytest.raises(CheckpointError, match=r"/1 has no heads; it has: adapters, average, model"):
        checkpoints.restore_on_host(1, "heads", abstract["heads"])
    with pytest.raises(CheckpointError, match="/1/average has no heads; it has: adapters, model"):
        checkpoints.restore_on_host(1, "average", abstract["heads"], "heads")


def refusal(checkpoints, items):
    with pytest.raises(CheckpointError, match="/1 holds other arrays:\n") as error:
        checkpoints.restore(1, abstract_of(items))
    return {line.strip() for line in str(error.value).splitlines()[1:]}


def test_other_parts_are_refused_with_a_line_for_each_branch(saved):
    checkpoints = saved(make_items(heads=("fusion", "graph")))
    lines = refusal(checkpoints, make_items(heads=("graph", "projection")))
    assert {line for line in lines if not line.startswith("optimizer")} == {
        "heads/fusion (1 arrays) in the checkpoint alone",
        "heads/projection (1 arrays) here alone",
    }
    assert "optimizer/state/0/mu/heads/fusion (1 arrays) in the checkpoint alone" in lines
    assert refusal(checkpoints, {"model": make_items()["model"]}) == {
        "adapters (1 arrays) in the checkpoint alone",
        "heads (2 arrays) in the checkpoint alone",
        "optimizer (12 arrays) in the checkpoint alone",
    }


def test_other_shapes_and_dtypes_are_refused(saved):
    items = make_items()
    checkpoints = saved(items)
    model = {"text": {"kernel": jnp.zeros((64, 3))}, "logit_scale": jnp.array(1, jnp.bfloat16)}
    assert refusal(checkpoints, items | {"model": model}) == {
        "model/text/kernel: float32[64, 128] in the checkpoint, float32[64, 3] here",
        "model/logit_scale: float32[] in the checkpoint, bfloat16[] here",
    }


def test_what_is_saved_is_not_touched_by_the_steps_that_reuse_its_memory(open_checkpoints):
    items = make_items(1)
    abstract, expected = abstract_of(items), jax.device_get(items)
    step = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf * 0, tree), donate_argnums=0)
    checkpoints = open_checkpoints()
    save(checkpoints, 1, items)
    for _ in range(3):
        items = step(items)
    checkpoints.close()
    assert_equal(open_checkpoints().restore(1, abstract), expected)


def test_only_the_newest_are_kept(open_checkpoints, tmp_path):
    checkpoints = open_checkpoints(keep=2)
    for step in (2, 4, 6, 8):
        save(checkpoints, step)
    checkpoints.close()
    assert saved_steps(tmp_path / "checkpoints") == [6, 8]


def test_saving_a_step_twice_is_saving_it_once(open_checkpoints):
    checkpoints = open_checkpoints()
    save(checkpoints, 5, progress={"position": 5})
    save(checkpoints, 5, progress={"position": 6})
    assert checkpoints.progress(5) == {"position": 5}


def test_a_reader_sees_what_another_saves_meanwhile(open_checkpoints):
    reader, writer = open_checkpoints(), open_checkpoints(keep=1)
    for step in (3, 4):
        items = make_items(step)
        save(writer, step, items)
        writer.progress(step)  # waits for the save
        assert_equal(reader.restore(step, abstract_of(items)), items)
    with pytest.raises(CheckpointError, match="has no step 3; it has: 4"):
        reader.progress(3)


def test_what_a_killed_run_left_half_written_is_removed_by_the_next_run_only(
    open_checkpoints, tmp_path
):
    partial = tmp_path / "checkpoints" / "7.orbax-checkpoint-tmp"
    partial.mkdir(parents=True)
    open_checkpoints().close()
    assert saved_steps(tmp_path / "checkpoints") == []
    assert partial.exists()
    checkpoints = open_checkpoints(keep=3)
    save(checkpoints, 7)
    checkpoints.close()
    assert [entry.name for entry in (tmp_path / "checkpoints").iterdir()] == ["7"]


def test_an_unknown_step_is_an_error_that_lists_the_known_ones(open_checkpoints):
    checkpoints = open_checkpoints()
    with pytest.raises(CheckpointError, match="has no step 4; it has: none"):
        checkpoints.restore(4, {})
    for step in (3, 9):
        save(checkpoints, step)
    with pytest.raises(CheckpointError, match="has no step 4; it has: 3, 9"):
        checkpoints.description(4)


def test_which_checkpoints_there_are_is_known_without_opening_any(open_checkpoints, tmp_path):
    folder = tmp_path / "checkpoints"
    assert saved_steps(folder) == []
    assert not folder.exists()
    (folder / "7.orbax-checkpoint-tmp").mkdir(parents=True)
    assert saved_steps(folder) == []
    checkpoints = open_checkpoints()
    for step in (8, 10):
        save(checkpoints, step)
    checkpoints.close()
    assert saved_steps(folder) == [8, 10]


def test_a_save_that_fails_in_the_background_is_told_at_the_next_step(
    open_checkpoints, small_files_only
):
    checkpoints = open_checkpoints()
    checkpoints.check()
    save(checkpoints, 2, make_large_items(2))

    def take_steps():
        for _ in range(3000):
            checkpoints.check()
            time.sleep(0.01)

    with pytest.raises(CheckpointError, match=r"there is none yet.*File too large"):
        take_steps()


def test_a_failed_save_leaves_the_one_before_it_whole(open_checkpoints, request, tmp_path):
    checkpoints = open_checkpoints()
    first = make_large_items(1)
    save(checkpoints, 1, first)
    restored = checkpoints.restore(1, abstract_of(first))  # waits for the save
    request.getfixturevalue("small_files_only")
    save(checkpoints, 2, make_large_items(2))
    with pytest.raises(CheckpointError, match="the checkpoint of step 1 is whole"):
        checkpoints.close()
    assert_equal(restored, first)
    assert saved_steps(tmp_path / "checkpoints") == [1]
    assert_equal(open_checkpoints().restore(1, abstract_of(first)), first)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"cannot keep checkpoints in .*file/checkpoints"):
        Checkpoints(tmp_path / "file" / "checkpoints")
