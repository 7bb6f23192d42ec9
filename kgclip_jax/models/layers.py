"""Dense layers, norms and activations, on rows: arrays of shape (rows, features).

Dense layers take two-dimensional inputs on purpose. XLA on CPUs multiplies (b*n, d) matrices about
a quarter faster than (b, n, d) arrays.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from kgclip_jax.models.initial_values import BlockInit, LinearInit
from kgclip_jax.models.spec import Activation


@jax.custom_vjp
def matmul(x: Float[Array, "rows i"], kernel: Float[Array, "i o"]) -> Float[Array, "rows o"]:
    """`x @ kernel`, with a gradient that CPUs compute fast."""
    return x @ kernel


def _matmul_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return x @ kernel, (x, kernel)


def _matmul_backward(residuals: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    x, kernel = residuals

    def transposed_first(x: Array, gradient: Array) -> Array:
        # XLA:CPU contracts the first axis of both operands at half speed; a real transpose is
        # cheaper, and the barrier keeps XLA from folding it back into the product.
        return jax.lax.optimization_barrier(x.T) @ gradient

    kernel_gradient = jax.lax.platform_dependent(
        x, gradient, cpu=transposed_first, default=lambda x, gradient: x.T @ gradient
    )
    return gradient @ kernel.T, kernel_gradient


matmul.defvjp(_matmul_forward, _matmul_backward)


class Linear(nnx.Module):
    """An affine map of rows, computed in the dtype of its input from float32 parameters."""

    def __init__(
        self, inputs: int, outputs: int, *, init: LinearInit, bias: bool = True, rngs: nnx.Rngs
    ) -> None:
        self.kernel = nnx.Param(init.kernel(rngs.params(), (inputs, outputs)))
        self.bias = (
            nnx.Param(init.bias(inputs)(rngs.params(), (outputs,), jnp.float32)) if bias else None
        )

    def __call__(self, x: Float[Array, "rows i"]) -> Float[Array, "rows o"]:
        """`x @ kernel + bias`."""
        y = matmul(x, self.kernel[...].astype(x.dtype))
        return y if self.bias is None else y + self.bias[...].astype(x.dtype)


class Projection(Linear):
    """An affine map into the space that embeddings are compared in: float32 whatever its input.

    Logits are the first thing that rounding reaches unhindered (a scale of 100 stands behind it),
    so accelerators are asked for true float32 here, not for their usual TensorFloat-32 or bfloat16.
    """

    def __call__(self, x: Float[Array, "rows i"]) -> Float[Array, "rows o"]:
        """`x @ kernel + bias`."""
        x, kernel = x.astype(jnp.float32), self.kernel[...]
        y = jnp.matmul(x, kernel, precision=jax.lax.Precision.HIGHEST)
        return y if self.bias is None else y + self.bias[...]


class LayerNorm(nnx.Module):
    """Layer norm over features, with float32 statistics."""

    def __init__(self, features: int, *, eps: float) -> None:
        self.scale = nnx.Param(jnp.ones(features))
        self.bias = nnx.Param(jnp.zeros(features))
        self.eps = eps

    def __call__(self, x: Float[Array, "... d"]) -> Float[Array, "... d"]:
        """Normalise the last axis, then scale and shift it."""
        y = x.astype(jnp.float32)
        y = y - y.mean(-1, keepdims=True)
        y = y * jax.lax.rsqrt(jnp.square(y).mean(-1, keepdims=True) + self.eps)
        return (y * self.scale[...] + self.bias[...]).astype(x.dtype)


def quick_gelu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The sigmoid approximation of OpenAI's CLIP: x * sigmoid(1.702 x)."""
    return x * jax.nn.sigmoid(1.702 * x)


def gelu_erf(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The exact form (open_clip, PyTorch's default)."""
    return jax.nn.gelu(x, approximate=False)


def gelu_tanh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The tanh approximation (SigLIP)."""
    return jax.nn.gelu(x, approximate=True)


UP = "inputs of the activation"  # for policies of what the backward pass keeps

ACTIVATIONS: dict[Activation, Callable[[Array], Array]] = {
    "quick_gelu": quick_gelu,
    "gelu_erf": gelu_erf,
    "gelu_tanh": gelu_tanh,
}


class Mlp(nnx.Module):
    """Two linear maps with an activation between them."""

    def __init__(
        self, width: int, hidden: int, *, activation: Activation, init: BlockInit, rngs: nnx.Rngs
    ) -> None:
        self.up = Linear(width, hidden, init=init.up, rngs=rngs)
        self.down = Linear(hidden, width, init=init.down, rngs=rngs)
        self.activation = activation

    def __call__(self, x: Float[Array, "rows d"]) -> Float[Array, "rows d"]:
        """Map up, activate, map down."""
        # Recomputed from its input, instead of up to four arrays that autodiff would keep.
        activation = jax.checkpoint(ACTIVATIONS[self.activation])
        return self.down(activation(checkpoint_name(self.up(x), UP)))
