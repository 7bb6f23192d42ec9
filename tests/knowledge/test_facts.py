"""What several captions of one picture say, together or alone."""

import pytest

from kgclip_jax.knowledge.facts import facts_of, together
from kgclip_jax.knowledge.negatives.truth import Truth
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject, Span


def thing(name, *attributes):
    return SceneObject(name, tuple(Attribute(attribute) for attribute in attributes))


def said(*objects, relation=None):
    relations = () if relation is None else (Relation(0, relation, 1),)
    return SceneGraph(objects, relations)


DOGS = said(thing("dog", "red", "small"), thing("dog", "blue"), relation="chase")
CAT = SceneGraph(
    (thing("cat", "old"), SceneObject("dog", (Attribute("red", Span(2, 5)),), Span(6, 9))),
    (Relation(1, "near", 0, Span(1, 2)),),
)


def test_things_of_one_name_are_one_among_facts():
    assert facts_of([DOGS, CAT]) == {
        *("dog", "cat", "dog\tred", "dog\tsmall", "dog\tblue", "cat\told", "dog\tnear\tcat"),
    }
    assert facts_of([]) == frozenset()


def test_several_graphs_are_known_together_and_alone_where_that_says_more():
    plain = said(thing("dog", "old"))
    assert together([DOGS, plain]) == [facts_of([DOGS, plain]), DOGS]
    assert together([plain, plain]) == [{"dog", "dog\told"}]
    assert together([DOGS]) == [DOGS]  # not as one dog
    assert together([]) == []


@pytest.mark.parametrize(
    ("claim", "true"),
    [
        (said(), True),
        (said(thing("dog")), True),
        (said(thing("dog", "small", "blue")), True),  # as one dog
        (said(thing("dog", "old")), False),
        (said(thing("bird")), False),
        (said(thing("dog"), thing("dog")), False),  # facts know of one alone
        (said(thing("dog"), thing("cat"), relation="near"), True),
        (said(thing("cat"), thing("dog"), relation="near"), True),  # it holds both ways
        (said(thing("dog"), thing("cat", "old"), relation="above"), False),
        (said(thing("dog"), thing("dog"), relation="chase"), False),
    ],
)
def test_a_claim_is_true_if_facts_state_all_of_it(claim, true):
    assert Truth(facts_of([DOGS, CAT])).holds(claim) is true
    assert Truth(said(thing("bird", "red")), facts_of([DOGS, CAT])).holds(said(thing("bird")))
