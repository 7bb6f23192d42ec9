"""Every marked input of a batch through its tower: once, and together with others of its shape."""

from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from kgclip_jax.batch import Features, Images, Texts, Triples
from kgclip_jax.models.dual_encoder import DualEncoder, normalise
from kgclip_jax.models.rows import concat_rows, split_rows
from kgclip_jax.paths import path_of


def is_input(node: Any) -> bool:
    """Whether a node of a batch is an input of a tower."""
    return isinstance(node, Images | Texts)


def inputs_by_path(batch: Any) -> dict[str, Images | Texts]:
    """Return all inputs, by paths such as "captions/image"."""
    leaves = jax.tree_util.tree_leaves_with_path(batch, is_leaf=is_input)
    return {path_of(keys): leaf for keys, leaf in leaves if is_input(leaf)}


def encode(towers: DualEncoder, batch: Any, read: Container[str] | None = None) -> Any:
    """Return a batch with `Features` in the place of its inputs.

    Inputs of one tower and one inner shape go through it in one pass, joined device by device.

    `read` are the paths of the inputs that somebody reads, by default all; others become None.

    Raises:
        ValueError: a text or picture does not fit its tower.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(batch, is_leaf=is_input)
    paths = [path_of(keys) for keys, _ in leaves]
    nodes = [leaf for _, leaf in leaves]
    chosen = [
        place
        for place, node in enumerate(nodes)
        if is_input(node) and (read is None or paths[place] in read)
    ]
    images = [place for place in chosen if isinstance(nodes[place], Images)]
    texts = [place for place in chosen if isinstance(nodes[place], Texts)]
    features = dict(zip(images, _encode_images(towers, [nodes[p] for p in images]), strict=True))
    features |= dict(zip(texts, _encode_texts(towers, [nodes[p] for p in texts]), strict=True))
    encoded = [features.get(place) if is_input(node) else node for place, node in enumerate(nodes)]
    return jax.tree_util.tree_unflatten(structure, encoded)


def _encode_images(towers: DualEncoder, images: Sequence[Images]) -> list[Features]:
    outputs = _run_by_shape(towers.vision, [(node.pixels,) for node in images], inner=(3,))
    embeddings = [normalise(output.pooled) for output in outputs]
    return [
        Features(embedding, output.tokens, None, embedding)
        for embedding, output in zip(embeddings, outputs, strict=True)
    ]


def _encode_texts(towers: DualEncoder, texts: Sequence[Texts]) -> list[Features]:
    slots = [(tokens,) for node in texts for tokens in node.tokens]
    outputs = iter(_run_by_shape(towers.text, slots, inner=(1,)))
    by_text = [[next(outputs) for _ in node.tokens] for node in texts]
    plain = [normalise(concat_rows([slot.pooled for slot in slots])) for slots in by_text]
    pooled = _with_graphs(towers, plain, texts)
    features = []
    for whole, alone, of_slots, node in zip(pooled, plain, by_text, texts, strict=True):
        n = max(tokens.shape[-1] for tokens in node.tokens)
        tokens = concat_rows([_filled_up(slot.tokens, n, axis=-2) for slot in of_slots])
        seen = [towers.text.visible(jnp.asarray(tokens)) for tokens in node.tokens]
        visible = concat_rows([_filled_up(slot, n, axis=-1) for slot in seen])
        features.append(Features(whole, tokens, visible, alone))
    return features


def _with_graphs(
    towers: DualEncoder, plain: Sequence[Array], texts: Sequence[Texts]
) -> Sequence[Array]:
    """Add to embeddings what a knowledge encoder, where there is one, reads in triples.

    Texts without any, such as names of entities, get nothing, as a caption that says no triple.
    """
    triples = {place: node.triples for place, node in enumerate(texts) if node.triples is not None}
    if towers.shape.knowledge is None or not triples:
        return plain

    def read(tokens: Array, mask: Array) -> Array:
        return towers.read_graphs(Triples(tokens, mask))

    known = _run_by_shape(read, [*triples.values()], inner=(3, 1))
    pooled = [*plain]
    for place, said in zip(triples, known, strict=True):
        pooled[place] += said
    return pooled


def _filled_up(x: Shaped[Array, "..."], n: int, *, axis: int) -> Shaped[Array, "..."]:
    """Fill up the token axis of a slot to `n` with zeros."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = (0, n - x.shape[axis])
    return jnp.pad(x, widths)


def _run_by_shape(
    tower: Callable[..., Any], inputs: Sequence[tuple[Any, ...]], *, inner: tuple[int, ...]
) -> list[Any]:
    """Run a tower on many inputs, in one pass for all inputs of one inner shape.

    Args:
        tower: from arrays with rows in front to a tree of such arrays.
        inputs: the arrays of each, which may have several leading axes.
        inner: how many axes of each array are the tower's own.

    Returns:
        The output of each, with the leading axes of its input.
    """
    groups = defaultdict(list)
    leading, flat = [], []
    for place, arrays in enumerate(inputs):
        arrays = tuple(map(jnp.asarray, arrays))
        shapes = tuple(x.shape[-axes:] for x, axes in zip(arrays, inner, strict=True))
        leading.append(arrays[0].shape[: -inner[0]])
        flat.append([x.reshape(-1, *shape) for x, shape in zip(arrays, shapes, strict=True)])
        groups[shapes].append(place)
    outputs: dict[int, Any] = {}
    for places in groups.values():
        joined = [concat_rows(arrays) for arrays in zip(*(flat[p] for p in places), strict=True)]
        rows = [len(flat[place][0]) for place in places]
        leaves, structure = jax.tree.flatten(tower(*joined))
        parts = zip(*(split_rows(leaf, rows) for leaf in leaves), strict=True)
        for place, part in zip(places, parts, strict=True):
            shaped = [leaf.reshape(*leading[place], *leaf.shape[1:]) for leaf in part]
            outputs[place] = jax.tree.unflatten(structure, shaped)
    return [outputs[place] for place in range(len(inputs))]
