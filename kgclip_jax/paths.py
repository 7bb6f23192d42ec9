"""Leaves of trees by path: "model/vision/blocks/mlp/up/kernel". Rules are about paths."""

from collections.abc import Callable
from typing import Any

import jax


def path_of(keys: tuple[Any, ...]) -> str:
    """Join a pytree key path with slashes."""
    return jax.tree_util.keystr(keys, simple=True, separator="/")


def map_paths(function: Callable[[str, Any], Any], tree: Any) -> Any:
    """Apply `function(path, leaf)` to each leaf."""
    return jax.tree_util.tree_map_with_path(lambda keys, leaf: function(path_of(keys), leaf), tree)


def leaves_by_path(tree: Any) -> dict[str, Any]:
    """Return the leaves as a flat dict, in the order of the tree."""
    return {path_of(keys): leaf for keys, leaf in jax.tree_util.tree_leaves_with_path(tree)}
