"""Which arguments matter to a result."""

import jax
import jax.numpy as jnp
import pytest

from kgclip_jax.objectives import liveness

X = jax.ShapeDtypeStruct((3,), "float32")


def used_arguments(function, *arguments):
    return liveness.used_arguments(jax.make_jaxpr(function)(*arguments).jaxpr, arguments)


def product(a, b):
    return a * 2, b * 3


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit, lambda f: jax.jit(jax.jit(f))])
def test_what_only_a_dropped_result_reads_is_unused(wrap):
    def function(a, b, c):
        doubled, _ = wrap(product)(a, b)
        return doubled + c

    assert used_arguments(function, X, X, X) == (True, False, True)


def test_arguments_are_trees_and_results_too():
    def function(rows, scale):
        return {"picked": rows["image"], "sum": jnp.sum(rows["text"][0]) * scale}

    rows = {"image": X, "text": (X, X), "ids": jax.ShapeDtypeStruct((3,), "int32"), "none": None}
    used, scale = used_arguments(function, rows, 1.0)
    assert used == {"image": True, "text": (True, False), "ids": False, "none": None}
    assert scale


def test_a_result_that_reads_nothing_uses_nothing():
    assert used_arguments(lambda a, b: jnp.zeros(()), X, X) == (False, False)
    assert used_arguments(lambda a, b: None, X, X) == (False, False)


def test_loops_and_branches_use_all_that_they_are_given():
    """They are not looked into: rather too much than too little."""

    def function(a, b):
        return jax.lax.scan(lambda carry, x: (carry + x, None), 0.0, a)[0] + 0 * b[0]

    assert used_arguments(function, X, X) == (True, True)
