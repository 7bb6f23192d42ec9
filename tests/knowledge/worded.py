"""Captions with their graphs, written down together."""

import re

from hypothesis import strategies as st

from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.english import article, capitalise
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject, Span

_MARK = re.compile(r"\{([^{}=|]+)(?:=([^{}|]+))?\|([^{}]+)\}")

NOUNS = {"dog": "dogs", "owl": "owls", "apple": "apples", "fire truck": "fire trucks", "man": "men"}
ADJECTIVES = ("small", "orange", "old", "red", "upside-down")
PREDICATES = {"ride": "riding", "in front of": "in front of", "near": "near", "above": "above"}


def worded(marked: str) -> Caption:
    """Read "a {tiny=small|0} {dog|#0} {riding=ride|0>1} a {cat|#1}".

    Marks are {words=name|object}: "#0" names an object, "0" or "0,1" gives it an attribute, "0>1"
    relates two. Without "=name" the words are the name.
    """
    text, done = "", 0
    names: dict[int, tuple[str, Span]] = {}
    attributes: dict[int, list[Attribute]] = {}
    relations = []
    for mark in _MARK.finditer(marked):
        words, name, role = mark[1], mark[2] or mark[1], mark[3]
        text += marked[done : mark.start()]
        done = mark.end()
        span = Span(len(text), len(text) + len(words))
        text += words
        if role.startswith("#"):
            names[int(role[1:])] = (name, span)
        elif ">" in role:
            subject, thing = role.split(">")
            relations.append(Relation(int(subject), name, int(thing), span))
        else:
            for number in role.split(","):
                attributes.setdefault(int(number), []).append(Attribute(name, span))
    objects = [
        SceneObject(names[number][0], tuple(attributes.get(number, ())), names[number][1])
        for number in sorted(names)
    ]
    return Caption(text + marked[done:], SceneGraph(tuple(objects), tuple(relations)))


@st.composite
def captions(draw: st.DrawFn) -> Caption:
    """Draw grammatical captions of one to four noun phrases; names may repeat."""
    marked = ""
    phrases = draw(st.integers(1, 4))
    for number in range(phrases):
        noun, plural = draw(st.sampled_from(sorted(NOUNS.items())))
        adjectives = draw(st.lists(st.sampled_from(ADJECTIVES), unique=True, max_size=2))
        words = [f"{{{adjective}|{number}}}" for adjective in adjectives]
        if draw(st.booleans()):
            words.insert(0, article((adjectives or [noun])[0]))
            words.append(f"{{{noun}|#{number}}}")
        else:
            words.append(f"{{{plural}={noun}|#{number}}}")
        marked += " ".join(words)
        if number < phrases - 1:
            name, between = draw(st.sampled_from(sorted(PREDICATES.items())))
            relation = f" {{{between}={name}|{number}>{number + 1}}} "
            marked += draw(st.sampled_from([relation, " and ", ", ", "; also "]))
    caption = worded(marked + draw(st.sampled_from(["", ".", " outside."])))
    return caption._replace(text=capitalise(caption.text)) if draw(st.booleans()) else caption
