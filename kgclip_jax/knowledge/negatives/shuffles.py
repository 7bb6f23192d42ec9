"""Words in another order: the baselines that know nothing of what a caption says.

    shuffle       one of the four of ARO's order test (Yuksekgonul et al., ICLR 2023), which are
                  near to what NegCLIP trains on: nouns among themselves and adjectives among
                  themselves; all other words; the words within each trigram; the trigrams
    swap_words    two words change places ("random swaps" in Structure-CLIP's ablation)

Nouns are the words of a graph's objects, adjectives those of its attributes; a caption without a
graph is shuffled in the two ways that need none. What the new text means is not known, so its graph
is None, and nothing keeps it from being true.
"""

from collections.abc import Iterator, Sequence

from kgclip_jax.knowledge.english import capitalise, decapitalise
from kgclip_jax.knowledge.negatives.negative import Negative
from kgclip_jax.knowledge.scene_graph import SceneGraph
from kgclip_jax.random import FastRandom

_TRIES = 4  # a shuffle may well give the same order again


def shuffle(text: str, graph: SceneGraph | None, random: FastRandom) -> Iterator[Negative]:
    """Shuffle the words in one of the four ways, or of the last two where there is no graph."""
    words = text.split()
    count = len(words)
    for _ in range(_TRIES if words else 0):
        way = random.below(4) if graph is not None else 2 + random.below(2)
        if graph is not None and way < 2:
            nouns, adjectives = _marked(text, words, graph)
            others = sorted({*range(count)} - {*nouns, *adjectives})
            order = shuffle_within(count, [others] if way else [nouns, adjectives], random)
        elif way == 2:
            order = shuffle_within(count, trigrams(count), random)
        else:
            order = shuffle_blocks(trigrams(count), random)
        negative = _reordered(words, order, "shuffle")
        if negative.text.lower() != " ".join(words).lower():
            yield negative


def swap_words(text: str, graph: SceneGraph | None, random: FastRandom) -> Iterator[Negative]:
    """Exchange two words at random."""
    del graph  # it works on any text
    words = text.split()
    for _ in range(_TRIES if len(words) > 1 else 0):
        order = list(range(len(words)))
        first, second = random.sample(order, 2)
        if words[first].lower() != words[second].lower():
            order[first], order[second] = second, first
            yield _reordered(words, order, "swap_words")


def trigrams(count: int) -> list[list[int]]:
    """Cut the places 0 ... count - 1 into threes; the last may be shorter."""
    return [list(range(start, min(start + 3, count))) for start in range(0, count, 3)]


def shuffle_within(count: int, groups: Sequence[Sequence[int]], random: FastRandom) -> list[int]:
    """Return the places 0 ... count - 1 with those of each group shuffled among themselves."""
    order = list(range(count))
    for group in groups:
        mixed = list(group)
        random.shuffle(mixed)
        for position, source in zip(group, mixed, strict=True):
            order[position] = source
    return order


def shuffle_blocks(blocks: Sequence[Sequence[int]], random: FastRandom) -> list[int]:
    """Return the places of all blocks, whole blocks shuffled."""
    mixed = list(blocks)
    random.shuffle(mixed)
    return [position for block in mixed for position in block]


def _reordered(words: Sequence[str], order: Sequence[int], kind: str) -> Negative:
    """Join words in a new order; a capital of the first stays in front."""
    capital = words[0][:1].isupper()
    first = decapitalise(words[0]) if capital else words[0]
    text = " ".join([words[index] if index else first for index in order])
    return Negative(capitalise(text) if capital else text, None, kind)


def _marked(text: str, words: Sequence[str], graph: SceneGraph) -> tuple[list[int], list[int]]:
    """Return which words belong to objects and which to attributes (and to no object)."""
    objects = [thing.span for thing in graph.objects if thing.span]
    attributes = [a.span for thing in graph.objects for a in thing.attributes if a.span]
    nouns, adjectives = [], []
    stop = 0
    for index, word in enumerate(words):
        start = text.index(word, stop)
        stop = start + len(word)
        if any(span[0] < stop and start < span[1] for span in objects):
            nouns.append(index)
        elif any(span[0] < stop and start < span[1] for span in attributes):
            adjectives.append(index)
    return nouns, adjectives
