"""`entity_vectors`: numbers that a table of entities can start from."""

from collections.abc import Sequence

from absl import flags

from kgclip_jax.command_line import define_path, refuse_arguments

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Define the flags."""
    define_path("graph", "Folder of the knowledge graph.", required=True)
    define_path("embeddings", "Folder that `embed` has made of its names.", required=True)
    define_path("output", "File of the vectors, FILE.npy.", required=True)


def run(rest: Sequence[str]) -> str:
    """Write the vectors."""
    from kgclip_jax.data.embedded_texts import EmbeddedTexts
    from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
    from kgclip_jax.preparation.entity_vectors import store_entity_vectors

    refuse_arguments(rest)
    graph, embedded = KnowledgeGraph(FLAGS.graph), EmbeddedTexts(FLAGS.embeddings)
    store_entity_vectors(graph, embedded, FLAGS.output)
    return f"{FLAGS.output}: {len(graph):,} entities, {embedded.contents.width} numbers each"
