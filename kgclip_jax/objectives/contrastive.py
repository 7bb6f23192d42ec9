"""Contrastive image-text losses over the global batch: softmax (CLIP) and sigmoid (SigLIP).

Both take b pairs, and optionally k negative texts per image: captions that are wrong on purpose.
They share the loop of `pairs.py`, so `chunk_size` changes memory and speed but not the result, and
its rule for equal ids: sums over other texts or images run over those that are candidates.
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
    ABSENT,
    Candidates,
    Comparison,
    Retrieval,
    candidates_of,
    compare,
    fold,
    require_negatives,
)
from kgclip_jax.objectives.weight_schedule import Weight
from kgclip_jax.ranges import PositiveInt
from kgclip_jax.schema import check


class _SoftmaxSums(NamedTuple):
    """What the softmax form keeps of the texts seen so far."""

    log_normaliser: Float[Array, " b"]  # log-sum-exp of each image's logits
    own: Float[Array, " b"]  # logit of each image with its own caption
    text_loss: Float[Array, ""]  # sum over captions
    retrieval: Retrieval

    @classmethod
    def start(cls, batch: int) -> "_SoftmaxSums":
        """Before the first chunk."""
        return cls(jnp.full(batch, ABSENT), jnp.zeros(batch), jnp.zeros(()), Retrieval.start(batch))

    def update(self, comparison: Comparison, real: Bool[Array, " c"]) -> "_SoftmaxSums":
        """Add a chunk; `real` is False where a caption is padding."""
        logits, own = comparison.logits, comparison.own
        captions = logits[..., 0]
        text_losses = jax.nn.logsumexp(captions, axis=0) - jnp.sum(captions, 0, where=own[..., 0])
        return _SoftmaxSums(
            jnp.logaddexp(self.log_normaliser, jax.nn.logsumexp(logits, axis=(1, 2))),
            self.own + jnp.sum(logits, axis=(1, 2), where=own),
            self.text_loss + jnp.sum(text_losses, where=real),
            self.retrieval.update(comparison),
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
        chunk_size: Captions, with their negatives, compared at a time (at most; None: all b).
            Training then takes O(b chunk_size (1 + k)) temporary memory, and computes the logits
            twice.

    Returns:
        The loss, and the metrics `image_to_text_loss` (I), `text_to_image_loss` (T), the shares of
        right choices `image_to_text_accuracy` and `text_to_image_accuracy`, and `equal_pairs`, the
        share of comparisons left out because of equal ids. All are float32.
    """

    def add(sums: _SoftmaxSums, chunk: Candidates) -> _SoftmaxSums:
        return sums.update(compare(image, ids, chunk, logit_scale), chunk.present[:, 0])

    candidates = candidates_of(text, ids, negatives, negative_mask, negative_ids)
    sums = fold(add, _SoftmaxSums.start(len(image)), candidates, chunk_size)
    image_loss = jnp.mean(sums.log_normaliser - sums.own)
    text_loss = sums.text_loss / len(image)
    metrics = {"image_to_text_loss": image_loss, "text_to_image_loss": text_loss}
    return Losses((image_loss + text_loss) / 2, metrics | sums.retrieval.metrics(candidates))


class _SigmoidSums(NamedTuple):
    """What the sigmoid form keeps of the texts seen so far."""

    image_loss: Float[Array, " b"]  # sum over texts
    retrieval: Retrieval


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

    Returns:
        The loss, and the metrics `image_to_text_accuracy`, `text_to_image_accuracy` and
        `equal_pairs` of `softmax_contrastive`. All are float32.
    """

    def add(sums: _SigmoidSums, chunk: Candidates) -> _SigmoidSums:
        comparison = compare(image, ids, chunk, logit_scale)
        logits = comparison.logits + logit_bias
        losses = jax.nn.softplus(jnp.where(comparison.own, -logits, logits))
        return _SigmoidSums(
            sums.image_loss + jnp.sum(losses, axis=(1, 2)), sums.retrieval.update(comparison)
        )

    candidates = candidates_of(text, ids, negatives, negative_mask, negative_ids)
    start = _SigmoidSums(jnp.zeros(len(image)), Retrieval.start(len(image)))
    sums = fold(add, start, candidates, chunk_size)
    return Losses(jnp.mean(sums.image_loss), sums.retrieval.metrics(candidates))


@dataclass(frozen=True)
class Contrastive:
    """The contrastive objective as a run configures it; reads `Pairs`.

    Attributes:
        kind: its name in a config.
        weight: of the objective in the total.
        stream: of captioned pictures.
        form: CLIP's or SigLIP's.
        chunk_size: captions compared at a time; None: all.
        negatives: whether an image also has to tell its caption from the negatives of all captions
            (NegCLIP, Yuksekgonul et al. 2023).
    """

    heads: ClassVar[tuple[str, ...]] = ()

    kind: Literal["contrastive"] = "contrastive"
    weight: Weight = 1.0
    stream: str = "captions"
    form: Literal["softmax", "sigmoid"] = "softmax"
    chunk_size: PositiveInt | None = None
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
        arguments = {**vectors, "logit_scale": context.logit_scale, "chunk_size": self.chunk_size}
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
