"""Flags of several commands: a source and where its output goes, and the number of processes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from kgclip_jax.command_line import define_path

if TYPE_CHECKING:
    from kgclip_jax.data.records import Records

FLAGS = flags.FLAGS
flags.disclaim_key_flags()  # they are those of the command that calls


def define_source(output: str, *, required: bool = True) -> None:
    """Define the flags of all commands that make something of a source."""
    flags.DEFINE_string("source", None, "What to prepare, as KIND:FOLDER.", required=required)
    flags.DEFINE_multi_string("set", [], "KEY=VALUE: another setting of the source; repeatable.")
    define_path("output", output, required=True)
    flags.DEFINE_float("bad_share", 0.05, "Largest share to leave out, of records and so on.", 0, 1)


def define_workers() -> None:
    """Define the flag of all commands that use many processes."""
    flags.DEFINE_integer("workers", None, "Processes on this machine; default: all cores.", 1)


def open_source() -> tuple[dict[str, Any], "Callable[[], Records]"]:
    """Return what identifies the source that the flags name, and what opens its records."""
    from kgclip_jax.preparation.source_names import identity, named_source

    source = named_source(FLAGS.source, FLAGS.set)
    return identity(source), partial(source.records, Path.cwd(), bad_share=FLAGS.bad_share)


def named_texts() -> Any:
    """Return the settings of the source that the flags name, of pictures or of texts alone."""
    from kgclip_jax.preparation.source_names import KINDS, named
    from kgclip_jax.preparation.text_sources import TEXT_SOURCES

    texts = {kind: TEXT_SOURCES.find(kind, "source") for kind in TEXT_SOURCES.places}
    return named(KINDS | texts, FLAGS.source, FLAGS.set)
