"""Texts, and the scene graphs that are known of them."""

from typing import NamedTuple

from kgclip_jax.knowledge.scene_graph import SceneGraph


class Caption(NamedTuple):
    """A caption and, where it is known, the scene graph whose spans point into its text."""

    text: str
    graph: SceneGraph | None = None


Text = str | Caption  # a bare text has no known scene graph


def words_of(text: Text) -> str:
    """Return the words of a text, without its graph."""
    return text if isinstance(text, str) else text.text
