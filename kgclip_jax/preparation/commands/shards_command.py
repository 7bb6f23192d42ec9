"""`shards`: captioned pictures as ArrayRecord shards."""

from collections.abc import Sequence
from functools import partial

from absl import flags

from kgclip_jax.errors import ConfigError
from kgclip_jax.preparation.commands.source_flags import (
    FLAGS,
    define_source,
    define_workers,
    open_source,
)


def define_flags() -> None:
    """Define the flags."""
    define_source("Folder of the shards.")
    define_workers()
    flags.DEFINE_integer("short_side", 256, "Scale pictures down to this; 0: keep sizes.", 0)
    flags.DEFINE_integer("quality", 95, "Of the JPEG that scaled pictures become.", 1, 100)
    flags.DEFINE_integer("shards", None, "Number of files; default: one a thousand pictures.", 1)
    flags.DEFINE_enum("engine", "local", ["local", "beam"], "Beam's own options follow after --")


def run(beam_options: Sequence[str]) -> str:
    """Write shards."""
    if FLAGS.engine == "beam" and FLAGS.workers is not None:
        raise ConfigError("--workers is for the local engine; tell Beam after --")
    if FLAGS.engine == "local" and beam_options:
        raise ConfigError(f"{beam_options[0]!r} is for --engine=beam, and comes after --")
    from rich.console import Console

    from kgclip_jax.locks import sole_use
    from kgclip_jax.preparation.beam import write_on_beam
    from kgclip_jax.preparation.local import write_locally
    from kgclip_jax.preparation.parts import Engine, make_plan
    from kgclip_jax.preparation.shards import (
        ShardPlan,
        ShardReport,
        ShardWriter,
        describe_shards,
        store_shards,
    )
    from kgclip_jax.processes import available_cores

    source, open_records = open_source()
    records, output = open_records(), FLAGS.output
    sizes = {"short_side": FLAGS.short_side, "quality": FLAGS.quality}
    plan = make_plan(ShardPlan, records, source, FLAGS.shards, **sizes)
    writer = ShardWriter(records, plan, output)
    engines: dict[str, Engine[ShardReport]] = {
        "local": partial(write_locally, writer, workers=FLAGS.workers or available_cores()),
        "beam": partial(write_on_beam, writer, open_records=open_records, options=beam_options),
    }
    with sole_use(output):
        manifest = store_shards(
            writer, engines[FLAGS.engine], bad_share=FLAGS.bad_share, console=Console()
        )
    return describe_shards(output, manifest)
