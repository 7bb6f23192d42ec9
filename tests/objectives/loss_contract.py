"""The cases that every loss has to pass. A test class inherits one of the contracts and says what
the loss is, what it takes, and, in plain NumPy and float64, what it should be.
"""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

Inputs = dict[str, np.ndarray]
MESHES = [(8, 1, 1), (2, 2, 2), (1, 8, 1)]


def unit_rows(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random embeddings, float32, that lean to a common side as those of trained towers do."""
    rows = rng.normal(size=shape) + 0.5
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def random_ids(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Ids of which some recur, and some are unknown."""
    return rng.integers(-1, 12, shape).astype(np.int32)


def may_differ(inputs: Inputs, i: int, ids: np.ndarray) -> bool:
    """Whether nothing tells that image i and a text with these ids belong together."""
    mine = inputs["ids"][i] if "ids" in inputs else (-1, -1)
    return all(a != b or a == -1 for a, b in zip(mine, ids, strict=True))


def captions_beside(inputs: Inputs, i: int) -> list[int]:
    """Captions that image i is compared with, or images that caption i is: all but its own."""
    ids = inputs.get("ids", np.full((len(inputs["text"]), 2), -1))
    return [j for j in range(len(ids)) if j != i and may_differ(inputs, i, ids[j])]


def negatives_beside(inputs: Inputs, i: int) -> list[tuple[int, int]]:
    """The same for negatives."""
    if "negatives" not in inputs:
        return []
    mask = inputs.get("negative_mask", np.ones(inputs["negatives"].shape[:2], bool))
    ids = inputs.get("negative_ids", np.full(mask.shape, -1))
    return [p for p in np.ndindex(mask.shape) if mask[p] and may_differ(inputs, i, (ids[p], -1))]


def equal_pairs_oracle(inputs: Inputs) -> float:
    """Share of what is not compared although it is there."""
    batch = range(len(inputs["text"]))
    unmarked = {k: v for k, v in inputs.items() if k not in ("ids", "negative_ids")}
    compared, there = (
        sum(len(captions_beside(x, i)) + len(negatives_beside(x, i)) for i in batch)
        for x in (inputs, unmarked)
    )
    return 1 - compared / max(there, 1)


def split_floats(inputs: Inputs) -> tuple[Inputs, Inputs]:
    """What a loss has gradients for, and the rest."""
    floats = {k: v for k, v in inputs.items() if jnp.issubdtype(v.dtype, jnp.floating)}
    return floats, {k: v for k, v in inputs.items() if k not in floats}


def make_mesh(mesh_shape: tuple[int, int, int]) -> jax.sharding.Mesh:
    axes = ("data", "fsdp", "tensor")
    return jax.make_mesh(mesh_shape, axes, axis_types=(AxisType.Auto,) * 3)


def shard(inputs: Inputs, mesh_shape: tuple[int, int, int]) -> dict[str, jax.Array]:
    """Spread the rows over the mesh as the training step does; scalars go everywhere."""
    mesh = make_mesh(mesh_shape)
    rows, everywhere = NamedSharding(mesh, P(("data", "fsdp"))), NamedSharding(mesh, P())
    return {k: jax.device_put(v, rows if v.ndim else everywhere) for k, v in inputs.items()}


@partial(jax.jit, static_argnums=(0, 3))
def _value_and_gradient(loss, floats, others, chunk_size):
    options = {} if chunk_size is None else {"chunk_size": chunk_size}

    def loss_of(floats):
        return tuple(loss(floats | others, **options))

    return jax.value_and_grad(loss_of, has_aux=True)(floats)


class LossContract:
    """Inputs are arrays by name, float32, bool or integer; all but scalars have one row a pair.

    A subclass defines `make_inputs` and two static methods: `loss(inputs)`, which returns Losses,
    and `oracle(inputs)`, a float.
    """

    def make_inputs(self, batch: int, features: int = 12) -> Inputs:
        raise NotImplementedError

    def value_and_gradient(self, inputs, chunk_size=None):
        """Compiled: ((loss, metrics), gradients by name)."""
        return _value_and_gradient(self.loss, *split_floats(inputs), chunk_size)

    def assert_same(self, actual, expected, rtol=1e-6):
        """Equal losses and metrics, and gradients equal within 1e-5 of their largest entry."""
        (loss, metrics), gradients = actual
        (true_loss, true_metrics), true_gradients = expected
        np.testing.assert_allclose(loss, true_loss, rtol=rtol)
        for name, gradient in true_gradients.items():
            bound = 1e-5 * np.abs(gradient).max()
            np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=bound, err_msg=name)
        assert metrics.keys() == true_metrics.keys()
        for name, metric in true_metrics.items():
            np.testing.assert_allclose(metrics[name], metric, rtol=2e-6, err_msg=name)

    @pytest.mark.parametrize("batch", [1, 16])
    def test_value_is_the_oracles(self, batch):
        inputs = self.make_inputs(batch)
        (loss, _), _ = self.value_and_gradient(inputs)
        np.testing.assert_allclose(loss, self.oracle(inputs), rtol=1e-5, atol=2e-6)

    def test_gradient_is_the_oracles(self):
        """Central differences of the oracle, each input moved in a random direction."""
        inputs = self.make_inputs(16)
        _, gradients = self.value_and_gradient(inputs)
        rng = np.random.default_rng(1)
        for name, gradient in gradients.items():
            moved = {k: v.astype(np.float64) for k, v in split_floats(inputs)[0].items()}
            step = 1e-5 * rng.normal(size=gradient.shape)
            ahead = self.oracle(inputs | moved | {name: moved[name] + step})
            behind = self.oracle(inputs | moved | {name: moved[name] - step})
            np.testing.assert_allclose(
                np.sum(np.asarray(gradient, np.float64) * step),
                (ahead - behind) / 2,
                rtol=1e-5,
                atol=1e-6 * np.linalg.norm(gradient) * np.linalg.norm(step),
                err_msg=name,
            )

    def test_bfloat16_inputs_are_computed_in_float32(self):
        floats, others = split_floats(self.make_inputs(16))
        rounded = {k: jnp.asarray(v, jnp.bfloat16) for k, v in floats.items()} | others
        widened = {k: np.asarray(v, np.float32) for k, v in rounded.items() if k in floats}
        (loss, metrics), _ = self.value_and_gradient(rounded)
        np.testing.assert_allclose(loss, self.oracle(widened | others), rtol=1e-5)
        assert {x.dtype for x in (loss, *metrics.values())} == {np.dtype("float32")}

    def test_order_of_pairs_does_not_matter(self):
        inputs = self.make_inputs(16)
        order = np.random.default_rng(1).permutation(16)
        shuffled = {k: v[order] if v.ndim else v for k, v in inputs.items()}
        value, gradients = self.value_and_gradient(inputs)
        gradients = {k: v[order] if v.ndim else v for k, v in gradients.items()}
        self.assert_same(self.value_and_gradient(shuffled), (value, gradients), rtol=3e-6)

    @pytest.mark.parametrize("mesh_shape", MESHES, ids=str)
    def test_sharded_is_as_on_one_device(self, mesh_shape):
        inputs = self.make_inputs(16)
        sharded = self.value_and_gradient(shard(inputs, mesh_shape))
        self.assert_same(sharded, self.value_and_gradient(inputs))


