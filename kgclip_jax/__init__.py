"""Pre-train CLIP-family dual encoders with structured knowledge, in JAX.

model = kgclip_jax.load("runs/quickstart")
model.similarity(images, texts)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kgclip_jax.inference import ClipEncoder, load

__all__ = ["ClipEncoder", "load"]


def __getattr__(name: str) -> Any:
    """Import JAX only when the model is used, so that tools can read configs without it."""
    if name in __all__:
        from kgclip_jax import inference

        return getattr(inference, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
