"""A classifier of pooled embeddings: of a picture and a text, of two texts, or of one text.

    x = sqrt(d) [u, v, u v, |u - v|]    (of a lone text: sqrt(d) u)
    logits = W2 gelu(norm(W1 x + b1)) + b2

Knowledge-CLIP (Pan et al., NeurIPS 2022) is fine-tuned on VQA, SNLI-VE and GLUE, but what its
encoders end in there is not known to us, so this is a common recipe: what two embeddings have to
say to each other as in InferSent (Conneau et al., EMNLP 2017) and the baselines of GLUE (Wang et
al., ICLR 2019), the layers behind it as in ViLT (Kim et al., ICML 2021), initial values included.
Embeddings are of unit length; sqrt(d) makes products as large as what they are made of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from kgclip_jax.models import spec
from kgclip_jax.models.initial_values import gaussian
from kgclip_jax.models.layers import LayerNorm, Linear, Projection, gelu_erf
from kgclip_jax.ranges import PositiveInt

_STD = 0.02


class Classifier(nnx.Module):
    """Two layers over one embedding, or over two and what they have in common."""

    def __init__(self, settings: "ClassifierHead", embedding: int, *, rngs: nnx.Rngs) -> None:
        inputs = embedding * (1 if settings.inputs == 1 else 4)
        self.hidden = Linear(inputs, settings.width, init=gaussian(_STD), rngs=rngs)
        self.norm = LayerNorm(settings.width, eps=1e-5)
        self.classes = Projection(settings.width, settings.classes, init=gaussian(_STD), rngs=rngs)
        self.settings = settings

    def __call__(self, embeddings: Sequence[Float[Array, "b d"]]) -> Float[Array, "b classes"]:
        """Return the logits of the classes, float32. Takes as many embeddings as `inputs` says."""
        first, *others = (x * x.shape[1] ** 0.5 for x in embeddings)
        parts = [first]
        for second in others:
            parts += [second, first * second, jnp.abs(first - second)]
        return self.classes(gelu_erf(self.norm(self.hidden(jnp.concatenate(parts, axis=1)))))


@dataclass(frozen=True, kw_only=True)
class ClassifierHead:
    """The classifier as a run configures it.

    Attributes:
        kind: its name in a config.
        classes: of the data set; 1 for a number.
        inputs: 2 for a picture and a text or for two texts, 1 for a text.
        width: of the hidden layer.
    """

    kind: Literal["classifier"] = "classifier"
    classes: PositiveInt
    inputs: Literal[1, 2] = 2
    width: PositiveInt = 1024

    def build(self, model: spec.DualEncoder, *, rngs: nnx.Rngs) -> Classifier:
        """Make the module beside a model of this shape."""
        return Classifier(self, model.embedding, rngs=rngs)
