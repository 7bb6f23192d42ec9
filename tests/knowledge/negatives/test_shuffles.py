from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.negatives.shuffles import (
    shuffle,
    shuffle_blocks,
    shuffle_within,
    swap_words,
    trigrams,
)
from kgclip_jax.random import FastRandom, generator
from tests.knowledge.worded import captions, worded


def test_trigrams() -> None:
    assert trigrams(7) == [[0, 1, 2], [3, 4, 5], [6]]
    assert trigrams(0) == []


@given(st.integers(0, 20), st.integers(0, 9))
def test_orders_are_permutations(count: int, seed: int) -> None:
    random = FastRandom(generator(seed, "test"))
    order = shuffle_within(count, trigrams(count), random)
    assert [set(order[group[0] : group[-1] + 1]) for group in trigrams(count)] == [
        set(group) for group in trigrams(count)
    ]
    order = shuffle_blocks(trigrams(count), random)
    assert sorted(order) == list(range(count))
    assert all(order[order.index(g[0]) :][: len(g)] == g for g in trigrams(count))
    assert shuffle_within(count, [[n] for n in range(count)], random) == list(range(count))


def test_the_four_ways_all_occur() -> None:
    """Each way is known by what it cannot do; words here are single letters."""
    caption = worded("A {f|0} {b|#0} c {g|1} {d|#1} {e|#2}")
    found = {}
    for seed in range(300):
        for negative in shuffle(*caption, FastRandom(generator(seed, "test"))):
            assert negative.graph is None
            assert negative.text[0].isupper()
            found[negative.text] = negative.text.lower().split()
    letters = list("afbcgde")
    by_class = [
        w for w in found.values() if (w[0], w[3]) == ("a", "c") and {w[1], w[4]} == {"f", "g"}
    ]
    others = [w for w in found.values() if (w[0], w[3], w[1]) == ("c", "a", "f")]
    within = [w for w in found.values() if set(w[:3]) == set("afb") and set(w[3:6]) == set("cgd")]
    blocks = [w for w in found.values() if w == list("eafbcgd")]
    assert all(Counter(w) == Counter(letters) for w in found.values())
    assert len(by_class) == 2 * 6 - 1  # adjectives in two orders, nouns in six; not the caption
    assert others == [list("cfbagde")]
    assert len(within) == 6 * 6 - 1
    assert blocks


def test_without_a_graph_trigrams_alone_are_shuffled() -> None:
    words = list("abcdefg")
    ways = set()
    for seed in range(200):
        for negative in shuffle(" ".join(words), None, FastRandom(generator(seed, "test"))):
            found = negative.text.split()
            within = all(set(found[n : n + 3]) == set(words[n : n + 3]) for n in (0, 3, 6))
            starts = [found.index(letter) for letter in "ad"]
            blocks = all(found[n : n + 3] in (words[:3], words[3:6]) for n in starts)
            assert within or blocks
            ways.add((within, blocks))
    assert ways >= {(True, False), (False, True)}


@given(captions(), st.integers(0, 9))
def test_two_words_change_places(caption: Caption, seed: int) -> None:
    old = caption.text.lower().split()
    for negative in swap_words(*caption, FastRandom(generator(seed, "test"))):
        new = negative.text.lower().split()
        assert len([1 for a, b in zip(old, new, strict=True) if a != b]) in (0, 2)
        assert Counter(old) == Counter(new)
        assert negative.text[0].isupper() == caption.text[0].isupper()


def test_short_texts() -> None:
    assert not list(swap_words(*worded("{Dog=dog|#0}"), FastRandom(generator(0, "test"))))
    assert not list(shuffle(*worded("  "), FastRandom(generator(0, "test"))))
