"""Relations told from either side."""

import pytest

from kgclip_jax.data.emoji.caption_words import ASIDE, BETWEEN, CONVERSE, CONVERSE_PHRASES
from kgclip_jax.knowledge.converses import canonical, check_converses

BESIDE = ((("left of", "to its left"), ("right of", "to its right")),)


@pytest.mark.parametrize(
    ("triple", "told"),
    [
        (("dog", "left of", "cat"), ("dog", "left of", "cat")),
        (("dog", "to its left", "cat"), ("dog", "left of", "cat")),
        (("cat", "right of", "dog"), ("dog", "left of", "cat")),
        (("cat", "to its right", "dog"), ("dog", "left of", "cat")),
        (("dog", "under", "table"), ("dog", "under", "table")),
        (("dog", "is", "small"), ("dog", "is", "small")),
    ],
)
def test_only_listed_relations_are_renamed_and_only_converses_turned(triple, told):
    assert canonical([triple], BESIDE) == [told]
    assert canonical([triple], ()) == [triple]


@pytest.mark.parametrize("relation", CONVERSE)
def test_all_that_emoji_scenes_say_has_one_canonical_form(relation):
    told = [("dog", phrase, "cat") for phrase in BETWEEN[relation] + ASIDE[relation]]
    inverse = CONVERSE[relation]
    told += [("cat", phrase, "dog") for phrase in BETWEEN[inverse] + ASIDE[inverse]]
    assert len(set(canonical(told, CONVERSE_PHRASES))) == 1


@pytest.mark.parametrize(
    ("converses", "message"),
    [
        (((("on",), ("on",)),), "each phrase must stand once, not on"),
        (((("on",), ()),), "a relation and its converse need a phrase each"),
        (((("Left of",), ("right of",)),), "'Left of' must be written 'left of'"),
        (((("left of",), ("right  of",)),), "'right  of' must be written 'right of'"),
    ],
)
def test_phrases_that_no_text_could_have_are_refused(converses, message):
    check_converses(CONVERSE_PHRASES)
    with pytest.raises(ValueError, match=f"converses: {message}"):
        check_converses(converses)
