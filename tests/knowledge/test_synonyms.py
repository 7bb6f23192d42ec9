"""Synonyms have one name, and are not taken for plurals of it."""

import pytest

from kgclip_jax.knowledge.english import plural
from kgclip_jax.knowledge.synonyms import meaning


def test_synonyms_share_a_name_and_names_are_their_own() -> None:
    assert meaning("big") == meaning("large") == "large"
    assert meaning("couch") == meaning("sofa") == "sofa"
    assert meaning("red") == "red"


@pytest.mark.parametrize(
    ("words", "name", "several"),
    [("couch", "sofa", False), ("Couches", "sofa", True), ("lady", "woman", False)],
)
def test_a_synonym_is_no_plural(words: str, name: str, several: bool) -> None:
    assert plural(words, name) is several
