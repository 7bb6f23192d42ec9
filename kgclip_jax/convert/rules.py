"""Rules between our parameters and a foreign format's weights, and their use in both directions.

A table of rules is all that there is to say about a format's weights. Each foreign weight and each
of our parameters is used by exactly one rule, or the conversion fails and names those that are not.
"""

import functools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from kgclip_jax.convert.names import BLOCK, listing
from kgclip_jax.convert.transforms import KEEP, TRANSPOSE, Transform, chain, fuse, unpack
from kgclip_jax.errors import ConversionError
from kgclip_jax.models import spec
from kgclip_jax.models.dual_encoder import Model, Params

NEEDED = "parameters that the format needs and the architecture lacks"

Shapes = Mapping[str, tuple[int, ...]]
Weights = Mapping[str, np.ndarray]


class Rule(NamedTuple):
    """A few of our parameters, and the foreign weights that hold the same numbers.

    Attributes:
        ours: paths of parameters, such as "vision/patch/kernel".
        theirs: names of weights. A "{layer}" in them stands for the number of a block: the
            transform is then applied block by block, and ours are stacked along a leading axis.
        transform: between them.
    """

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    transform: Transform = KEEP

    @property
    def stacked(self) -> bool:
        """Whether the rule speaks of blocks."""
        return "{layer}" in self.theirs[0]

    def names(self, layer: int) -> list[str]:
        """The foreign names for one block; without blocks, `layer` means nothing."""
        return [name.format(layer=layer) for name in self.theirs]

    def depth(self, shapes: Shapes) -> int:
        """How often the rule is applied, given the shapes of our parameters."""
        return shapes[self.ours[0]][0] if self.stacked else 1


Rules = Sequence[Rule]


def same(ours: str, theirs: str, transform: Transform = KEEP) -> Rule:
    """One parameter, one weight."""
    return Rule((ours,), (theirs,), transform)


def norm(ours: str, theirs: str) -> tuple[Rule, ...]:
    """A layer norm."""
    return same(f"{ours}/scale", f"{theirs}.weight"), same(f"{ours}/bias", f"{theirs}.bias")


def linear(ours: str, theirs: str, *, bias: bool = True) -> tuple[Rule, ...]:
    """A linear layer, as torch keeps it."""
    kernel = same(f"{ours}/kernel", f"{theirs}.weight", TRANSPOSE)
    return (kernel, same(f"{ours}/bias", f"{theirs}.bias")) if bias else (kernel,)


def fused(ours: str, theirs: Sequence[str], heads: int) -> tuple[Rule, ...]:
    """Several linear layers that are one of ours, its columns ordered (head, layer, feature)."""
    transform = fuse(len(theirs), heads)
    return tuple(
        Rule((f"{ours}/{mine}",), tuple(f"{name}.{its}" for name in theirs), transform)
        for mine, its in (("kernel", "weight"), ("bias", "bias"))
    )


def packed(ours: str, theirs: str, parts: int, heads: int) -> tuple[Rule, ...]:
    """The same, but theirs are one layer as well, its outputs ordered (part, head, feature)."""
    transform = chain(unpack(parts), fuse(parts, heads))
    return (
        same(f"{ours}/kernel", f"{theirs}weight", transform),
        same(f"{ours}/bias", f"{theirs}bias", transform),
    )


def ruled(rules: Rules) -> set[str]:
    """The paths of our parameters that rules speak of."""
    return {path for rule in rules for path in rule.ours}


def share_known(rules: Rules, names: Sequence[str]) -> float:
    """Which share of some weights' names the rules speak of, whatever the number of blocks."""
    known = {name for rule in rules for name in rule.theirs}
    found = [name in known or BLOCK.sub("{layer}", name) in known for name in names]
    return sum(found) / max(1, len(found))


@functools.cache
def parameter_shapes(shape: spec.DualEncoder) -> Shapes:
    """The shape of each of our parameters, by path."""
    flat = flatten_dict(Model(shape).abstract(), sep="/")
    return {path: leaf.shape for path, leaf in flat.items()}


def weight_shapes(rules: Rules, shape: spec.DualEncoder) -> Shapes:
    """The shape of each foreign weight, by name.

    Raises:
        ConversionError: when the rules speak of parameters that the architecture does not have.
    """
    parameters = parameter_shapes(shape)
    shapes: dict[str, tuple[int, ...]] = {}
    _check_names({NEEDED: ruled(rules) - parameters.keys()})
    for rule in rules:
        start = 1 if rule.stacked else 0
        # Arrays of a single number that is repeated: converted like any other, at no cost.
        stand_ins = [np.broadcast_to(np.int8(0), parameters[path][start:]) for path in rule.ours]
        found = [array.shape for array in rule.transform.to_theirs(*stand_ins)]
        for layer in range(rule.depth(parameters)):
            shapes.update(zip(rule.names(layer), found, strict=True))
    return shapes


