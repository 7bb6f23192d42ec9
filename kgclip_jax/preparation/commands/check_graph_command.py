"""`check_graph`: what a knowledge graph holds, and what is odd in it."""

from collections.abc import Sequence

from absl import flags

from kgclip_jax.command_line import define_path, refuse_arguments

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Define the flags."""
    define_path("graph", "Folder that the command `graph` has written.", required=True)


def run(rest: Sequence[str]) -> str:
    """Go once through a graph."""
    from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
    from kgclip_jax.preparation.graph_summary import describe_graph

    refuse_arguments(rest)
    return describe_graph(KnowledgeGraph(FLAGS.graph))
