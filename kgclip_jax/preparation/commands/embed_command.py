"""`embed`: what a language model makes of all captions."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from absl import flags

from kgclip_jax.command_line import refuse_arguments
from kgclip_jax.preparation.commands.source_flags import (
    FLAGS,
    define_source,
    define_workers,
    named_texts,
)


def define_flags() -> None:
    """Define the flags."""
    define_source("Folder of the embedded texts.")
    define_workers()
    flags.DEFINE_integer("parts", None, "Number of files; default: one a thousand records.", 1)
    flags.DEFINE_string("teacher", None, "Hugging Face folder or hub id, or minilm.", required=True)
    flags.DEFINE_string("revision", None, "Branch, tag or commit on the hub.")
    flags.DEFINE_integer("layer", -1, "Whose output is read; -1: the last.")
    flags.DEFINE_enum(
        "pooling",
        None,
        ["last", "mean", "first", "end"],
        "Which token is read; default: last, of minilm mean.",
    )
    flags.DEFINE_bool("normalise", None, "Divide by the length; default: only of minilm.")
    flags.DEFINE_integer("length", 128, "Texts are cut to this many tokens.", 2)
    flags.DEFINE_enum(
        "precision",
        None,
        ["float32", "bfloat16"],
        "Of the arithmetic; default: bfloat16 on GPUs, else float32.",
    )
    flags.DEFINE_enum("dtype", "float16", ["float16", "float32"], "In which numbers are stored.")


def run(rest: Sequence[str]) -> str:
    """Write embeddings."""
    from rich.console import Console

    from kgclip_jax.locks import sole_use
    from kgclip_jax.preparation.local import write_locally
    from kgclip_jax.preparation.source_names import identity
    from kgclip_jax.preparation.text_embeddings import (
        EmbeddingWriter,
        describe_embedded,
        make_embedding_plan,
        paraphrases,
        store_embedded,
    )
    from kgclip_jax.preparation.text_teachers import (
        MINILM,
        TeacherSettings,
        devices,
        identified,
    )
    from kgclip_jax.processes import available_cores

    refuse_arguments(rest)
    source = named_texts()
    gpus, minilm = devices(), FLAGS.teacher == MINILM
    settings = TeacherSettings(
        model=FLAGS.teacher,
        revision=FLAGS.revision,
        layer=FLAGS.layer,
        pooling=FLAGS.pooling or ("mean" if minilm else "last"),
        normalised=minilm if FLAGS.normalise is None else FLAGS.normalise,
        length=FLAGS.length,
        precision=FLAGS.precision or ("bfloat16" if gpus else "float32"),
    )
    teacher = identified(settings)
    records, output = source.records(Path.cwd(), bad_share=FLAGS.bad_share), FLAGS.output
    plan = make_embedding_plan(
        records, identity(source), teacher, dtype=FLAGS.dtype, parts=FLAGS.parts
    )
    writer = EmbeddingWriter(records, plan, output)
    workers = FLAGS.workers or len(gpus) or available_cores()
    engine = partial(write_locally, writer, workers=workers)
    with sole_use(output):
        found = store_embedded(writer, engine, bad_share=FLAGS.bad_share, console=Console())
    return describe_embedded(found, paraphrases(records, found))