def to_ours(
    rules: Rules,
    weights: Weights,
    shape: spec.DualEncoder,
    *,
    ignorable: Collection[str] = (),
    elsewhere: Collection[str] = (),
) -> Params:
    """Convert foreign weights.

    Args:
        rules: the format's table for this architecture.
        weights: by name; read one after the other, so that the mapping may be lazy.
        shape: the architecture.
        ignorable: names that may be there and mean nothing.
        elsewhere: paths of parameters that come from elsewhere.

    Returns:
        The parameters of `Model(shape)` but for those, float32 if the weights are.

    Raises:
        ConversionError: naming every weight that is missing, unused, of another shape, of whole
            numbers or not finite, and every parameter that the format does not hold.
    """
    parameters, expected = parameter_shapes(shape), weight_shapes(rules, shape)
    _check_names(
        {
            "parameters that the format does not hold": parameters.keys()
            - ruled(rules)
            - set(elsewhere),
            "missing weights": expected.keys() - weights.keys(),
            "unused weights": weights.keys() - expected.keys() - set(ignorable),
        }
    )
    taken = _Checked(weights, expected, "weights")
    params: dict[str, np.ndarray] = {}
    for rule in rules:
        blocks = [
            rule.transform.to_ours(*map(taken, rule.names(layer)))
            for layer in range(rule.depth(parameters))
        ]
        for path, arrays in zip(rule.ours, zip(*blocks, strict=True), strict=True):
            params[path] = np.array(arrays if rule.stacked else arrays[0], order="C")
    taken.finish()
    return unflatten_dict(params, sep="/")


def to_theirs(
    rules: Rules, params: Params, shape: spec.DualEncoder
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Convert our parameters.

    Returns:
        The foreign weights by name, and the parameters that the format cannot hold by path.

    Raises:
        ConversionError: naming every parameter that is missing, of another shape or not finite.
    """
    given = {path: np.asarray(leaf) for path, leaf in flatten_dict(params, sep="/").items()}
    parameters = parameter_shapes(shape)
    _check_names(
        {
            NEEDED: ruled(rules) - parameters.keys(),
            "missing parameters": parameters.keys() - given.keys(),
        }
    )
    beside = {path: given[path].shape for path in given.keys() - ruled(rules)}
    taken = _Checked(given, {**parameters, **beside}, "parameters")
    weights: dict[str, np.ndarray] = {}
    for rule in rules:
        arrays = [taken(path) for path in rule.ours]
        for layer in range(rule.depth(parameters)):
            block = [array[layer] for array in arrays] if rule.stacked else arrays
            converted = rule.transform.to_theirs(*block)
            for name, array in zip(rule.names(layer), converted, strict=True):
                weights[name] = np.array(array, order="C")
    left_out = {path: taken(path) for path in given if path in beside}
    taken.finish()
    return weights, left_out


class _Checked:
    """Finite numbers, each array of the expected shape; what is not is collected, then raised."""

    def __init__(self, arrays: Weights, expected: Shapes, what: str) -> None:
        self._arrays = arrays
        self._expected = expected
        self._what = what
        self._mismatches: list[str] = []
        self._not_real: list[str] = []
        self._not_finite: list[str] = []

    def __call__(self, name: str) -> np.ndarray:
        array, expected = self._arrays[name], self._expected[name]
        if not np.issubdtype(array.dtype, np.floating):
            self._not_real.append(f"  {name}: {array.dtype}")
        elif not np.isfinite(array).all():
            self._not_finite.append(f"  {name}")
        if array.shape == expected:
            return array
        if array.size == math.prod(expected) == 1:  # formats disagree on the rank of scalars
            return array.reshape(expected)
        self._mismatches.append(f"  {name}: expected {expected}, got {array.shape}")
        return np.broadcast_to(array.dtype.type(0), expected)  # so that all mismatches are found

    def finish(self) -> None:
        """Raise ConversionError if any array had another shape, whole numbers, or NaN."""
        problems = {
            f"{self._what} of another shape": self._mismatches,
            f"{self._what} that are no floating-point numbers": self._not_real,
            f"{self._what} with numbers that are NaN or infinite": self._not_finite,
        }
        _raise_for({what: "\n".join(lines) for what, lines in problems.items()})


def _check_names(problems: Mapping[str, Collection[str]]) -> None:
    """Raise ConversionError for names that are there and should not, or the other way round."""
    _raise_for({what: listing(names) for what, names in problems.items()})


def _raise_for(problems: Mapping[str, str]) -> None:
    """Raise ConversionError if there are lines about any problem."""
    if found := [f"{what}:\n{lines}" for what, lines in problems.items() if lines]:
        raise ConversionError("\n".join(found))
