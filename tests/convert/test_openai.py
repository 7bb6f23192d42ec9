"""OpenAI's own files, as state dicts and as programs."""

import numpy as np
import pytest
import torch

from kgclip_jax.convert import openai
from kgclip_jax.convert.pretrained import open_pretrained
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers
from kgclip_jax.errors import ConversionError
from tests.convert.saved_twins import assert_is, converted
from tests.convert.twins import openai_clip


class Scripted(torch.nn.Module):
    """A CLIP with the scalars that OpenAI's archives have."""

    def __init__(self, clip, scalars):
        super().__init__()
        for name, module in clip.named_children():
            self.add_module(name, module)
        for name, parameter in clip.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, value in scalars.items():
            self.register_buffer(name, torch.tensor(value))

    def forward(self, x):
        return x * self.logit_scale


@pytest.fixture
def twin():
    return openai_clip()


@pytest.fixture
def scalars(twin):
    return {name: torch.tensor(value) for name, value in openai.scalars(converted(twin)[0]).items()}


def test_state_dict(twin, scalars, tmp_path):
    torch.save(twin.model.state_dict() | scalars, tmp_path / "ViT-B-32.pt")
    pretrained = open_pretrained(tmp_path / "ViT-B-32.pt")
    assert_is(pretrained, twin)
    assert pretrained.tokenizers == Tokenizers()


def test_alone_in_a_folder(twin, scalars, tmp_path):
    torch.save(twin.model.state_dict() | scalars, tmp_path / "model.pt")
    assert_is(open_pretrained(tmp_path), twin)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_torchscript(twin, tmp_path):
    scalars = openai.scalars(converted(twin)[0])
    module = torch.jit.trace(Scripted(twin.model, scalars), torch.ones(()))
    torch.jit.save(module, tmp_path / "ViT-B-32.pt")
    assert_is(open_pretrained(tmp_path / "ViT-B-32.pt"), twin)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_as_open_clip_loads_it(twin, scalars, tmp_path, open_clip):
    state = twin.model.state_dict() | scalars
    torch.save(state, tmp_path / "model.pt")
    loaded = open_clip.load_openai_model(str(tmp_path / "model.pt"), precision="fp32")
    expected_state = twin.model.half().float().state_dict()
    for name, value in loaded.state_dict().items():
        np.testing.assert_allclose(
            value.numpy(), expected_state[name].numpy(), rtol=1e-3, atol=1e-6
        )


def test_without_scalars_the_activation_is_unknown(twin, tmp_path):
    torch.save(twin.model.state_dict(), tmp_path / "model.pt")
    with pytest.raises(ConversionError, match="does not say which architecture"):
        open_pretrained(tmp_path)


@pytest.mark.parametrize("name", openai.RANKS)
def test_damage_is_named(twin, scalars, tmp_path, name):
    path = tmp_path / "model.pt"
    state = twin.model.state_dict() | scalars
    message = rf"{path}: OpenAI's state dict: weights that are missing .*\n  {name}$"
    torch.save({key: value for key, value in state.items() if key != name}, path)
    with pytest.raises(ConversionError, match=message):
        open_pretrained(path)
    torch.save(state | {name: torch.zeros(3)}, path)
    with pytest.raises(ConversionError, match=message):
        open_pretrained(path)


def test_resnets(twin, scalars, tmp_path):
    state = twin.model.state_dict() | scalars | {"visual.layer1.0.conv1.weight": torch.zeros(1)}
    torch.save(state, tmp_path / "RN50.pt")
    with pytest.raises(ConversionError, match=r"RN50\.pt: .*ResNets are not known here"):
        open_pretrained(tmp_path / "RN50.pt")
