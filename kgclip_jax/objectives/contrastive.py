"""Contrastive image-text losses over the global batch: softmax (CLIP) and sigmoid (SigLIP).

Both take b pairs, and optionally k negative texts per image: captions that are wrong on purpose.
How all images meet all texts, `chunk_size` and `exchange` say (`walk.py`): they change memory, time
and what devices tell each other, but not the result. Which texts an image is compared with if ids
are equal, `pairs.py` says.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

from kgclip_jax.models import spec
from kgclip_jax.objectives.objective import Context, Losses, Objective
from kgclip_jax.objectives.pairs import (
    Candidates,
    Queries,
    candidates_of,
    compare,
    equal_pairs,
    queries_of,
    require_negatives,
)
from kgclip_jax.objectives.seen_logits import Choice, Logits, Standing
from kgclip_jax.objectives.walk import Exchange, Walk, fold, plan_walk
from kgclip_jax.objectives.weight_schedule import Weight
from kgclip_jax.ranges import PositiveInt
from kgclip_jax.schema import check


class _OfImages(NamedTuple):
    """What the softmax form keeps of each image; of each caption, a `Choice` alone."""

    choice: Choice
    equal: Float[Array, " b"]  # texts left out


def _softmax_block(
    logit_scale: Float[Array, ""],
    queries: Queries,
    chunk: Candidates,
    seen: tuple[_OfImages, Choice],
) -> tuple[_OfImages, Choice]:
    images, captions = seen
    comparison = compare(queries, chunk, logit_scale)
    block = Logits.of(comparison)
    return (
        _OfImages(images.choice.update(block, (1, 2)), images.equal + comparison.equal),
        captions.update(block.of_captions, 0),
    )


def softmax_contrastive(
    image: Float[Array, "b d"],
    text: Float[Array, "b d"],
    logit_scale: Float[Array, ""],
    *,
    ids: Int32[Array, "b 2"] | None = None,
    negatives: Float[Array, "b k d"] | None = None,
    negative_mask: Bool[Array, "b k"] | None = None,
    negative_ids: Int32[Array, "b k"] | None = None,
    chunk_size: int | None = None,
    exchange: Exchange = "auto",
) -> Losses:
    """Symmetric InfoNCE: each image picks its caption out of the batch, and each caption its image.

        loss = (I + T) / 2    s = logit_scale    x, y, n: rows of image, text, negatives
        I = 1/b sum_i [ log( sum_j e^(s x_i.y_j) + sum_jk e^(s x_i.n_jk) ) - s x_i.y_i ]
        T = 1/b sum_i [ log( sum_j e^(s x_j.y_i) ) - s x_i.y_i ]

    An image chooses among b + b k texts, as it sees the negatives of all images; a caption chooses
    among b images. Sources: CLIP, Radford et al. 2021, Figure 3; negatives as in NegCLIP,
    Yuksekgonul et al. 2023, Section 4.

    Args:
        image: Image embeddings, rows of unit length.
        text: Caption embeddings, row i describes image i.
        logit_scale: Inverse temperature.
        ids: Of each caption and its picture, -1 if unknown; texts and images of equal ids leave the
            sums, but for the own pair. None: all are different.
        negatives: Embeddings of wrong captions, made from caption i in row i.
        negative_mask: False where a negative does not exist; its content is then irrelevant.
        negative_ids: Of each negative's text, likewise; None: they equal no caption.
        chunk_size: Captions, with their negatives, that a device compares at a time, at most; None:
            `walk.plan_walk` decides. With fewer than b, training takes O(b chunk_size (1 + k))
            temporary memory, shared by the devices, and computes the logits twice.
        exchange: How devices share texts, see `walk.py`.

    Returns:
        The loss, and the metrics `image_to_text_loss` (I), `text_to_image_loss` (T), the shares of
        right choices `image_to_text_accuracy` and `text_to_image_accuracy`, and `equal_pairs`, the
        share of comparisons left out because of equal ids. All are float32.
    """
    batch, queries = len(image), queries_of(image, ids)
    candidates = candidates_of(text, ids, negatives, negative_mask, negative_ids)
    images, captions = fold(
        _softmax_block,
        logit_scale,
        queries,
        candidates,
        (_OfImages(Choice.start(batch), jnp.zeros(batch)), Choice.start(batch)),
        chunk_size=chunk_size,
        exchange=exchange,
    )
    image_loss, text_loss = jnp.mean(images.choice.losses), jnp.mean(captions.losses)
    metrics = {"image_to_text_loss": image_loss, "text_to_image_loss": text_loss}
    metrics |= _found(images.choice.standing, captions.standing)
    return Losses((image_loss + text_loss) / 2, metrics | equal_pairs(images.equal, candidates))


def _found(images: Standing, captions: Standing) -> dict[str, Float[Array, ""]]:
    """Share of images whose caption beats all other texts, negatives included, and of captions
    whose image beats all other images.
    """
    return {
        "image_to_text_accuracy": images.accuracy,
        "text_to_image_accuracy": captions.accuracy,
    }


class _Judged(NamedTuple):
    """What the sigmoid form keeps of each image; of each caption, its `Standing` alone."""

    losses: Float[Array, " b"]  # sum over texts
    standing: Standing
    equal: Float[Array, " b"]  # texts left out


def _sigmoid_block(
    scale_and_bias: tuple[Float[Array, ""], Float[Array, ""]],
    queries: Queries,
    chunk: Candidates,
    seen: tuple[_Judged, Standing],
) -> tuple[_Judged, Standing]:
    images, captions = seen
    logit_scale, logit_bias = scale_and_bias
    comparison = compare(queries, chunk, logit_scale)
    logits = comparison.logits + logit_bias
    losses = jax.nn.softplus(jnp.where(comparison.own, -logits, logits))
    block = jax.lax.stop_gradient(Logits.of(comparison))
    return (
        _Judged(
            images.losses + jnp.sum(losses, axis=(1, 2)),
            images.standing.update(block, (1, 2)),
            images.equal + comparison.equal,
        ),
        captions.update(block.of_captions, 0),
    )


def sigmoid_contrastive(
    image: Float[Array, "b d"],
    text: Float[Array, "b d"],
    logit_scale: Float[Array, ""],
    logit_bias: Float[Array, ""],
    *,
    ids: Int32[Array, "b 2"] | None = None,
    negatives: Float[Array, "b k d"] | None = None,
    negative_mask: Bool[Array, "b k"] | None = None,
    negative_ids: Int32[Array, "b k"] | None = None,
    chunk_size: int | None = None,
    exchange: Exchange = "auto",
) -> Losses:
    """Pairwise sigmoid loss: each of the b x b image-text pairs is judged alone, true or not.

        loss = 1/b sum_i [ sum_j softplus(-z_ij (s x_i.y_j + a)) + sum_jk softplus(s x_i.n_jk + a) ]
        z_ij = 1 if i = j, else -1    x, y, n: rows of image, text, negatives
        s = logit_scale               a = logit_bias

    Negatives are further pairs, wrong for all images. Source: SigLIP, Zhai et al. 2023,
    Section 3.2 and Algorithm 1, which fixes the sign of the bias; negatives are an extension.

    Args:
        image: Image embeddings, rows of unit length.
        text: Caption embeddings, row i describes image i.
        logit_scale: Inverse temperature.
        logit_bias: Added to all logits; it starts low, since nearly all pairs are wrong.
        ids: As for `softmax_contrastive`.
        negatives: Embeddings of wrong captions, made from caption i in row i.
        negative_mask: False where a negative does not exist; its content is then irrelevant.
        negative_ids: As for `softmax_contrastive`.
        chunk_size: As for `softmax_contrastive`.
        exchange: As for `softmax_contrastive`.

    Returns:
        The loss, and the metrics `image_to_text_accuracy`, `text_to_image_accuracy` and
        `equal_pairs` of `softmax_contrastive`. All are float32.
    """
    batch, queries = len(image), queries_of(image, ids)
    candidates = candidates_of(text, ids, negatives, negative_mask, negative_ids)
    images, captions = fold(
        _sigmoid_block,
        (logit_scale, logit_bias),
        queries,
        candidates,
        (_Judged(jnp.zeros(batch), Standing.start(batch), jnp.zeros(batch)), Standing.start(batch)),
        chunk_size=chunk_size,
        exchange=exchange,
    )
    metrics = _found(images.standing, captions) | equal_pairs(images.equal, candidates)
    return Losses(jnp.mean(images.losses), metrics)


@dataclass(frozen=True)
class Contrastive:
    """The contrastive objective as a run configures it; reads `Pairs`.

    Attributes:
        kind: its name in a config.
        weight: of the objective in the total.
        stream: of captioned pictures.
        form: CLIP's or SigLIP's.
        chunk_size: captions that a device compares at a time; None: by rows and devices.
        exchange: how devices share captions, "gather" or "ring"; "auto": likewise.
        negatives: whether an image also has to tell its caption from the negatives of all captions
            (NegCLIP, Yuksekgonul et al. 2023).
    """

    heads: ClassVar[tuple[str, ...]] = ()

    kind: Literal["contrastive"] = "contrastive"
    weight: Weight = 1.0
    stream: str = "captions"
    form: Literal["softmax", "sigmoid"] = "softmax"
    chunk_size: PositiveInt | None = None
    exchange: Exchange = "auto"
    negatives: bool = False

    def check(self, model: spec.DualEncoder, objectives: Mapping[str, Objective]) -> None:
        """Refuse a model that lacks the bias which the form needs, or has one that none uses."""
        if self.form == "sigmoid":
            check(
                model.logit_bias is not None,
                "the sigmoid form needs model.logit_bias; set it (SigLIP: -10)",
            )
        else:
            refuse_unused_bias(model, objectives)

    def collapsed(self, rows: int) -> dict[str, float]:
        """What the loss is where all embeddings are equal, and the bias is the best for that."""
        if self.form == "softmax":
            return {"text_to_image_loss": math.log(rows)}
        others = rows - 1
        if self.negatives or not others:
            return {}
        return {"loss": math.log(rows) + others * math.log(rows / others)}

    def walk(self, rows: Any, mesh: Mapping[str, int]) -> Walk:
        """How images meet texts, for the shapes of `Pairs` and the sizes of a mesh by axis.

        Raises:
            ValueError: the devices cannot share the captions as `exchange` wants it.
        """
        texts = 1 + rows.negative_mask.shape[1] if self.negatives else 1
        return plan_walk(len(rows.ids), texts, mesh, self.chunk_size, self.exchange)

    def embed(
        self, heads: Mapping[str, Any], rows: Any, taught: Mapping[str, Any], context: Context
    ) -> dict[str, Array]:
        """Return what the loss takes by these names."""
        vectors = {"image": rows.image.pooled, "text": rows.text.pooled, "ids": rows.ids}
        if self.negatives:
            require_negatives(rows, self.stream)
            vectors |= {
                "negatives": rows.negatives.pooled,
                "negative_mask": rows.negative_mask,
                "negative_ids": rows.negative_ids,
            }
        return vectors

    def loss(self, heads: Mapping[str, Any], vectors: Any, context: Context) -> Losses:
        """The loss of `form` on the pairs of the whole step."""
        arguments = {
            **vectors,
            "logit_scale": context.logit_scale,
            "chunk_size": self.chunk_size,
            "exchange": self.exchange,
        }
        if self.form == "sigmoid":
            return sigmoid_contrastive(**arguments | {"logit_bias": context.logit_bias})
        return softmax_contrastive(**arguments)


def refuse_unused_bias(model: spec.DualEncoder, objectives: Mapping[str, Objective]) -> None:
    """Raise ValueError for a logit bias that no objective trains: it would be exported as it was.

    A softmax is the same with a bias as without; the sigmoid form alone can learn one.
    """
    used = any(
        isinstance(other, Contrastive) and other.form == "sigmoid" for other in objectives.values()
    )
    check(
        model.logit_bias is None or used,
        "none of the objectives uses model.logit_bias; set it to None",
    )
