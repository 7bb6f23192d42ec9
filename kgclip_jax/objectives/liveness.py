"""Which arguments of a traced function matter to its result."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.extend.core import Jaxpr, Var


def used_arguments(jaxpr: Jaxpr, arguments: Any) -> Any:
    """Return a tree like `arguments` that tells of each leaf whether the result depends on it.

    Args:
        jaxpr: what `jax.make_jaxpr` made of a function of these arguments.
        arguments: whose leaves may be abstract.
    """
    used = _used_inputs(jaxpr, [True] * len(jaxpr.outvars))
    return jax.tree.unflatten(jax.tree.structure(arguments), used)


def _used_inputs(jaxpr: Jaxpr, outputs_used: Sequence[bool]) -> list[bool]:
    """Walk the equations backwards; those of nested jitted functions too."""
    live = {
        var
        for var, used in zip(jaxpr.outvars, outputs_used, strict=True)
        if used and isinstance(var, Var)
    }
    for equation in reversed(jaxpr.eqns):
        outputs = [var in live for var in equation.outvars]
        if not any(outputs):
            continue
        inputs = [True] * len(equation.invars)
        if equation.primitive.name in ("jit", "pjit"):
            inputs = _used_inputs(equation.params["jaxpr"].jaxpr, outputs)
        live |= {
            var
            for var, used in zip(equation.invars, inputs, strict=True)
            if used and isinstance(var, Var)
        }
    return [var in live for var in jaxpr.invars]
