import pytest

from kgclip_jax.data.emoji.concepts import catalogue
from kgclip_jax.knowledge.english import (
    article,
    capitalise,
    decapitalise,
    determiner_before,
    plural,
    quiet,
    starts_sentence,
    words_at,
)
from kgclip_jax.knowledge.scene_graph import Span

PHRASES = (
    *("a dog", "an owl", "an upside-down dog", "an umbrella", "an urban street", "an usher"),
    *("a unicorn", "a uniform", "a used car", "a utensil", "a ukulele", "a euro", "a ewe"),
    *("a one-way sign", "an onion", "an hour", "an honest man", "a house", "an uninvited guest"),
    *("an SUV", "a UFO", "a TV", "an X-ray", "a T-shirt", "an MP3 player", "a U-turn", "a"),
    *("a LARGE dog", "a NASA logo", "a STRIPED cat", "an HDMI cable", "an LED", "an OLD dog"),
    *("an 8 ball", "an 18 wheeler", "a 1 pound coin", "an 80s car", "an Owl", "a Unicorn"),
)


def test_articles() -> None:
    words = [phrase.partition(" ")[2] for phrase in PHRASES]
    assert [f"{article(word)} {word}".strip() for word in words] == list(PHRASES)


def test_emoji_names_keep_the_articles_they_had() -> None:
    for concept in catalogue():
        vowel = concept.name[0] in "aeiou" and not concept.name.startswith(("uni", "eu", "one"))
        assert article(concept.name) == ("an" if vowel or concept.name == "hourglass" else "a")


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("A dog", 0, True),
        ("A dog", 2, False),
        ('"A dog" runs', 1, True),
        ("A dog. Two cats", 7, True),
        ('Is it a dog? "Yes"', 14, True),
        ("A dog, Two cats", 7, False),
    ],
)
def test_sentences_start_after_full_stops(text: str, position: int, expected: bool) -> None:
    assert starts_sentence(text, position) is expected


@pytest.mark.parametrize(
    ("words", "inside"),
    [
        ("Dog", "dog"),
        ("dog", "dog"),
        ("TV set", "TV set"),
        ("T-shirt", "T-shirt"),
        ("A dog", "a dog"),
    ],
)
def test_words_lose_their_capital_inside_a_sentence(words: str, inside: str) -> None:
    assert decapitalise(words) == inside


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A BIG DOG and a TV", "a big dog and a TV"),
        ("a man in an NYPD car", "a man in an NYPD car"),
        ("TWO CATS, A DOG", "two cats, a dog"),
        ("\u0130 DOG IS", "\u0130 dog is"),
        ("A", "A"),
        ("", ""),
    ],
)
def test_shouted_words_are_said_quietly(text: str, expected: str) -> None:
    assert quiet(text) == expected == quiet(expected)


def test_letters_that_change_their_length_stay() -> None:
    assert capitalise("ßa") == "ßa"
    assert decapitalise("İa") == "İa"
    assert capitalise("") == decapitalise("") == ""


def test_only_the_capital_of_a_sentence_is_lost() -> None:
    text = "Dogs chase Bob. London is far"
    assert words_at(text, Span(0, 4), "dog") == "dogs"
    assert words_at(text, Span(11, 14), "bob") == "Bob"
    assert words_at(text, Span(16, 22), "London") == "London"


def test_plurals() -> None:
    many = {"dogs": "dog", "men": "man", "people": "people", "young people": "young people"}
    many |= {"goggles": "goggles"}
    one = {"dog": "dog", "Dog": "dog", "bus": "bus", "glass": "glass", "tennis": "tennis"}
    told = {words: plural(words, name) for words, name in (many | one).items()}
    assert told == dict.fromkeys(many, True) | dict.fromkeys(one, False)
    assert plural("men", "men")


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        *(("the ", "the"), ("The ", "The"), ("see another ", "another"), ("by an ", "an")),
        *(("the", None), ("the  ", None), ("bathe ", None), ("xanother ", None), ("", None)),
    ],
)
def test_determiners(before: str, expected: str | None) -> None:
    span = determiner_before(before + "dog", len(before))
    assert expected == (span and (before + "dog")[slice(*span)])
