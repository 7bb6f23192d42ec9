"""OpenAI's own files of CLIP's vision transformers: a state dict that describes itself."""

import dataclasses
import math
import re
from collections.abc import Iterable

import numpy as np

from kgclip_jax.convert import open_clip
from kgclip_jax.convert.clip_layouts import highest_id
from kgclip_jax.convert.family import Family, Files, canonical, refuse_what_is_lost
from kgclip_jax.convert.foreign_config import reading
from kgclip_jax.convert.names import listing
from kgclip_jax.convert.rules import Rule
from kgclip_jax.models import spec
from kgclip_jax.schema import check

SHAPES = "shapes of the weights"
"""Stands for a JSON file: the shape of each weight by name."""

RANKS = {
    "visual.conv1.weight": 4,
    "visual.positional_embedding": 2,
    "visual.proj": 2,
    "token_embedding.weight": 2,
    "positional_embedding": 2,
    "text_projection": 2,
}
"""The weights that tell the architecture, and how many axes they have."""

SCALARS = ("input_resolution", "context_length", "vocab_size")
HEAD_WIDTH = 64


def scalars(shape: spec.DualEncoder) -> dict[str, np.ndarray]:
    """The numbers that OpenAI's files hold beside the weights, and by which they are known."""
    values = (shape.vision.image_size, shape.text.context_length, shape.text.vocabulary)
    return {name: np.array(value) for name, value in zip(SCALARS, values, strict=True)}


def recognises(files: Files) -> bool:
    """Whether a state dict has OpenAI's scalars."""
    return files.get(SHAPES, {}).keys() >= set(SCALARS)


def describe(files: Files) -> spec.DualEncoder:
    """Return the architecture that the shapes of the weights imply."""
    shapes = files[SHAPES]
    with reading("OpenAI's state dict"):
        resnet = any(name.startswith("visual.layer1.") for name in shapes)
        check(not resnet, "the vision tower is no ViT; ResNets are not known here")
        if damaged := [name for name, rank in RANKS.items() if len(shapes.get(name, ())) != rank]:
            raise ValueError(f"weights that are missing or of another rank:\n{listing(damaged)}")
        width, _, patch_size, _ = shapes["visual.conv1.weight"]
        vocabulary, text_width = shapes["token_embedding.weight"]
        return _layout(
            vision=_transformer(width, _depth(shapes, "visual.")),
            image_size=patch_size * math.isqrt(shapes["visual.positional_embedding"][0] - 1),
            patch_size=patch_size,
            text=_transformer(text_width, _depth(shapes, "")),
            vocabulary=vocabulary,
            context_length=shapes["positional_embedding"][0],
            embedding=shapes["text_projection"][1],
        )


def files(shape: spec.DualEncoder) -> Files:
    """Return no files: the state dict, with `scalars` in it, says all. Refuses other layouts."""
    vision, text = shape.vision, shape.text
    with reading("OpenAI's format"):
        held = _layout(
            vision=_transformer(vision.transformer.width, vision.transformer.depth),
            image_size=vision.image_size,
            patch_size=vision.patch_size,
            text=_transformer(text.transformer.width, text.transformer.depth),
            vocabulary=text.vocabulary,
            context_length=text.context_length,
            embedding=shape.embedding,
        )
    refuse_what_is_lost("OpenAI's format", shape, held)
    return {}


def _layout(
    *,
    vision: spec.Transformer,
    image_size: int,
    patch_size: int,
    text: spec.Transformer,
    vocabulary: int,
    context_length: int,
    embedding: int,
) -> spec.DualEncoder:
    """The one layout that OpenAI's files have."""
    return canonical(
        spec.DualEncoder(
            vision=spec.Vision(vision, image_size=image_size, patch_size=patch_size),
            text=spec.Text(
                text,
                vocabulary=vocabulary,
                context_length=context_length,
                **highest_id(vocabulary),
            ),
            embedding=embedding,
        )
    )


def _transformer(width: int, depth: int) -> spec.Transformer:
    check(width >= HEAD_WIDTH, f"a head has {HEAD_WIDTH} features; a width of {width} is too small")
    return spec.Transformer(
        width, depth, width // HEAD_WIDTH, mlp_width=4 * width, activation="quick_gelu"
    )


def _depth(names: Iterable[str], tower: str) -> int:
    block = re.compile(re.escape(tower) + r"transformer\.resblocks\.(\d+)\.")
    return len({match[1] for name in names if (match := block.match(name))})


def rules(shape: spec.DualEncoder) -> tuple[Rule, ...]:
    """The table of weights: that of open_clip, which took OpenAI's names, without a logit bias."""
    return open_clip.rules(dataclasses.replace(shape, logit_bias=None))


FAMILY = Family(
    name="OpenAI CLIP",
    format="openai",
    recognises=recognises,
    describe=describe,
    files=files,
    rules=rules,
    ignorable=frozenset(SCALARS),
)
