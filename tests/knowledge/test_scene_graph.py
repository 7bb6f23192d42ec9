"""What a scene graph entails."""

import pytest

from kgclip_jax.knowledge.scene_graph import (
    Attribute,
    Relation,
    SceneGraph,
    SceneObject,
    entails,
)


def thing(name: str, *attributes: str) -> SceneObject:
    return SceneObject(name, tuple(Attribute(attribute) for attribute in attributes))


SCENE = SceneGraph(
    (thing("dog", "red", "small"), thing("dog", "blue"), thing("cat")),
    (Relation(0, "above", 2), Relation(2, "below", 0)),
)


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (SceneGraph(()), True),
        (SceneGraph((thing("dog"),)), True),
        (SceneGraph((thing("dog", "small", "red"),)), True),
        (SceneGraph((thing("dog", "small", "blue"),)), False),  # no single dog is both
        (SceneGraph((thing("bird"),)), False),
        (SceneGraph((thing("dog"), thing("dog", "red"))), True),  # the first is the blue one
        (SceneGraph((thing("dog"), thing("dog"), thing("dog"))), False),  # there are only two
        (SceneGraph((thing("cat"), thing("dog")), (Relation(0, "below", 1),)), True),
        (SceneGraph((thing("cat"), thing("dog")), (Relation(1, "above", 0),)), True),
        (SceneGraph((thing("cat"), thing("dog")), (Relation(0, "above", 1),)), False),
        (SceneGraph((thing("cat"), thing("dog", "blue")), (Relation(1, "above", 0),)), False),
    ],
)
def test_a_claim_is_entailed_if_its_things_can_be_found(claim: SceneGraph, expected: bool) -> None:
    assert entails(SCENE, claim) is expected


def test_a_scene_entails_itself() -> None:
    assert entails(SCENE, SCENE)
