"""The classifier against the same layers in torch."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from kgclip_jax.models.classifier import ClassifierHead
from kgclip_jax.models.heads import Head, bind_head, init_head
from kgclip_jax.models.presets import preset

D = 6
TINY = replace(preset("tiny"), embedding=D)


def classifier(**settings):
    head = ClassifierHead(classes=5, width=7, **settings)
    assert isinstance(head, Head)
    params = init_head(head, "classifier", TINY, 0)
    params["hidden"]["bias"] += 0.3
    return bind_head(head, TINY, params), params


@pytest.mark.parametrize("inputs", [1, 2])
def test_layers_are_those_of_torch(inputs):
    module, params = classifier(inputs=inputs)
    rng = np.random.default_rng(0)
    vectors = [rng.normal(size=(3, D)).astype(np.float32) for _ in range(inputs)]
    logits = module([jnp.asarray(x) for x in vectors])

    u, *rest = (torch.tensor(x).double() * D**0.5 for x in vectors)
    x = torch.cat([u, *(part for v in rest for part in (v, u * v, (u - v).abs()))], dim=1)
    layers = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], 7),
        torch.nn.LayerNorm(7),
        torch.nn.GELU(),
        torch.nn.Linear(7, 5),
    ).double()
    for layer, name in ((layers[0], "hidden"), (layers[3], "classes")):
        layer.weight.data = torch.tensor(params[name]["kernel"]).T.double()
        layer.bias.data = torch.tensor(params[name]["bias"]).double()
    np.testing.assert_allclose(logits, layers(x).detach(), atol=2e-6)


def test_initial_values_are_small_and_features_as_large_as_each_other():
    _, params = classifier()
    assert np.std(params["classes"]["kernel"]) == pytest.approx(0.02, rel=0.3)
    rng = np.random.default_rng(0)
    u, v = (rng.normal(size=(1000, 512)) for _ in range(2))
    u, v = (x / np.linalg.norm(x, axis=1, keepdims=True) * 512**0.5 for x in (u, v))
    for part in (u, u * v, np.abs(u - v)):
        assert 0.5 < np.sqrt((part**2).mean()) < 2
