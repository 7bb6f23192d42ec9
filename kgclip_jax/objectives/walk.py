"""How all queries of the global batch meet all candidates: in chunks, gathered or round a ring.

A loss over all pairs is said once, for a block of them: what is known of each query and of each
caption, given these texts and these images too. Two walks give it all blocks:

    gather  the loss sees all queries beside a chunk of candidates. Written for the global batch:
            under `jax.jit` devices gather the chunk, and reduce what they learn of its captions.
    ring    each device holds its queries, and a chunk of its candidates goes round all devices,
            with what is known of its captions. The next transfer starts before a block is compared
            and needs nothing of the comparison, so that it can take place meanwhile (Ring
            Attention: Liu et al. 2023; of SigLIP's loss: Zhai et al. 2023, Section 3.3).

Neither ever has more logits than those of a device's queries with a chunk: the backward pass
computes them again. In it the ring turns the other way, and a chunk's gradient travels with it.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Shaped

from kgclip_jax.models.rows import ROW_AXES
from kgclip_jax.objectives.pairs import Candidates, Queries

Exchange = Literal["auto", "gather", "ring"]
Shared = TypeVar("Shared")
Seen: TypeAlias = tuple[Any, Any]  # what is known of queries, and of captions

# Of a device, (shared, queries, chunk, seen) -> seen; see `fold`.
Body = Callable[[Shared, Queries, Candidates, Seen], Seen]

# Logits of a device that are kept for the backward pass if there are no more: 64 MiB.
KEPT = 2**24
# Of a chunk, where they are more: 2 MiB, at most seven of them at a time.
OF_A_CHUNK = 2**19


class Walk(NamedTuple):
    """A walk that is decided on.

    Attributes:
        exchange: "gather" or "ring".
        chunk_size: captions, with their negatives, that a device compares at a time.
        axes: of the mesh whose devices share queries and candidates.
        devices: their number.
    """

    exchange: Exchange
    chunk_size: int
    axes: tuple[str, ...]
    devices: int

    def __str__(self) -> str:
        """In words, for people."""
        way = f"in a ring of {self.devices} devices" if self.exchange == "ring" else "gathered"
        return f"captions are compared {self.chunk_size:,} at a time, {way}"


@runtime_checkable
class Walks(Protocol):
    """An objective that can tell how it walks."""

    stream: str

    def walk(self, rows: Any, mesh: Mapping[str, int]) -> Walk:
        """Return that, for shapes of its stream's rows and the sizes of a mesh by axis."""
        ...


