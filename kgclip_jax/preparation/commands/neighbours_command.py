"""`neighbours`: similar pictures of each, by a model's embeddings or by NegCLIP's own list."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

from kgclip_jax.command_line import define_path, refuse_arguments
from kgclip_jax.errors import ConfigError
from kgclip_jax.preparation.commands.source_flags import FLAGS, define_source, open_source

if TYPE_CHECKING:
    from kgclip_jax.data.records import Records


def define_flags() -> None:
    """Define the flags."""
    define_source("File of the neighbours, FILE.npy.")
    flags.DEFINE_string("model", None, "A workdir, or weights of others.")
    flags.DEFINE_integer("count", 3, "Neighbours of each picture, by the model.", 1)
    define_path("listed", "Instead of a model: a TSV of NegCLIP's, with `neg_image`.")


def run(rest: Sequence[str]) -> str:
    """Write the similar pictures."""
    refuse_arguments(rest)
    if (FLAGS.model is None) == (FLAGS.listed is None):
        raise ConfigError("neighbours are found by --model=SOURCE or listed in --listed=FILE.tsv")
    _, open_records = open_source()
    records = open_records()
    return _listed(records) if FLAGS.model is None else _nearest(records)


def _listed(records: "Records") -> str:
    from kgclip_jax.preparation.listed_pictures import store_listed

    found = store_listed(records, FLAGS.listed, FLAGS.output, bad_share=FLAGS.bad_share)
    return (
        f"{FLAGS.output}: {found.listed:,} of {found.pictures:,} pictures have listed neighbours; "
        f"{found.unknown:,} listed names are of no picture here"
    )


def _nearest(records: "Records") -> str:
    from rich.console import Console

    from kgclip_jax.data.lazy_pictures import EvaluationTransform
    from kgclip_jax.inference import load
    from kgclip_jax.preparation.nearest_pictures import store_nearest

    encoder = load(FLAGS.model)
    vision = encoder.model.shape.vision
    found = store_nearest(
        records,
        FLAGS.output,
        encoder.encode_image,
        EvaluationTransform(vision.image_size, vision.resize, vision.interpolation),
        count=FLAGS.count,
        bad_share=FLAGS.bad_share,
        console=Console(),
    )
    return (
        f"{FLAGS.output}: {FLAGS.count} neighbours of {found.readable:,} of {found.pictures:,} "
        "pictures"
    )
