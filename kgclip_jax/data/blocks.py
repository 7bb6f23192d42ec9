"""Trees of NumPy arrays with rows in front: dicts, tuples and named tuples; None is left alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped


def map_blocks(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Apply a function to the arrays in the same place of trees of one shape."""
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        return {
            key: map_blocks(function, value, *(other[key] for other in others))
            for key, value in tree.items()
        }
    if isinstance(tree, tuple):
        parts = (map_blocks(function, *parts) for parts in zip(tree, *others, strict=True))
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return function(tree, *others)


def arrays_of(tree: Any) -> Iterator[Any]:
    """Return the arrays of a tree."""
    if isinstance(tree, Mapping):
        for value in tree.values():
            yield from arrays_of(value)
    elif isinstance(tree, tuple):
        for value in tree:
            yield from arrays_of(value)
    elif tree is not None:
        yield tree


def concat_blocks(trees: Sequence[Any]) -> Any:
    """Join trees array by array, along the rows; a single one is not copied."""
    if len(trees) == 1:
        return trees[0]
    return map_blocks(lambda *arrays: np.concatenate(arrays), *trees)


def abstract_array(shape: tuple[int, ...], dtype: Any) -> Shaped[np.ndarray, "..."]:
    """Return an array that says shape and dtype and takes no memory."""
    return np.broadcast_to(np.zeros((), dtype), shape)
