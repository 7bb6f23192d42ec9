"""Captions come as tokenizers read them; where their words stood before is not forgotten."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kgclip_jax.data.tokenization.cleaning import clean
from kgclip_jax.knowledge.clean_captions import clean_caption, mend, origins


class Whole(str):
    """A text that takes no short cut."""

    def isascii(self):
        return False


@given(st.text(st.characters(max_codepoint=127)))
@example("".join(map(chr, range(128))))
@example("&amp;&lt;")
def test_short_cut_of_mend_changes_nothing(text):
    assert mend(text) == mend(Whole(text))


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a dog &amp;amp; a cat", "a dog & a cat"),
        (" &nbsp; ", ""),
        ("a  dog\n", "a dog"),
        ("A DOG LEFT OF A CAR.", "a dog left of a car."),
        ("A SMALL DOG runs behind a LARGE CAT", "a small dog runs behind a large cat"),
        ("A TV", "a tv"),
        ("A Dog on a TV", "A Dog on a TV"),
        ("a TV, LEFT OF A DVD player", "a tv, left of a dvd player"),
        ("A", "A"),
    ],
)
def test_captions_are_cleaned_once_for_all_readers(text, cleaned):
    assert clean_caption(text) == cleaned == clean_caption(cleaned)
    assert clean(text, "open_clip_lower") == clean(cleaned, "open_clip_lower")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a dog &amp;amp; a cat", {"dog": "dog", "cat": "cat"}),
        ("a  caf\u00c3\u00a9\n by a RED&nbsp;CAT", {"caf\u00e9": "caf\u00c3\u00a9", "cat": "CAT"}),
        ("\u0130 DOG &lt;3", {"\u0130": "\u0130", "dog": "DOG", "<": "&lt;", "3": "3"}),
    ],
)
def test_words_are_found_where_they_stood(text, words):
    cleaned = clean_caption(text)
    found = origins(cleaned, text)
    for word, before in words.items():
        start = cleaned.index(word)
        places = found[start : start + len(word)]
        assert text[places[0].start : places[-1].stop] == before


@given(st.one_of(st.text(), st.text("a &;gtamp\u00c3\u00a9\ufb01\u0130\n", max_size=40)))
def test_every_character_has_a_place(text):
    cleaned = clean_caption(text)
    found = origins(cleaned, text)
    assert len(found) == len(cleaned)
    assert all(0 <= start < stop <= len(text) for start, stop in found)
    assert found == sorted(found)
