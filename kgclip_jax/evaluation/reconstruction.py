"""Reconstruction: how much of a text can be told again from its embedding.

    1. An autoencoder learns to copy the training texts, word by word, through one vector z.
    2. Its decoder and the tested encoder are frozen. A linear map and a layer norm between them,
       z' = norm(W e + b), learn to have the same texts told from embeddings e.
    3. Held-out texts are decoded greedily: each word is the likeliest one.

"exact match" is the share of texts that are told without a mistake; "words in place", a finer
number, the mean share of a text's words that stand where they should. Rows of the autoencoder
itself are the ceiling: what a map can hope for. Beneath each row of the tested encoder stands its
blind row, the same decoder and map given the embedding of another text. Chance is what the best
constant text would reach.

Source: Kamath et al., Text encoders bottleneck compositionality in contrastive vision-language
models, EMNLP 2023; Knowledge-CLIP (arXiv 2412.03513) compares its text encoder in this way. Their
autoencoder is T5, fine-tuned; here it is a small one that is trained from scratch, see
`kgclip_jax.models.text_autoencoder`, so numbers compare encoders on one set, and not with those of
papers. Vocabulary: words of the training texts, see `kgclip_jax.data.reconstruction_sets`.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, Float32, Int32

from kgclip_jax.data.reconstruction_sets import END, HEAD_WIDTH, Copier, ReconstructionSet
from kgclip_jax.evaluation.choice import another_of
from kgclip_jax.evaluation.encoder import Encoder, encode_texts
from kgclip_jax.evaluation.result import Result, measured
from kgclip_jax.models.dual_encoder import Params
from kgclip_jax.models.spec import Transformer
from kgclip_jax.models.text_autoencoder import (
    Autoencoder,
    TextAutoencoder,
    TextDecoder,
    TextEncoder,
    VectorMap,
)
from kgclip_jax.random import generator

TASK = "reconstruction"
CONTROL = "the embedding of another text"  # of blind rows
TOLD_AT_ONCE = 128  # texts

_AUTOENCODERS_KEPT = 4
_LEAST_VARIANCE = 1e-6  # of the largest one; directions with less are not scaled up further

_logger = logging.getLogger(__name__)


def evaluate_reconstruction(encoder: Encoder, data: ReconstructionSet) -> list[Result]:
    """Train an autoencoder and a map, and have the held-out texts told again.

    The autoencoder depends on the set alone and is kept: a process trains it once, however many
    encoders it tests. All is computed on one device. Intervals resample owners of texts.
    """
    width = data.copier.width
    blocks = Transformer(width, data.copier.depth, width // HEAD_WIDTH, 4 * width)
    shape = TextAutoencoder(blocks, data.copier.vector, data.words, data.held_out_ids.shape[1])
    texts = data.training_ids.astype(np.int32)
    autoencoder = _autoencoder(shape, data.copier, texts.tobytes())
    vectors = _in_parts(partial(_encode, shape, autoencoder["encoder"]), data.held_out_ids)
    ceiling = _in_parts(partial(tell, shape, autoencoder["decoder"]), vectors)

    count = len(data.training)
    embeddings = whitened(encode_texts(encoder, data.texts), count)
    task = _Mapping(shape, embeddings.shape[1])
    course = _Course(data.copier.map_steps, data.copier.map_learning_rate)
    rows = _Rows(texts, embeddings[:count])
    mapped, loss = _train(task, course, data.copier, autoencoder["decoder"], rows)
    _logger.info("%s: %.3f nats a word from embeddings", data.name, loss)
    vectors = _in_parts(partial(_map, task, mapped), embeddings[count:])
    told = _in_parts(partial(tell, shape, autoencoder["decoder"]), vectors)
    return [*told_rows(data, told), *told_rows(data, ceiling, ", autoencoder")]


def whitened(
    embeddings: Float[np.ndarray, "texts d"], training: int
) -> Float32[np.ndarray, "texts d"]:
    """Scale embeddings so that the first of them, as many as `training`, have unit covariance.

    A linear map can undo that, so it changes nothing of what can be learnt. It is learnt sooner.
    """
    first = embeddings[:training].astype(np.float64)
    mean = first.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(first - mean, rowvar=False, bias=True))
    least = max(_LEAST_VARIANCE * variances.max(), np.finfo(np.float32).tiny)
    axes = axes / np.sqrt(np.maximum(variances, least))
    return ((embeddings - mean) @ axes).astype(np.float32)


def copy_loss(logits: Float[Array, "b n words"], ids: Int32[Array, "b n"]) -> Float[Array, ""]:
    """Mean cross-entropy of the words and ends of texts; padding, id 0, does not count."""
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, ids)
    return jnp.mean(losses, where=ids > 0)


class _Rows(NamedTuple):
    """Texts and, for a map, their embeddings."""

    ids: Any
    embeddings: Any = None


@runtime_checkable
class _Task(Protocol):
    """What is trained, and on what."""

    def build(self, rngs: nnx.Rngs) -> nnx.Module: ...

    def loss(self, module: Any, frozen: Params, rows: _Rows) -> Array: ...


@dataclass(frozen=True)
class _Copying:
    """An autoencoder copies texts."""

    shape: TextAutoencoder

    def build(self, rngs: nnx.Rngs) -> Autoencoder:
        return Autoencoder(self.shape, rngs=rngs)

    def loss(self, module: Autoencoder, frozen: Params, rows: _Rows) -> Array:
        return copy_loss(module(rows.ids), rows.ids)


@dataclass(frozen=True)
class _Mapping:
    """A map has texts told by a frozen decoder."""

    shape: TextAutoencoder
    inputs: int

    def build(self, rngs: nnx.Rngs) -> VectorMap:
        return VectorMap(self.inputs, self.shape.vector, rngs=rngs)

    def loss(self, module: VectorMap, frozen: Params, rows: _Rows) -> Array:
        decoder = _bound(partial(TextDecoder, self.shape), frozen)
        return copy_loss(decoder(module(rows.embeddings), rows.ids), rows.ids)


class _State(NamedTuple):
    params: Params
    optimizer: Any
    step: Int32[Array, ""]
    loss: Float[Array, ""]


class _Course(NamedTuple):
    """How long something is trained, and at which highest rate."""

    steps: int
    learning_rate: float

    def optimizer(self) -> optax.GradientTransformation:
        rate = optax.warmup_cosine_decay_schedule(
            0.0, self.learning_rate, self.steps // 8, self.steps
        )
        return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate, b2=0.98))


@lru_cache(_AUTOENCODERS_KEPT)
def _autoencoder(shape: TextAutoencoder, copier: Copier, texts: bytes) -> Params:
    """Train an autoencoder on texts, given as the bytes of their ids."""
    ids = np.frombuffer(texts, np.int32).reshape(-1, shape.length)
    course = _Course(copier.steps, copier.learning_rate)
    params, loss = _train(_Copying(shape), course, copier, {}, _Rows(ids))
    _logger.info("autoencoder of %d texts: %.3f nats a word", len(ids), loss)
    return params


def _train(
    task: _Task, course: _Course, copier: Copier, frozen: Params, data: _Rows
) -> tuple[Params, float]:
    """Take all steps of a course, and return the parameters and the last step's loss."""
    rng = generator(copier.seed, "reconstruction order")
    drawn = course.steps * copier.rows
    epochs = -(-drawn // len(data.ids))
    order = np.concatenate([rng.permutation(len(data.ids)) for _ in range(epochs)])
    order = order[:drawn].reshape(course.steps, copier.rows).astype(np.int32)
    data, order, seed = jax.device_put((data, order, np.uint32(copier.seed)))
    state = _start(task, course, seed)
    for _ in range(course.steps):
        state = _step(task, course, state, frozen, data, order)
    return state.params, float(jax.device_get(state.loss))


@partial(jax.jit, static_argnums=(0, 1))
def _start(task: _Task, course: _Course, seed: Array) -> _State:
    module = task.build(nnx.Rngs(jax.random.key(seed)))
    params = nnx.to_pure_dict(nnx.state(module, nnx.Param))
    return _State(params, course.optimizer().init(params), jnp.int32(0), jnp.float32(0))


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def _step(
    task: _Task, course: _Course, state: _State, frozen: Params, data: _Rows, order: Array
) -> _State:
    rows = jax.tree.map(lambda array: array[order[state.step]], data)

    def loss_of(params: Params) -> Array:
        return task.loss(_bound(task.build, params), frozen, rows)

    loss, gradient = jax.value_and_grad(loss_of)(state.params)
    changes, moments = course.optimizer().update(gradient, state.optimizer)
    return _State(optax.apply_updates(state.params, changes), moments, state.step + 1, loss)


def _bound(build: Any, params: Params) -> Any:
    """Return the module that `build` makes, over these parameters, for use within a trace."""
    abstract = nnx.eval_shape(lambda: build(rngs=nnx.Rngs(0)))
    return nnx.merge(nnx.graphdef(abstract), params)


@partial(jax.jit, static_argnums=0)
def _encode(
    shape: TextAutoencoder, encoder: Params, ids: Int32[Array, "b n"]
) -> Float[Array, "b z"]:
    vectors: Array = _bound(partial(TextEncoder, shape), encoder)(ids)
    return vectors


@partial(jax.jit, static_argnums=0)
def _map(task: _Mapping, params: Params, embeddings: Float[Array, "b d"]) -> Float[Array, "b z"]:
    vectors: Array = _bound(task.build, params)(embeddings)
    return vectors


@partial(jax.jit, static_argnums=0)
def tell(
    shape: TextAutoencoder, decoder: Params, vectors: Float[Array, "b z"]
) -> Int32[Array, "b n"]:
    """Decode greedily; what follows an end is padding."""
    module = _bound(partial(TextDecoder, shape), decoder)

    def tell_next(place: Array, ids: Array) -> Array:
        logits = module.next_word(module.states(vectors, ids)[:, place])
        likeliest = 1 + jnp.argmax(logits[:, 1:], axis=1)  # never padding
        ended = jnp.any(ids == END, axis=1)
        return ids.at[:, place].set(jnp.where(ended, 0, likeliest))

    nothing = jnp.zeros((len(vectors), shape.length), jnp.int32)
    return jax.lax.fori_loop(0, shape.length, tell_next, nothing)


def _in_parts(function: Any, rows: np.ndarray) -> np.ndarray:
    """Apply a jitted function to some rows at a time; the last part is filled up."""
    found = []
    for start in range(0, len(rows), TOLD_AT_ONCE):
        places = np.minimum(start + np.arange(TOLD_AT_ONCE), len(rows) - 1)
        found.append(jax.device_get(function(jax.device_put(rows[places]))))
    return np.concatenate(found)[: len(rows)]


def told_rows(
    data: ReconstructionSet, told: Int32[np.ndarray, "texts length"], of: str = ""
) -> Iterator[Result]:
    """Return the rows of what was told, with blind rows for a tested encoder."""
    true = data.held_out_ids
    words = true > END
    share = words / np.maximum(words.sum(axis=1, keepdims=True), 1)
    best = [np.bincount(*column).max() for column in zip(true.T, share.T, strict=True)]
    chances = {"exact match": 1 / len(true), "words in place": float(np.sum(best)) / len(true)}
    for metric, chance in chances.items():
        for control in ("",) if of else ("", CONTROL):
            right = (told[another_of(len(told))] if control else told) == true
            values = right.all(axis=1) if metric == "exact match" else (right * share).sum(axis=1)
            yield measured(
                *(TASK, data.name, metric + of, values, data.owners),
                chance=chance,
                control=control,
            )
