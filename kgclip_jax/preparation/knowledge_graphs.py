"""Knowledge graphs from their files: blocks of triples in words first, then one graph of numbers.

OUTPUT/parts/*/*.arrow          a file for each block of the source; they go in the end
OUTPUT/reports/plan.json        what is made; another plan is refused in the same folder
OUTPUT/graph.json, ...          see `kgclip_jax.knowledge.graph.knowledge_graph`

Memory holds a block of the source at a time, then some millions of triples in numbers, and all that
is said of entities. A launch that was stopped goes on with the blocks that are missing.
"""

import json
import math
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from rich.console import Console

from kgclip_jax.data.graph_sources.graph_source import (
    NOT_READ,
    Block,
    GraphSource,
)
from kgclip_jax.data.skips import Skips
from kgclip_jax.files import atomic_file, sha256, writing
from kgclip_jax.knowledge.graph.entities import entity_rows, merged_entities
from kgclip_jax.knowledge.graph.graph_folder import Relations, write_graph
from kgclip_jax.knowledge.graph.knowledge_graph import (
    CONTENTS,
    ENTITY_SCHEMA,
    KnowledgeGraph,
)
from kgclip_jax.preparation.graph_numbers import number_triples, part_triples
from kgclip_jax.preparation.parts import begin
from kgclip_jax.preparation.progress import RecordsProgress
from kgclip_jax.schema import to_dict

PARTS = "parts"
UNKNOWN_ENTITY = "triple of an entity that the files do not describe"

_LEFT_OUT = b"left_out"  # metadata of a part: counts and examples by reason


@dataclass(frozen=True)
class GraphPlan:
    """Everything that a graph depends on.

    Attributes:
        source: settings of the source, as plain values.
        sha256: hash of each of its files, by name.
    """

    source: dict
    sha256: dict[str, str]


def store_graph(
    source: GraphSource, output: Path, *, bad_share: float, console: Console
) -> KnowledgeGraph:
    """Make the graph of a source.

    Args:
        source: of entities and triples.
        output: folder of the graph; new, empty, or begun before of the same.
        bad_share: largest share of triples, and of what is said of entities, that may be left out
            for one reason.
        console: where progress is shown.

    Raises:
        ConfigError: the folder was begun of something else, or holds something else.
        DataError: a file is missing or malformed, too much was left out, or no triple is left.
        UserError: the disk refuses.
    """
    settings = {key: value for key, value in to_dict(source).items() if key != "folder"}
    plan = GraphPlan(settings, {name: sha256(path) for name, path in source.files().items()})
    begin(output, plan)
    folder = output / PARTS
    if (output / CONTENTS).exists():
        shutil.rmtree(folder, ignore_errors=True)  # of a launch that was killed at its very end
        return KnowledgeGraph(output)
    with RecordsProgress(console, 0, None, "rows") as progress:
        entities = _stored(folder / "entities", source.entities(), progress)
        triples = _stored(folder / "triples", source.triples(), progress)
    graph = _joined(source, output, entities, triples, plan, bad_share)
    shutil.rmtree(folder)
    return graph


def _stored(folder: Path, blocks: Iterable[Block], progress: RecordsProgress) -> list[Path]:
    """Write the blocks that are missing; return the files of all."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, block in enumerate(blocks):
        paths.append(folder / f"{number:05d}.arrow")
        if not paths[-1].exists():
            _write_part(paths[-1], block)
        # What is kept open between blocks would keep the memory from shrinking after each.
        progress.advance(len(_opened(paths[-1])))
    return paths


def _opened(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _write_part(path: Path, block: Block) -> None:
    skips = Skips()
    table = block(skips)
    left_out = json.dumps([skips.counts, skips.examples]).encode()
    table = table.replace_schema_metadata({_LEFT_OUT: left_out})
    with (
        atomic_file(path) as temporary,
        writing(path, pa.ArrowException),
        pa.ipc.new_file(str(temporary), table.schema) as file,
    ):
        file.write_table(table)


def _joined(
    source: GraphSource,
    output: Path,
    described: Sequence[Path],
    blocks: Sequence[Path],
    plan: GraphPlan,
    bad_share: float,
) -> KnowledgeGraph:
    of_entities, of_triples = _left_out(described), _left_out(blocks)
    known = merged_entities(
        pa.concat_tables([ENTITY_SCHEMA.empty_table(), *map(_opened, described)])
    )
    numbered = number_triples(map(_opened, blocks), known["key"].combine_chunks(), output / PARTS)
    implied = numbered.entities[len(known) :]
    if (names := source.implied_names(implied)) is not None:
        known = pa.concat_tables([known, entity_rows(implied, names)])
    parted = part_triples(numbered.rows, len(known), output / PARTS)
    if parted.example is not None:
        head, relation, tail = parted.example
        words = numbered.entities[head], numbered.relations[relation], numbered.entities[tail]
        of_triples.add(UNKNOWN_ENTITY, " ".join(map(str, words)), parted.lost)
    for skips, rest in ((of_entities, len(known)), (of_triples, len(numbered.rows) - parted.lost)):
        skips.check(source.kind, source.folder, _totals(skips, rest), bad_share)
    relations = numbered.relations.to_pylist()
    return write_graph(
        output,
        known,
        Relations(relations, [source.phrase(name) for name in relations]),
        parted.edges,
        sources=numbered.sources.to_pylist(),
        pictures=source.folder,
        left_out=Counter(of_entities.counts) + Counter(of_triples.counts),
        settings=to_dict(plan),
    )


def _totals(skips: Skips, rest: int) -> dict[str, int | float]:
    """Return how many rows there were, with those that were left out for a reason."""
    return {
        reason: math.inf if reason in NOT_READ else rest + count
        for reason, count in skips.counts.items()
    }


def _left_out(paths: Sequence[Path]) -> Skips:
    """Add up what was left out of the parts."""
    skips = Skips()
    for path in paths:
        counts, examples = json.loads(_opened(path).schema.metadata[_LEFT_OUT])
        for reason, count in counts.items():
            skips.add(reason, examples[reason][0], count)
    return skips
