"""WiSE-FT: a model half way between the one that tuning began with and the tuned one."""

import jax
import numpy as np

from kgclip_jax.errors import ConversionError
from kgclip_jax.models.dual_encoder import Params


def interpolate(base: Params, tuned: Params, alpha: float) -> Params:
    """Mix two models of one architecture, leaf by leaf: (1 - alpha) base + alpha tuned.

    Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022. The logit
    scale is mixed as it is stored, by its logarithm.

    Raises:
        ConversionError: when alpha is outside of that range or the parameters do not match.
    """
    if not 0 <= alpha <= 1:
        raise ConversionError(f"alpha must lie between 0 and 1, not {alpha:g}")
    _check_match(base, tuned)
    return jax.tree.map(lambda old, new: (1 - alpha) * old + alpha * new, base, tuned)


def _check_match(base: Params, tuned: Params) -> None:
    """Name every parameter that one side lacks or has in another shape."""
    ours, theirs = _shapes(tuned), _shapes(base)
    lines = [
        f"  {path}: {theirs.get(path, 'absent')} in the base, {ours.get(path, 'absent')} tuned"
        for path in sorted({*ours, *theirs})
        if ours.get(path) != theirs.get(path)
    ]
    if lines:
        listing = "\n".join(lines)
        raise ConversionError(f"models of different parameters cannot be mixed:\n{listing}")


def _shapes(params: Params) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {
        jax.tree_util.keystr(keys, simple=True, separator="/"): np.shape(leaf)
        for keys, leaf in leaves
    }
