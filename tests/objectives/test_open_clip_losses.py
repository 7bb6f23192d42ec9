"""Contrastive losses, in chunks or not, have the values and gradients of open_clip's losses.

The cases are those of its own tests/test_siglip_chunked_loss.py, commit 89fb801. Its chunks came
after the version on PyPI, so that they are compared by the values that they gave.
"""

import jax
import numpy as np
import pytest
import torch

from kgclip_jax.objectives.contrastive import sigmoid_contrastive, softmax_contrastive
from tests.torchvision_operators import make_torchvision_importable

make_torchvision_importable()
from open_clip.loss import ClipLoss, SigLipLoss  # noqa: E402

CHUNKS = [(64, None), (64, 64), (64, 32), (64, 8), (64, 1), (70, 8)]  # batch, texts at a time


def unit_rows(batch, features=32):
    """Pictures and texts of open_clip's tests."""
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(batch, features, generator=generator) for _ in range(2)]
    return [(x / x.norm(dim=-1, keepdim=True)).numpy() for x in rows]


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


@pytest.mark.parametrize(("batch", "chunk_size"), CHUNKS)
@pytest.mark.parametrize(
    ("function", "reference", "scalars"),
    [
        (softmax_contrastive, ClipLoss, {"logit_scale": 14.0}),
        (sigmoid_contrastive, SigLipLoss, {"logit_scale": 10.0, "logit_bias": -10.0}),
    ],
    ids=["softmax", "sigmoid"],
)
def test_values_and_gradients(function, reference, scalars, batch, chunk_size):
    rows = unit_rows(batch)
    numbers = [np.float32(number) for number in scalars.values()]
    expected, slopes = theirs(reference(), rows, *numbers)
    value, gradients = ours(function, scalars, rows, numbers, chunk_size)
    assert float(value) == pytest.approx(expected, rel=1e-5)
    for mine, their in zip(gradients, slopes, strict=True):
        np.testing.assert_allclose(mine, their, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("batch", "theirs", "slopes"), [(64, 9.767040, 45.25379), (70, 9.630456, 45.19983)]
)
def test_values_of_open_clips_chunks(batch, theirs, slopes):
    """`SigLipLoss(chunk_size=8)`, and the sum of its gradient's sizes."""
    names, scalars = ("logit_scale", "logit_bias"), (np.float32(10), np.float32(-10))
    value, (gradient, *_) = ours(sigmoid_contrastive, names, unit_rows(batch), scalars, 8)
    np.testing.assert_allclose(value, theirs, rtol=1e-6)
    np.testing.assert_allclose(np.abs(gradient).sum(), slopes, rtol=1e-5)
