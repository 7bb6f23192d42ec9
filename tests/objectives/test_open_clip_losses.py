"""Contrastive losses, in chunks or not, have the values and gradients of open_clip's losses."""

import jax
import numpy as np
import pytest
import torch

from kgclip_jax.objectives.contrastive import sigmoid_contrastive, softmax_contrastive
from tests.objectives.loss_contract import unit_rows
from tests.torchvision_operators import make_torchvision_importable

make_torchvision_importable()
from open_clip.loss import ClipLoss, SigLipLoss  # noqa: E402

BATCH = 64


def theirs(loss, rows, *scalars):
    tensors = [torch.tensor(array, requires_grad=True) for array in (*rows, *scalars)]
    value = loss(*tensors)
    value.backward()
    return value.item(), [tensor.grad.numpy() for tensor in tensors]


def ours(function, names, rows, scalars, chunk_size):
    def loss(*arrays):
        named = dict(zip(("image", "text", *names), arrays, strict=True))
        return function(**named, chunk_size=chunk_size)[0]

    arguments = tuple(range(2 + len(scalars)))
    return jax.jit(jax.value_and_grad(loss, argnums=arguments))(*rows, *scalars)


@pytest.mark.parametrize("chunk_size", [None, 64, 8])
@pytest.mark.parametrize(
    ("function", "reference", "scalars"),
    [
        (softmax_contrastive, ClipLoss, {"logit_scale": 14.0}),
        (sigmoid_contrastive, SigLipLoss, {"logit_scale": 10.0, "logit_bias": -10.0}),
    ],
    ids=["softmax", "sigmoid"],
)
def test_values_and_gradients(function, reference, scalars, chunk_size):
    rng = np.random.default_rng(0)
    rows = unit_rows(rng, BATCH, 32), unit_rows(rng, BATCH, 32)
    numbers = [np.float32(number) for number in scalars.values()]
    expected, slopes = theirs(reference(), rows, *numbers)
    value, gradients = ours(function, scalars, rows, numbers, chunk_size)
    assert float(value) == pytest.approx(expected, rel=1e-5)
    for mine, their in zip(gradients, slopes, strict=True):
        np.testing.assert_allclose(mine, their, rtol=1e-4, atol=1e-6)
