"""`concepts`: clusters of embedded texts."""

from collections.abc import Sequence

from absl import flags

from kgclip_jax.command_line import define_path, refuse_arguments

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Define the flags."""
    define_path("embeddings", "Folder that `embed` has made.", required=True)
    define_path("output", "Folder of the concepts.", required=True)
    flags.DEFINE_integer("clusters", 1000, "Number of concepts.", 1)
    flags.DEFINE_float("temperature", 0.1, "T of softmax(-d^2 / T).", 1e-6)
    flags.DEFINE_integer("kept", 16, "Nearest concepts that are stored of each text.", 1)
    flags.DEFINE_bool("normalised", True, "Divide embeddings by their length.")
    flags.DEFINE_integer(
        "points_per_cluster",
        256,
        "Texts for each concept that the centres are found by, at most.",
        1,
    )
    flags.DEFINE_integer("iterations", 25, "Of Lloyd's algorithm.", 1)
    flags.DEFINE_integer("seed", 0, "Of the sample and of where centres begin.", 0)


def run(rest: Sequence[str]) -> str:
    """Cluster texts and label them."""
    from kgclip_jax.data.embedded_texts import EmbeddedTexts
    from kgclip_jax.locks import sole_use
    from kgclip_jax.preparation.text_clusters import (
        ConceptSettings,
        describe_concepts,
        store_concepts,
    )

    refuse_arguments(rest)
    settings = ConceptSettings(
        clusters=FLAGS.clusters,
        temperature=FLAGS.temperature,
        kept=FLAGS.kept,
        normalised=FLAGS.normalised,
        points_per_cluster=FLAGS.points_per_cluster,
        iterations=FLAGS.iterations,
        seed=FLAGS.seed,
    )
    embedded = EmbeddedTexts(FLAGS.embeddings)
    with sole_use(FLAGS.output):
        return describe_concepts(store_concepts(embedded, FLAGS.output, settings))
