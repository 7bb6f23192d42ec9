"""What heads that know a knowledge graph offer to the evaluation of links."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Array, Bool, Float, Int32

from kgclip_jax.batch import Features


class LinkRows(NamedTuple):
    """One end of each triple, and its relation.

    Attributes:
        entity: number of the end that is given, or that answers.
        view: what a tower made of it; None for heads that know entities by number.
        relation: number of the relation; without meaning for answers.
        phrase: what the text tower made of its words; None likewise.
        asks_head: whether the head is to be found, or else the tail.
    """

    entity: Int32[Any, " b"]
    view: Any  # Images or Texts, then Features
    relation: Int32[Any, " b"]
    phrase: Any  # Texts, then Features
    asks_head: Bool[Any, " b"]


@runtime_checkable
class LinkModel(Protocol):
    """A module that scores entities as ends of triples."""

    def query_vectors(self, rows: LinkRows) -> Float[Array, "b d"]:
        """Return what the missing end of each row should be like."""
        ...

    def entity_vectors(self, rows: LinkRows) -> Float[Array, "b d"]:
        """Return what each row's entity is like as an answer; its relation has no influence."""
        ...

    def scores_of_all(
        self, query: Float[Array, "b d"], candidates: Float[Array, "entities d"]
    ) -> Float[Array, "b entities"]:
        """Return how well every candidate answers each query; more is better."""
        ...


@runtime_checkable
class RelationModel(Protocol):
    """A module that tells the relation between two entities."""

    def relation_logits(self, head: Features, tail: Features) -> Float[Array, "b relations"]:
        """Return the logits of all relations between the entities of each row."""
        ...
