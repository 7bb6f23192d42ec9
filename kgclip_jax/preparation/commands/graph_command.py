"""`graph`: a knowledge graph."""

from collections.abc import Sequence

from kgclip_jax.command_line import refuse_arguments
from kgclip_jax.preparation.commands.source_flags import FLAGS, define_source


def define_flags() -> None:
    """Define the flags."""
    define_source("Folder of the knowledge graph.")


def run(rest: Sequence[str]) -> str:
    """Write a knowledge graph."""
    from rich.console import Console

    from kgclip_jax.data.graph_sources.graph_source import GRAPH_SOURCES
    from kgclip_jax.locks import sole_use
    from kgclip_jax.preparation.graph_summary import describe_graph
    from kgclip_jax.preparation.knowledge_graphs import store_graph
    from kgclip_jax.preparation.source_names import named

    refuse_arguments(rest)
    kinds = {kind: GRAPH_SOURCES.find(kind, "source") for kind in GRAPH_SOURCES.places}
    source, output = named(kinds, FLAGS.source, FLAGS.set), FLAGS.output
    with sole_use(output):
        graph = store_graph(source, output, bad_share=FLAGS.bad_share, console=Console())
    return describe_graph(graph)
