"""Relations told from either side."""

import pytest

from kgclip_jax.data.emoji.vocabulary import ASIDE, BETWEEN, CONVERSE
from kgclip_jax.knowledge.converses import CONVERSES, one_way_round


@pytest.mark.parametrize(
    ("triple", "told"),
    [
        (("dog", "left of", "cat"), ("dog", "left of", "cat")),
        (("dog", "to its left", "cat"), ("dog", "left of", "cat")),
        (("cat", "on the right of", "dog"), ("dog", "left of", "cat")),
        (("dog", "under", "table"), ("table", "above", "dog")),
        (("dog", "behind it", "cat"), ("cat", "in front of", "dog")),
        (("bird", "flying over", "sea"), ("bird", "flying over", "sea")),
        (("dog", "is", "small"), ("dog", "is", "small")),
    ],
)
def test_a_relation_is_told_in_the_first_of_its_ways(triple, told):
    assert one_way_round([triple]) == [told]


def test_a_relation_and_its_converse_from_the_other_side_are_one():
    for ways, contrary in CONVERSES:
        there = {one_way_round([("dog", way, "cat")])[0] for way in ways}
        back = {one_way_round([("cat", way, "dog")])[0] for way in contrary}
        assert there == back == {("dog", ways[0], "cat")}


def test_no_way_to_say_it_stands_twice():
    ways = [way for pair in CONVERSES for group in pair for way in group]
    assert len(set(ways)) == len(ways)


@pytest.mark.parametrize("relation", CONVERSE)
def test_all_that_emoji_scenes_say_is_known(relation):
    told = {one_way_round([("dog", way, "cat")])[0] for way in BETWEEN[relation] + ASIDE[relation]}
    back = {
        one_way_round([("cat", way, "dog")])[0]
        for way in BETWEEN[CONVERSE[relation]] + ASIDE[CONVERSE[relation]]
    }
    assert told == back
    assert len(told) == 1
