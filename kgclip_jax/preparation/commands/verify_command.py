"""`verify`: shards against their manifest."""

from collections.abc import Sequence

from absl import flags

from kgclip_jax.command_line import define_path, refuse_arguments

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Define the flags."""
    define_path("output", "Folder of the shards.", required=True)


def run(rest: Sequence[str]) -> str:
    """Compare shards with their manifest."""
    from kgclip_jax.preparation.shards import describe_shards, verify_shards

    refuse_arguments(rest)
    output = FLAGS.output
    return f"{describe_shards(output, verify_shards(output))}; all as the manifest says"
