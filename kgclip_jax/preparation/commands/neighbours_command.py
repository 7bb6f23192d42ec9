"""`neighbours`: the nearest pictures of each by a model's embeddings."""

from collections.abc import Sequence

from absl import flags

from kgclip_jax.command_line import refuse_arguments
from kgclip_jax.preparation.commands.source_flags import FLAGS, define_source, open_source


def define_flags() -> None:
    """Define the flags."""
    define_source("File of the neighbours, FILE.npy.")
    flags.DEFINE_string("model", None, "A workdir, or weights of others.", required=True)
    flags.DEFINE_integer("count", 3, "Neighbours of each picture.", 1)


def run(rest: Sequence[str]) -> str:
    """Write the nearest pictures."""
    from rich.console import Console

    from kgclip_jax.data.lazy_pictures import EvaluationTransform
    from kgclip_jax.inference import load
    from kgclip_jax.preparation.nearest_pictures import store_nearest

    refuse_arguments(rest)
    _, open_records = open_source()
    records, output, encoder = open_records(), FLAGS.output, load(FLAGS.model)
    vision = encoder.model.shape.vision
    found = store_nearest(
        records,
        output,
        encoder.encode_image,
        EvaluationTransform(vision.image_size, vision.resize, vision.interpolation),
        count=FLAGS.count,
        bad_share=FLAGS.bad_share,
        console=Console(),
    )
    return (
        f"{output}: {FLAGS.count} neighbours of {found.readable:,} of {found.pictures:,} pictures"
    )
