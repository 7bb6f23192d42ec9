"""One object, attribute or relation of a caption gives way to another of the vocabulary.

    replace_object       "a small dog above a cat" / "a small owl above a cat"
    replace_attribute    "a small dog above a cat" / "a large dog above a cat"
    replace_relation     "a small dog above a cat" / "a small dog behind a cat"

New words are drawn by their frequency in the training captions, or among the siblings of the old
name in a hierarchy; they have the form of the old ones (see `vocabulary.form`). Nothing but the
scene's own graph can tell that the new words are false: "a small dog" may be brown as well.
"""

from collections.abc import Iterator
from typing import NamedTuple

from kgclip_jax.knowledge.english import words_at
from kgclip_jax.knowledge.negatives.negative import Negative
from kgclip_jax.knowledge.negatives.rewriting import CutSpanError, renamed, rewrite
from kgclip_jax.knowledge.negatives.swaps import SCENERY
from kgclip_jax.knowledge.scene_graph import SceneGraph, Span
from kgclip_jax.knowledge.vocabulary import Form, Part, Vocabulary, Word, form
from kgclip_jax.random import FastRandom

_TRIES = 4  # draws of new words for one place


class Palette(NamedTuple):
    """Where new words come from: a vocabulary, and the share to draw among siblings."""

    vocabulary: Vocabulary
    sibling_share: float


def replace_object(
    text: str, graph: SceneGraph, random: FastRandom, palette: Palette
) -> Iterator[Negative]:
    """Call an object something that the caption does not name."""
    taken = {thing.name for thing in graph.objects}
    places = [
        (name, span, taken) for name, _, span in graph.objects if span and name not in SCENERY
    ]
    yield from _replacements(text, graph, random, palette, "object", places)


def replace_attribute(
    text: str, graph: SceneGraph, random: FastRandom, palette: Palette
) -> Iterator[Negative]:
    """Give an object an attribute that it does not have in the caption."""
    places = []
    for thing in graph.objects:
        taken = {attribute.name for attribute in thing.attributes}
        places += [(name, span, taken) for name, span in thing.attributes if span]
    yield from _replacements(text, graph, random, palette, "attribute", places)


def replace_relation(
    text: str, graph: SceneGraph, random: FastRandom, palette: Palette
) -> Iterator[Negative]:
    """Let two objects stand in another relation."""
    taken = {relation.predicate for relation in graph.relations}
    places = [(r.predicate, r.span, taken) for r in graph.relations if r.span]
    yield from _replacements(text, graph, random, palette, "relation", places)


def _replacements(
    text: str,
    graph: SceneGraph,
    random: FastRandom,
    palette: Palette,
    part: Part,
    places: list[tuple[str, Span, set[str]]],
) -> Iterator[Negative]:
    """Try new words in each place, in random order; every place says which names it must avoid."""
    for name, span, taken in random.in_any_order(places):
        old = Word(words_at(text, span, name), name)
        for new in _draws(form(part, old), name, random, palette):
            if palette.vocabulary.may_agree(new.name, taken):
                continue
            new_text, shifts = rewrite(text, ((span, new.words),))
            try:
                new_graph = renamed(graph, {span: new.name}, shifts)
            except CutSpanError:
                break
            yield Negative(new_text, new_graph, f"replace_{part}")


def _draws(shape: Form, name: str, random: FastRandom, palette: Palette) -> Iterator[Word]:
    """Draw words to take the place of a name, some of its siblings among them."""
    vocabulary, sibling_share = palette
    siblings = vocabulary.siblings(shape, name)
    if vocabulary.words(shape):
        for _ in range(_TRIES):
            if siblings and random.chance(sibling_share):
                yield random.choose(siblings)
            else:
                yield vocabulary.draw(shape, random)
