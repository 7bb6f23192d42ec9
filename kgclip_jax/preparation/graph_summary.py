"""What a knowledge graph holds and what is odd in it, told in lines."""

from collections.abc import Iterator

from kgclip_jax.knowledge.graph.graph_checks import HeldOutChecks, check_graph
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph

_RELATIONS = 5  # that are named


def describe_graph(graph: KnowledgeGraph) -> str:
    """Go once through a graph and sum it up: sizes, then what is odd, if anything is."""
    return "\n".join(_lines(graph))


def _lines(graph: KnowledgeGraph) -> Iterator[str]:
    found, contents = check_graph(graph), graph.contents
    yield (
        f"{graph.folder}: {found.entities:,} entities, {found.with_text:,} with text and "
        f"{found.with_images:,} with images"
    )
    splits = ", ".join(f"{count:,} {name}" for name, count in contents.triples.items())
    yield f"triples: {splits}"
    most = ", ".join(f"{name} ({count:,})" for name, count in [*found.triples.items()][:_RELATIONS])
    rest = len(contents.relations) - _RELATIONS
    yield f"relations of train: {most}" + (f" and {rest:,} more" if rest > 0 else "")
    if contents.left_out:
        yield "left out: " + ", ".join(f"{n:,} x {why}" for why, n in contents.left_out.items())
    if found.without_view:
        yield f"{found.without_view:,} entities have neither text nor image"
    if found.alone:
        yield f"{found.alone:,} entities are in no triple of train"
    if found.loops:
        yield f"{found.loops:,} triples of train join an entity with itself"
    if found.in_cycles:
        yield f'{found.in_cycles:,} entities are above themselves by relations like "is a"'
    for name, held_out in found.held_out.items():
        yield from _leaks(name, held_out)


def _leaks(name: str, found: HeldOutChecks) -> Iterator[str]:
    """Say what training gives away of a split, and what it cannot teach."""
    told = {
        "are in train too": found.known,
        "have ends that train joins the other way round": found.turned,
        "have ends that train joins by another relation": found.joined,
        "have an entity that no triple of train has": found.unseen,
    }
    for what, count in told.items():
        if count:
            share = count / found.triples
            yield f"{name}: {count:,} of {found.triples:,} triples ({share:.1%}) {what}"
