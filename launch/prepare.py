"""Prepare data sets: one command for each thing to prepare.

    python launch/prepare.py shards --source=KIND:FOLDER [--set=KEY=VALUE ...] --output=FOLDER
    python launch/prepare.py verify --output=FOLDER
    python launch/prepare.py parse --source=KIND:FOLDER [--set=KEY=VALUE ...] --output=FOLDER
    python launch/prepare.py graphs --annotations=KIND:PATH [--source=...] --output=FOLDER
    python launch/prepare.py graph --source=KIND:FOLDER [--set=KEY=VALUE ...] --output=FOLDER
    python launch/prepare.py check_graph --graph=FOLDER
    python launch/prepare.py negclip --source=KIND:FOLDER [--set=KEY=VALUE ...] --output=FILE.tsv
    python launch/prepare.py neighbours --source=KIND:FOLDER [...] --model=MODEL --output=FILE.npy
    python launch/prepare.py embed --teacher=MODEL --source=KIND:PATH [...] --output=FOLDER
    python launch/prepare.py tune_embeddings --embeddings=FOLDER --source=KIND:PATH --output=FOLDER
    python launch/prepare.py concepts --embeddings=FOLDER --output=FOLDER
    python launch/prepare.py entity_vectors --graph=FOLDER --embeddings=FOLDER --output=FILE.npy

`shards` stores captioned pictures as ArrayRecord shards, scaled down, on all cores; `verify` reads
them again and compares them with their manifest. `parse` stores the scene graphs of all captions,
on all cores too; pip install -r requirements-parse.txt first. `graphs` takes scene graphs from
files instead: those of a source's captions from structure_clip:FILE, those of whole pictures from
visual_genome:FOLDER. `negclip` lists wrong captions, in which two words or phrases of one class
change places; `neighbours` finds the nearest pictures of each by a model's embeddings. KINDs of
sources, and the KEYs that each has, are those of a config's streams.

`graph` makes a knowledge graph. Its KINDs are conceptnet:FILE, edge_lists:FOLDER, joined:FOLDER,
n_triples:FILE, parquet:FOLDER, visual_genome:FOLDER, visualsem:FOLDER, wordnet:FOLDER and emoji;
docs/data.md has them in a table.
`graph` ends with what the graph holds and what is odd in it; `check_graph` says that again of one
that is there.

`embed` stores what a language model makes of each caption of a source, or of the texts of
graph:FOLDER, lines:FILE or emoji; pip install -r requirements-teach.txt first. `tune_embeddings`
maps these embeddings so that texts of one record come together; `concepts` clusters them;
`entity_vectors` puts those of a graph's names in the order of its entities.

`COMMAND --help` lists the flags of a command. For instance:

    python launch/prepare.py shards --source=photographs:coco --set=split=val2017 --output=coco256
    python launch/prepare.py shards --source=webdataset:cc3m --output=cc3m256 --engine=beam
        -- --runner=FlinkRunner --flink_master=HOST:PORT
    python launch/prepare.py parse --source=photographs:flickr8k --output=flickr8k_graphs
    python launch/prepare.py graphs --annotations=structure_clip:train.json
        --source=karpathy:coco --set=file=coco/dataset_coco.json --output=coco_graphs

The same command again continues after a kill (`graphs`, `negclip`, `neighbours` and
`tune_embeddings` begin anew).
Exit codes: 0 done, 2 bad input, 143 stopped by a signal.
"""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, ModuleType
from typing import NoReturn, cast

from absl import app, flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kgclip_jax import command_line
from kgclip_jax.command_line import fail
from kgclip_jax.errors import UserError
from kgclip_jax.preparation.commands.command import COMMANDS, find_command


def parse_flags(argv: Sequence[str]) -> Sequence[str]:
    """Parse the flags of the command that comes first; mistakes end in one line."""
    program, *arguments = argv
    name = arguments[0] if arguments else ""
    if name in COMMANDS:
        command = find_command(name)
        command.define_flags()
        flags.adopt_module_key_flags(cast(ModuleType, command))  # --help lists them
        arguments = arguments[1:]
    rest = command_line.parse_flags([program, *arguments], positional=True)[1:]
    if name not in COMMANDS:
        sys.exit(fail(f"say what to prepare: {' or '.join(COMMANDS)}"))
    return [program, name, *rest]


def main(argv: list[str]) -> int:
    """Run the command that the arguments name."""
    from kgclip_jax.library_logging import silence_libraries

    silence_libraries()
    signal.signal(signal.SIGTERM, _interrupt)
    _, name, *rest = argv
    try:
        print(find_command(name).run(rest))
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
