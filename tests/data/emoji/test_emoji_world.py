"""Settings are checked, and the held-out parts are what the settings say."""

from collections import Counter

import pytest

from kgclip_jax.data.emoji.caption_words import CONVERSE
from kgclip_jax.data.emoji.world import EmojiWorld, splits
from kgclip_jax.errors import ConfigError
from kgclip_jax.schema import parse


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", -1),
        ("max_objects", 5),
        ("max_words", 5),
        ("unseen_pair_share", 0.9),
        ("families", ("size", "smell")),
        ("families", ("size", "size")),
    ],
)
def test_a_wrong_setting_is_named(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{key}(:| must be)"):
        parse(EmojiWorld, {key: value})


def test_families_come_in_one_order() -> None:
    world = EmojiWorld(families=("background", "colour", "size"))
    assert world.thing_families == ("size", "colour")


def test_a_world_with_more_concepts_keeps_the_unseen_ones() -> None:
    small, large = splits(EmojiWorld(concepts=32)), splits(EmojiWorld(concepts=100))
    assert [small.concepts[c] for c in small.unseen] == [large.concepts[c] for c in large.unseen]
    assert not set(small.seen) & set(small.unseen)
    assert len(small.seen) == 32
    assert len(small.unseen) == 20
    assert set(small.concepts) <= set(large.concepts)


def test_every_attribute_and_relation_is_withheld_from_a_tenth_of_the_concepts() -> None:
    parts = splits(EmojiWorld(concepts=100, unseen_pair_share=0.1))
    attributes = Counter(value for value, _ in parts.unseen_attributes)
    assert attributes["red"] == attributes["small"] == attributes["upside-down"] == 10
    assert len(attributes) == 9
    relations = Counter(predicate for predicate, _ in parts.unseen_relations)
    assert relations == dict.fromkeys(CONVERSE, 10)
    for pairs in (parts.unseen_attributes, parts.unseen_relations):
        assert {concept for _, concept in pairs} <= set(parts.seen)


def test_never_are_both_of_two_opposites_withheld() -> None:
    parts = splits(EmojiWorld(concepts=40, unseen_pair_share=0.4))
    opposites = {**CONVERSE, "small": "large"}
    for pairs in (parts.unseen_attributes, parts.unseen_relations):
        for name, concept in pairs:
            assert (opposites.get(name), concept) not in pairs


def test_unused_families_have_no_pairs() -> None:
    parts = splits(EmojiWorld(families=("size",)))
    assert {value for value, _ in parts.unseen_attributes} == {"small", "large"}


def test_another_seed_is_another_world() -> None:
    one, other = splits(EmojiWorld(seed=1)), splits(EmojiWorld(seed=2))
    assert one.concepts != other.concepts
    assert one.unseen_attributes != other.unseen_attributes