def plan_walk(
    captions: int,
    texts: int = 1,
    mesh: Mapping[str, int] = MappingProxyType({}),
    chunk_size: int | None = None,
    exchange: Exchange = "auto",
) -> Walk:
    """Decide what is left open: all at once if the logits are few, else a ring in chunks.

    A ring takes in the axis `tensor` if it divides the rows: its devices hold the same ones, and
    each sees to its part of them.

    Args:
        captions: of the global batch; as many as queries.
        texts: of a caption: itself and its negatives.
        mesh: sizes by axis; empty: there is one device.
        chunk_size: captions compared at a time, at most; None: by the number of logits.
        exchange: "auto": a ring where there are several devices and chunks.

    Raises:
        ValueError: `chunk_size` is below 1, or devices cannot share the captions of a ring.
    """
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, got {chunk_size}")
    axes: tuple[str, ...] = ROW_AXES if {*ROW_AXES} <= {*mesh} else ()
    if axes and captions % math.prod(mesh.values()) == 0:
        axes = tuple(mesh)
    devices = math.prod(mesh[axis] for axis in axes)
    if exchange == "ring" and captions % devices:
        raise ValueError(f"a ring of {devices} devices cannot share {captions} captions")
    logits = -(-captions // devices) * texts  # of a caption
    if chunk_size is None:
        chunk_size = captions if logits * captions <= KEPT else max(1, OF_A_CHUNK // logits)
    if exchange == "auto":
        shared = devices > 1 and captions % devices == 0
        exchange = "ring" if shared and chunk_size < captions else "gather"
    held = captions // devices if exchange == "ring" else captions
    return Walk(exchange, min(chunk_size, held), axes, devices)


def mesh_at_hand() -> dict[str, int]:
    """Sizes by axis of the mesh that is set (`jax.set_mesh`), or nothing."""
    return dict(jax.sharding.get_abstract_mesh().shape)


def fold(
    body: Body[Shared],
    shared: Shared,
    queries: Queries,
    candidates: Candidates,
    seen: Seen,
    *,
    chunk_size: int | None = None,
    exchange: Exchange = "auto",
) -> Seen:
    """Let all queries meet all candidates, and return what is then known of each of them.

    Args:
        body: from (shared, queries, chunk, seen) to `seen`, with what the pairs of these queries
            and this chunk add. It may be given any part of the queries and of the candidates, in
            any order, and is to hold no arrays but its arguments.
        shared: a tree of float32 arrays that all pairs need, such as the logit scale.
        queries: of the global batch.
        candidates: of the global batch, as many.
        seen: what is known before of each query, and of each caption: two trees of float32 arrays,
            with rows in front. Nothing: ().
        chunk_size: captions, with their negatives, that a device compares at a time (at most).
            None: `plan_walk` decides.
        exchange: how devices share candidates: see above; the ring needs `jax.set_mesh`.

    Returns:
        Both trees, with one row for each query, and for each caption, of the global batch.

    Raises:
        ValueError: as `plan_walk`.
    """
    shared, queries, candidates = jax.tree.map(_in_float32, (shared, queries, candidates))
    captions, texts = candidates.facts.shape[:2]
    walk = plan_walk(captions, texts, mesh_at_hand(), chunk_size, exchange)
    if walk.exchange == "gather" or walk.devices == 1:
        return _over_chunks(body, (), walk.chunk_size, shared, queries, candidates, seen)
    axes, rows = walk.axes, PartitionSpec(walk.axes)

    def on_a_device(shared: Shared, *of_the_device: Any) -> Seen:
        shared = jax.tree.map(partial(jax.lax.pcast, axis_name=axes, to="varying"), shared)
        return _over_chunks(body, axes, walk.chunk_size, shared, *of_the_device)

    in_specs = (PartitionSpec(), rows, rows, rows)
    walked = jax.shard_map(on_a_device, in_specs=in_specs, out_specs=rows)
    return walked(shared, queries, candidates, seen)


def _in_float32(array: Array) -> Array:
    return array.astype(jnp.float32) if jnp.issubdtype(array.dtype, jnp.floating) else array


def _over_chunks(
    body: Body[Shared],
    axes: tuple[str, ...],
    chunk_size: int,
    shared: Shared,
    queries: Queries,
    candidates: Candidates,
    seen: Seen,
) -> Seen:
    """One chunk after another; the fewest that suffice, equally wide, filled up with absent texts.

    Chunk j takes the rows j, j + count, j + 2 count, ... So each has an equal share of every
    device's rows, and the scan slices an axis that is not sharded: where devices gather, they
    gather one chunk at a time.
    """
    captions = len(candidates.facts)
    count = -(-captions // chunk_size)
    if count == 1 and not axes:
        return body(shared, queries, candidates, seen)
    width = -(-captions // count)

    def split(array: Shaped[Array, "b ..."], fill: int = 0) -> Shaped[Array, "count width ..."]:
        padding = [(0, width * count - captions)] + [(0, 0)] * (array.ndim - 1)
        array = jnp.pad(array, padding, constant_values=fill)
        return array.reshape(width, count, *array.shape[1:]).swapaxes(0, 1)

    def join(chunks: Shaped[Array, "count width ..."]) -> Shaped[Array, "b ..."]:
        array = chunks.swapaxes(0, 1)
        return array.reshape(width * count, *array.shape[2:])[:captions]

    # Otherwise the scan would save the logits of all chunks for the backward pass.
    meet = partial(_go_round, body, axes) if axes else jax.checkpoint(body, prevent_cse=False)

    def step(of_queries: Any, chunk: tuple[Candidates, Any]) -> tuple[Any, Any]:
        candidates, of_captions = chunk
        return meet(shared, queries, candidates, (of_queries, of_captions))

    of_queries, of_captions = seen
    chunks = Candidates(split(candidates.features), split(candidates.facts, -1))
    of_queries, of_captions = jax.lax.scan(
        step, of_queries, (chunks, jax.tree.map(split, of_captions))
    )
    return of_queries, jax.tree.map(join, of_captions)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _go_round(
    body: Body[Shared],
    axes: tuple[str, ...],
    shared: Shared,
    queries: Queries,
    chunk: Candidates,
    seen: Seen,
) -> Seen:
    """Let the queries of every device meet a chunk of each.

    JAX would differentiate it too, but keep the chunks of all devices for the backward pass. Here
    they come back the way they went, and no more is kept than what was seen before each block.
    """
    return _forward(body, axes, shared, queries, chunk, seen)[0]


def _forward(
    body: Body[Shared],
    axes: tuple[str, ...],
    shared: Shared,
    queries: Queries,
    chunk: Candidates,
    seen: Seen,
) -> tuple[Seen, Any]:
    def compare(state: tuple[Candidates, Seen], _: None) -> tuple[tuple[Candidates, Seen], Seen]:
        chunk, before = state
        following = _pass_on(chunk, axes, 1)
        of_queries, of_captions = body(shared, queries, chunk, before)
        return (following, (of_queries, _pass_on(of_captions, axes, 1))), before

    (_, after), before = jax.lax.scan(compare, (chunk, seen), length=jax.lax.axis_size(axes))
    return after, (shared, queries, chunk, before)


def _backward(
    body: Body[Shared], axes: tuple[str, ...], saved: Any, gradient: Seen
) -> tuple[Any, Queries, Candidates, Seen]:
    shared, queries, home, before = saved

    def compare(state: Any, before: Seen) -> tuple[Any, None]:
        chunk, (of_queries, of_captions), summed, of_chunk = state
        following = _pass_on(chunk, axes, -1)
        gradient = of_queries, _pass_on(of_captions, axes, -1)

        def of_floats(shared: Any, queried: Array, features: Array, seen: Seen) -> Seen:
            return body(
                shared, Queries(queried, queries.facts), Candidates(features, chunk.facts), seen
            )

        _, pull = jax.vjp(of_floats, shared, queries.features, chunk.features, before)
        of_shared, of_queried, of_features, gradient = pull(gradient)
        summed = jax.tree.map(jnp.add, summed, (of_shared, of_queried))
        return (following, gradient, summed, _pass_on(of_chunk, axes, -1) + of_features), None

    nothing = jax.tree.map(jnp.zeros_like, (shared, queries.features))
    start = _pass_on(home, axes, -1), gradient, nothing, jnp.zeros_like(home.features)
    state, _ = jax.lax.scan(compare, start, before, reverse=True)
    _, of_seen, (of_shared, of_queries), of_chunk = state
    no_facts: Any = None
    return of_shared, Queries(of_queries, no_facts), Candidates(of_chunk, no_facts), of_seen


_go_round.defvjp(_forward, _backward)


def _pass_on(tree: Any, axes: tuple[str, ...], step: int) -> Any:
    """Give each array to the next device of the ring, or to the one before."""
    size = jax.lax.axis_size(axes)
    ring = [(device, (device + step) % size) for device in range(size)]
    return jax.tree.map(lambda array: jax.lax.ppermute(array, axes, ring), tree)
