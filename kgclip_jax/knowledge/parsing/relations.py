"""Relations: verbs, prepositions and possessives between the things of a caption."""

from collections.abc import Iterator
from typing import NamedTuple

from kgclip_jax.knowledge.parsing.clauses import (
    agents,
    direct_objects,
    is_passive,
    is_predicate,
    is_verb,
    subjects,
)
from kgclip_jax.knowledge.parsing.lemmas import Lemmas
from kgclip_jax.knowledge.parsing.lexicon import HOLDERS
from kgclip_jax.knowledge.parsing.nouns import counted, done_together, is_thing, meant
from kgclip_jax.knowledge.parsing.phrases import phrases
from kgclip_jax.knowledge.parsing.tree import ADVERBS, VERBS, Tree

POSSESSION = "have"


class Link(NamedTuple):
    """A relation between two words; `first` to `last` are the words that express it."""

    subject: int
    predicate: str
    object: int
    first: int
    last: int


def relations(tree: Tree, lemmas: Lemmas) -> Iterator[Link]:
    """Yield the relations of a caption, verb by verb and noun by noun.

    Predicates are named by the base forms of their words: "sit on", "hold", "in front of". The
    passive keeps its form, "covered in", unless the agent is told: then the relation is the active
    one, from the agent. A negated one says so: "not touch".
    """
    for word in range(len(tree.words)):
        if is_predicate(tree, word):
            yield from _of_verb(tree, word, lemmas)
        elif is_thing(tree, word):
            yield from _of_noun(tree, word, [word])
        elif (content := counted(tree, word)) is not None:
            yield from _of_noun(tree, word, meant(tree, content))


def _of_verb(tree: Tree, verb: int, lemmas: Lemmas) -> Iterator[Link]:
    about = subjects(tree, verb)
    passive = is_passive(tree, verb)
    if not about and not passive:
        return
    lemma = _lemma(tree, verb, lemmas)
    form = tree.words[verb] if passive else lemma
    patients = direct_objects(tree, verb)
    if passive:
        for doer in agents(tree, verb):
            for thing in about:
                yield from _negated(tree, verb, Link(doer, lemma, thing, verb, verb))
    first_object = min(tree.labelled(verb, "dobj"), default=len(tree.words))
    last, predicate = _with_particle(tree, verb, form)
    for subject in about:
        for thing in patients:
            yield from _negated(tree, verb, Link(subject, predicate, thing, verb, last))
    together = done_together(tree, verb)
    for first, last, things in phrases(tree, verb):
        if together is not None and first == together + 1:
            for subject in about:
                for thing in things:
                    predicate = " ".join([lemma, *tree.words[together : last + 1]])
                    yield from _negated(tree, verb, Link(subject, predicate, thing, verb, last))
            continue
        predicate = tree.phrase(first, last)
        if lemma != "be" and first < first_object and _is_one_phrase(tree, verb, first):
            particles = [tree.words[i] for i in range(verb + 1, first) if _is_particle(tree, i)]
            predicate, first = " ".join([form, *particles, predicate]), verb
        for thing in things:
            held = first_object < first and tree.words[thing] in HOLDERS
            for subject in patients if held else about:
                yield from _negated(tree, verb, Link(subject, predicate, thing, first, last))


def _of_noun(tree: Tree, noun: int, about: list[int]) -> Iterator[Link]:
    for first, last, things in phrases(tree, noun):
        for subject in about:
            for thing in things:
                yield Link(subject, tree.phrase(first, last), thing, first, last)
    owners = tree.labelled(noun, "poss") if noun in about else []  # none of "a bird's eye view of"
    for owner in owners:
        for mark in tree.labelled(owner, "case"):
            for thing in meant(tree, owner):
                yield Link(thing, POSSESSION, noun, mark, mark)


def _lemma(tree: Tree, verb: int, lemmas: Lemmas) -> str:
    if not is_verb(tree, verb):
        return "be"  # it is not written
    tag = tree.tags[verb]
    return lemmas(tree.words[verb], tag if tag in VERBS else "VBZ")


def _with_particle(tree: Tree, verb: int, form: str) -> tuple[int, str]:
    """Return the last word and the name of a verb, with "up" when "picks up" says it at once."""
    if verb + 1 in tree.labelled(verb, "prt"):
        return verb + 1, f"{form} {tree.words[verb + 1]}"
    return verb, form


def _is_one_phrase(tree: Tree, verb: int, preposition: int) -> bool:
    """Tell whether at most adverbs stand between a verb and its preposition."""
    between = range(verb + 1, preposition)
    return verb < preposition and all(
        tree.tags[word] in ADVERBS or tree.labels[word] == "prt" for word in between
    )


def _is_particle(tree: Tree, word: int) -> bool:
    return tree.labels[word] == "prt" or tree.tags[word] == "RP"


def _negated(tree: Tree, verb: int, link: Link) -> Iterator[Link]:
    """Yield a relation with the "not" of its verb, or nothing where "not" stands apart from it."""
    denials = tree.labelled(verb, "neg")
    if not denials:
        yield link
    elif denials[0] == link.first - 1:
        yield link._replace(predicate=f"not {link.predicate}", first=denials[0])
