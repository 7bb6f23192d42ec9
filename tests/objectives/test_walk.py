"""What is decided for a walk, and what a ring costs in memory and between devices."""

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from kgclip_jax.batch import Pairs
from kgclip_jax.models.rows import ROW_AXES
from kgclip_jax.objectives.contrastive import (
    Contrastive,
    sigmoid_contrastive,
    softmax_contrastive,
)
from kgclip_jax.objectives.walk import plan_walk
from tests.objectives.loss_contract import make_mesh
from tests.training.test_collectives import collectives


def mesh(data, fsdp=1, tensor=1):
    return {"data": data, "fsdp": fsdp, "tensor": tensor}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"captions": 2048}, ("gather", 2048)),
        ({"captions": 4096}, ("gather", 4096)),
        ({"captions": 4096, "texts": 2}, ("gather", 64)),
        ({"captions": 32768}, ("gather", 16)),
        ({"captions": 8192, "mesh": mesh(8)}, ("gather", 8192)),
        ({"captions": 32768, "mesh": mesh(8)}, ("ring", 128)),
        ({"captions": 32768, "mesh": mesh(8), "texts": 5}, ("ring", 25)),
        ({"captions": 32768, "mesh": mesh(256)}, ("gather", 32768)),
        ({"captions": 2**20, "mesh": mesh(8192)}, ("ring", 128)),
        ({"captions": 32768, "mesh": mesh(8), "chunk_size": 512}, ("ring", 512)),
        ({"captions": 32768, "mesh": mesh(8), "chunk_size": 8192}, ("ring", 4096)),
        ({"captions": 32768, "mesh": mesh(8), "exchange": "gather"}, ("gather", 128)),
        ({"captions": 2048, "mesh": mesh(8), "exchange": "ring"}, ("ring", 256)),
        ({"captions": 32769, "mesh": mesh(8)}, ("gather", 127)),
        ({"captions": 2**24}, ("gather", 1)),
    ],
    ids=str,
)
def test_what_is_left_open_is_decided_by_rows_and_devices(arguments, expected):
    assert plan_walk(**arguments)[:2] == expected


def test_a_walk_says_what_it_is():
    ring, gathered = plan_walk(32768, mesh=mesh(4, 2)), plan_walk(2048)
    assert str(ring) == "captions are compared 128 at a time, in a ring of 8 devices"
    assert str(gathered) == "captions are compared 2,048 at a time, gathered"


def test_a_ring_that_cannot_share_its_captions_is_refused():
    with pytest.raises(ValueError, match="a ring of 8 devices cannot share 20 captions"):
        plan_walk(20, mesh=mesh(4, 2), exchange="ring")


def test_a_ring_runs_over_tensor_too_where_that_divides_rows():
    assert plan_walk(40, mesh=mesh(2, 2, 2), exchange="ring")[2:] == ((*ROW_AXES, "tensor"), 8)
    assert plan_walk(20, mesh=mesh(2, 2, 2), exchange="ring")[2:] == (ROW_AXES, 4)
    assert plan_walk(20, exchange="ring")[2:] == ((), 1)


def test_the_objective_counts_the_texts_of_a_caption():
    rows = Pairs(None, None, np.zeros((32768, 2)), None, np.zeros((32768, 4), bool), None)
    assert Contrastive().walk(rows, mesh(8)).chunk_size == 128
    assert Contrastive(negatives=True).walk(rows, mesh(8)).chunk_size == 25
    assert Contrastive(exchange="gather", chunk_size=9).walk(rows, mesh(8))[:2] == ("gather", 9)


BATCH, FEATURES, CHUNK = 32768, 512, 128


def compiled(loss, exchange, mesh_shape=(8, 1, 1)):
    """Loss and gradients of 32,768 pairs with ids, on eight devices; nothing is run."""
    devices = make_mesh(mesh_shape)

    def place(shape, dtype, spec):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(devices, spec))

    rows, scalar = P(("data", "fsdp")), place((), "float32", P())
    vectors = place((BATCH, FEATURES), "float32", rows)
    ids = place((BATCH, 2), "int32", rows)
    scalars = (scalar, scalar)[: 1 if loss is softmax_contrastive else 2]

    def value(image, text, scalars, ids):
        return tuple(loss(image, text, *scalars, ids=ids, exchange=exchange))

    with jax.set_mesh(devices):
        step = jax.jit(jax.value_and_grad(value, argnums=(0, 1, 2), has_aux=True))
        return step.lower(vectors, vectors, scalars, ids).compile()


@pytest.fixture(scope="module", params=[softmax_contrastive, sigmoid_contrastive])
def ring(request):
    return compiled(request.param, "auto")


def test_a_ring_takes_50_megabytes_of_a_device(ring):
    assert ring.memory_analysis().temp_size_in_bytes <= 50e6


def test_a_ring_passes_chunks_on_and_gathers_nothing(ring):
    """Each of a device's 32 chunks goes round eight devices forward and back, its gradient back.

    The backward pass starts with one step back. Facts and what is known of captions are small
    beside 512 features.
    """
    found = collectives(ring.as_text())
    assert found.keys() == {"collective-permute", "all-reduce"}
    passed = 32 * (3 * 8 + 1) * 4 * CHUNK * FEATURES
    assert passed < found["collective-permute"].bytes <= 1.01 * passed
    assert found["all-reduce"].bytes <= 64  # means of the rows, and the gradients of scalars
