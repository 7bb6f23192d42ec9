"""`graphs`: scene graphs that files of annotations hold."""

from collections.abc import Sequence

from absl import flags

from kgclip_jax.command_line import refuse_arguments
from kgclip_jax.errors import ConfigError
from kgclip_jax.preparation.commands.source_flags import FLAGS, define_source, open_source


def define_flags() -> None:
    """Define the flags."""
    define_source("Folder of the scene graphs.", required=False)
    text = "Files of scene graphs: structure_clip:FILE, or visual_genome:FOLDER."
    flags.DEFINE_string("annotations", None, text, required=True)


def run(rest: Sequence[str]) -> str:
    """Write scene graphs."""
    from rich.console import Console

    from kgclip_jax.locks import sole_use
    from kgclip_jax.preparation.annotated_graphs import (
        named_annotations,
        store_captions,
        store_pictures,
    )
    from kgclip_jax.preparation.graph_counts import describe_graphs

    refuse_arguments(rest)
    kind, path = named_annotations(FLAGS.annotations)
    output, console = FLAGS.output, Console()
    if kind == "visual_genome":
        if FLAGS.source is not None or FLAGS.set:
            raise ConfigError("visual_genome has graphs of whole pictures: leave out --source")
        with sole_use(output):
            contents = store_pictures(path, output, bad_share=FLAGS.bad_share, console=console)
    elif FLAGS.source is None:
        raise ConfigError("structure_clip has graphs of captions: name their --source")
    else:
        source, open_records = open_source()
        records = open_records()
        with sole_use(output):
            contents = store_captions(
                records, source, path, output, bad_share=FLAGS.bad_share, console=console
            )
    return describe_graphs(output, contents)
