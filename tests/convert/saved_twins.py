"""Twins as files, and the models that they are expected to be read as."""

import json

import jax
import numpy as np

from kgclip_jax.convert.families import FAMILIES
from kgclip_jax.convert.rules import to_ours
from kgclip_jax.convert.weights import write_safetensors


def write_files(twin, folder):
    """Write the description of a twin; returns the folder."""
    folder.mkdir(exist_ok=True)
    for name, content in twin.files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def as_folder(twin, folder, stem=None):
    """Write a twin as its library keeps it; returns the folder."""
    usual = "model" if twin.family.startswith("Hugging Face") else "open_clip_model"
    write_safetensors(write_files(twin, folder), twin.weights(), stem or usual)
    return folder


def converted(twin):
    """The shape and the parameters of a twin."""
    family = next(family for family in FAMILIES if family.name == twin.family)
    shape = family.describe(twin.files)
    weights = {family.canonical(name): array for name, array in twin.weights().items()}
    return shape, to_ours(family.rules(shape), weights, shape)


def assert_is(pretrained, twin):
    """See that an opened model is the twin."""
    shape, params = converted(twin)
    assert pretrained.shape == shape
    jax.tree.map(np.testing.assert_array_equal, pretrained.read(), params)
