"""`tune_embeddings`: a linear map of embedded texts that brings those of one record together."""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from kgclip_jax.command_line import define_path, refuse_arguments
from kgclip_jax.preparation.commands.source_flags import FLAGS, define_source, named_texts


def define_flags() -> None:
    """Define the flags."""
    define_path("embeddings", "Folder that `embed` has made.", required=True)
    define_source("Folder of the mapped embeddings.")
    flags.DEFINE_integer("width", None, "Numbers of a mapped embedding; default: as before.")
    flags.DEFINE_integer("steps", 1000, "Of Adam.")
    flags.DEFINE_float("rate", 3e-4, "Its learning rate, which falls to zero.")
    flags.DEFINE_integer("batch", 512, "Records of a step.")
    flags.DEFINE_float("temperature", 0.05, "Of InfoNCE.")
    flags.DEFINE_float("held_out", 0.2, "Share of the records to choose and measure by.")
    flags.DEFINE_integer("seed", 0, "Of what is held out, and of pairs.")


def run(rest: Sequence[str]) -> str:
    """Tune a map, and write mapped embeddings."""
    from rich.console import Console

    from kgclip_jax.data.embedded_texts import EmbeddedTexts
    from kgclip_jax.locks import sole_use
    from kgclip_jax.preparation.embedding_tuning import TuningSettings, describe_tuned, store_tuned
    from kgclip_jax.preparation.source_names import identity
    from kgclip_jax.schema import parse

    refuse_arguments(rest)
    names = ("width", "steps", "rate", "batch", "temperature", "held_out", "seed")
    settings = parse(TuningSettings, {name: FLAGS[name].value for name in names}, "tune_embeddings")
    embedded = EmbeddedTexts(FLAGS.embeddings)
    source = named_texts()
    records = source.records(Path.cwd(), bad_share=FLAGS.bad_share)
    with sole_use(FLAGS.output):
        found = store_tuned(
            embedded,
            records,
            identity(source),
            FLAGS.output,
            settings,
            bad_share=FLAGS.bad_share,
            console=Console(),
        )
    return describe_tuned(found)
