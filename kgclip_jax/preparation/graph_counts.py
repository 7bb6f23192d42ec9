"""What is in scene graphs: counted while they are stored, and said in a line."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from kgclip_jax.knowledge.graph_store import Contents
from kgclip_jax.knowledge.scene_graph import SceneGraph


@dataclass(frozen=True)
class Counts:
    """What is in some graphs.

    Attributes:
        records: number of records.
        captions: number of graphs.
        objects: in all graphs.
        attributes: in all graphs.
        relations: in all graphs.
        related: graphs with a relation.
    """

    records: int = 0
    captions: int = 0
    objects: int = 0
    attributes: int = 0
    relations: int = 0
    related: int = 0

    @classmethod
    def of_record(cls, graphs: Sequence[SceneGraph]) -> "Counts":
        """Count the graphs of a record."""
        things = [thing for graph in graphs for thing in graph.objects]
        return cls(
            records=1,
            captions=len(graphs),
            objects=len(things),
            attributes=sum(len(thing.attributes) for thing in things),
            relations=sum(len(graph.relations) for graph in graphs),
            related=sum(bool(graph.relations) for graph in graphs),
        )

    def __add__(self, other: "Counts") -> "Counts":
        names = [entry.name for entry in fields(self)]
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in names})


def describe_graphs(output: Path, contents: Contents) -> str:
    """Say in a line what a folder of graphs holds, and what it lacks."""
    related = contents.related / max(contents.captions, 1)
    left_out = ", ".join(f"{count} x {reason}" for reason, count in contents.skipped.items())
    holds = f"{contents.captions:,} captions of {contents.records:,} records"
    if contents.of == "pictures":
        holds = f"{contents.records:,} pictures"
    return (
        f"{output}: {holds}: {contents.objects:,} objects, {contents.attributes:,} attributes, "
        f"{contents.relations:,} relations; {related:.1%} with a relation"
        + (f"; left out: {left_out}" if left_out else "")
    )