class ChunkedLossContract(LossContract):
    """For losses over all pairs, `loss(inputs, chunk_size=None)`, with the input `ids`.

    `logits_per_pair` is how many logits there are for each image and each caption.
    """

    logits_per_pair = 1

    @pytest.mark.parametrize("chunk_size", [6, 8])
    def test_chunks_give_the_dense_result(self, chunk_size):
        """Of 16 pairs: three chunks with two rows of padding, and two chunks."""
        inputs = self.make_inputs(16)
        self.assert_same(
            self.value_and_gradient(inputs, chunk_size), self.value_and_gradient(inputs)
        )

    def test_sharded_chunks_are_as_on_one_device(self):
        inputs = self.make_inputs(16)
        sharded = self.value_and_gradient(shard(inputs, (2, 2, 2)), 8)
        self.assert_same(sharded, self.value_and_gradient(inputs))

    @pytest.mark.parametrize(("mesh_shape", "batch"), [((2, 2, 2), 40), ((2, 2, 2), 20)])
    def test_ring_gives_the_dense_result(self, mesh_shape, batch):
        """Of 5 rows on each of 8 devices, and on each of 4 pairs of them: three chunks of two."""
        inputs = self.make_inputs(batch)
        with jax.set_mesh(make_mesh(mesh_shape)):
            sharded = shard(inputs, mesh_shape)
            ring = self.value_and_gradient(sharded, 2)
            program = _value_and_gradient.lower(self.loss, *split_floats(sharded), 2)
            assert "collective_permute" in program.as_text()
        self.assert_same(ring, self.value_and_gradient(inputs), rtol=3e-6)

    @pytest.mark.parametrize("chunk_size", [None, 6])
    def test_equal_pairs_are_counted(self, chunk_size):
        inputs = self.make_inputs(16)
        (_, metrics), _ = self.value_and_gradient(inputs, chunk_size)
        np.testing.assert_allclose(metrics["equal_pairs"], equal_pairs_oracle(inputs), rtol=1e-6)

    def test_ids_that_are_unknown_or_all_different_change_nothing(self):
        inputs = self.make_inputs(16)
        plain = {k: v for k, v in inputs.items() if k not in ("ids", "negative_ids")}
        count = sum(inputs[name].size for name in inputs.keys() - plain.keys())
        different = iter(np.random.default_rng(1).permutation(count).astype(np.int32))
        for make in (lambda _: -1, lambda _: next(different)):
            ids = {
                name: np.vectorize(make, otypes=[np.int32])(inputs[name])
                for name in inputs.keys() - plain.keys()
            }
            actual = self.value_and_gradient(plain | ids)
            self.assert_same(actual, self.value_and_gradient(plain))
            assert actual[0][1]["equal_pairs"] == 0

    def test_chunk_size_below_one_is_an_error(self):
        with pytest.raises(ValueError, match="chunk_size must be at least 1, got 0"):
            self.value_and_gradient(self.make_inputs(2), 0)

    def compiled(self, batch, chunk_size, sharded=False):
        """Loss and gradients, compiled for so many pairs of 512 features; nothing is run."""
        small = self.make_inputs(8, features=512)
        if sharded:
            small = shard(small, (8, 1, 1))
        shapes = {
            name: jax.ShapeDtypeStruct(
                (batch, *value.shape[1:]) if value.ndim else (),
                value.dtype,
                sharding=value.sharding if sharded else None,
            )
            for name, value in small.items()
        }
        return _value_and_gradient.lower(self.loss, *split_floats(shapes), chunk_size).compile()

    def temporary_bytes(self, *args, **kwargs) -> int:
        """What the compiler sets aside on each device."""
        return self.compiled(*args, **kwargs).memory_analysis().temp_size_in_bytes

    def test_chunks_bound_the_memory(self):
        """At most eight chunks of logits and three copies of the embeddings at a time.

        Devices share it: each holds its rows of the logits and gathers one chunk of texts.
        """
        batch, chunk, features, texts = 8192, 512, 512, self.logits_per_pair
        chunked = self.temporary_bytes(batch, chunk)
        assert chunked <= 4 * batch * texts * (8 * chunk + 3 * features)
        assert chunked <= self.temporary_bytes(batch, batch) / 8
        assert self.temporary_bytes(batch, chunk, sharded=True) <= chunked / 5

    def test_facts_of_texts_are_gathered_in_one_piece(self):
        """Each chunk: forward, and again backward."""
        program = self.compiled(1024, 128, sharded=True).as_text()
        gathered = re.findall(r"= (\w+)\[\S+ all-gather\(", program)
        assert {*gathered} == {"f32", "s32"}
        assert gathered.count("s32") == 2
