"""The little English grammar that captions take: articles, capitals and plurals."""

import re
from functools import lru_cache
from itertools import groupby

from kgclip_jax.knowledge.scene_graph import Span
from kgclip_jax.knowledge.synonyms import meaning

_REMEMBERED = 2**16  # answers; captions use the same words all the time

_VOWELS = frozenset("aeiou")
_SAID_AS_CONSONANTS = (
    *("eu", "ewe", "once", "one", "ubi", "uku", "uni", "ura", "ure", "uri"),
    *("usa", "use", "usu", "ute", "uti", "uto"),
)
_SAID_AS_VOWELS = ("heir", "honest", "honor", "honour", "hour", "uniden", "unim", "unin")
_LETTERS_SAID_AS_VOWELS = frozenset("AEFHILMNORSX")
_WORD_IN_CAPITALS = re.compile("(?=[A-Z]{4})(?:[HLMNR]|F[LR]?|S[CHKLMNPQTW]?[LR]?)[AEIOUY]")
PREPOSITIONS = frozenset(
    (
        *("aboard", "about", "above", "across", "adjacent", "after", "against", "along"),
        *("alongside", "amid", "among", "around", "at", "atop", "away", "before", "behind"),
        *("below", "beneath", "beside", "besides", "between", "beyond", "by", "close", "down"),
        *("during", "for", "from", "in", "inside", "into", "left", "like", "near", "nearby"),
        *("next", "of", "off", "on", "onto", "opposite", "out", "outside", "over", "partly"),
        *("past", "right", "through", "to", "toward", "towards", "under", "underneath", "up"),
        *("upon", "via", "with", "within", "without"),
    )
)
_DETERMINERS = frozenset(
    (
        *("a", "an", "another", "each", "her", "his", "its", "some", "the", "their", "these"),
        *("this", "those"),
    )
)
_LONGEST_DETERMINER = 7
_PLURALS = frozenset(("cattle", "children", "men", "people", "police", "women"))
_QUOTES_AND_SPACE = " \t\n\"'([{\u2018\u201c"


@lru_cache(_REMEMBERED)
def article(word: str) -> str:
    """Return "a" or "an", as the sound of the next word wants it.

    By spelling, with the common exceptions: "a unicorn", "an hour", "an SUV", "an 8". Capitals are
    said one by one, unless they spell what can be said and is longer: "a LARGE", "a NASA".
    """
    first = word[:1]
    if first.isupper() and not (word[1:2].islower() or _WORD_IN_CAPITALS.match(word)):
        vowel = first in _LETTERS_SAID_AS_VOWELS
    elif first.isdigit():
        vowel = first == "8" or word[:2] in ("11", "18")
    else:
        word = word.lower()
        vowel = word[:1] in _VOWELS and not word.startswith(_SAID_AS_CONSONANTS)
        vowel = vowel or word.startswith(_SAID_AS_VOWELS)
    return "an" if vowel else "a"


def determiner_before(text: str, position: int) -> Span | None:
    """Find the "the", "an", "her" ... that ends one space before a position."""
    if position and text[position - 1] == " ":
        word = text[max(0, position - _LONGEST_DETERMINER - 2) : position - 1].rpartition(" ")[2]
        if word.lower() in _DETERMINERS:
            return Span(position - 1 - len(word), position - 1)
    return None


def starts_sentence(text: str, position: int) -> bool:
    """Tell whether a sentence of a text begins at a position."""
    before = text[:position].rstrip(_QUOTES_AND_SPACE)
    return not before or before[-1] in ".!?"


def capitalise(words: str) -> str:
    """Return the words with a capital at the start, of the same length."""
    first = words[:1].upper()
    return first + words[1:] if len(first) == 1 else words


def decapitalise(words: str) -> str:
    """Return the words as they would stand inside a sentence, of the same length.

    "Dog" gives "dog" and "A dog" gives "a dog"; "TV" and "T-shirt" keep their capitals.
    """
    first = words[:1].lower()
    if len(first) != 1 or words[1:2].isupper() or words[1:2] in ("-", "."):
        return words
    return first + words[1:]


def lower_case(text: str) -> str:
    """Return a text in small letters, of the same length: what has no such one stays."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def quiet(text: str) -> str:
    """Return a text, of the same length, in which no words are shouted.

    Capitals throughout become small letters, as do two words of capitals in a row: "A BIG DOG and a
    TV" gives "a big dog and a TV".
    """
    if text[1:].islower():  # most are
        return text
    if text.isupper() and len(text) > 1:
        return lower_case(text)
    runs = []
    for capitals, group in groupby(text.split(" "), str.isupper):
        words = list(group)
        shouted = capitals and sum(len(word) > 1 for word in words) > 1
        runs.append(lower_case(" ".join(words)) if shouted else " ".join(words))
    return " ".join(runs)


@lru_cache(_REMEMBERED)
def plural(words: str, name: str) -> bool:
    """Tell whether a noun stands in the plural.

    It does where it is neither the name nor a synonym of it ("dogs", named "dog"; but not "couch",
    named "sofa"), and where the name is a plural ("people", "goggles").
    """
    words, name = words.lower(), name.lower()
    if name not in (words, meaning(words)):
        return True
    last = name.rpartition(" ")[2]
    return last in _PLURALS or (last.endswith("s") and not last.endswith(("ss", "us", "is", "as")))


def plain_words(words: str) -> str:
    """Return words in small letters, one space between them."""
    return " ".join(words.lower().split())


def words_at(text: str, span: Span, name: str) -> str:
    """Return the words of a span as they would stand inside a sentence.

    Args:
        text: a caption.
        span: of the words.
        name: what the scene graph calls them; with a capital of its own, they keep theirs.
    """
    words = text[span[0] : span[1]]
    if words[:1].isupper() and not name[:1].isupper() and starts_sentence(text, span[0]):
        return decapitalise(words)
    return words
