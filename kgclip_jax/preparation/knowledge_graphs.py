"""Knowledge graphs from their files: blocks of triples in words first, then one graph of numbers.

OUTPUT/parts/*/*.arrow          a file for each block of the source; they go in the end
OUTPUT/reports/plan.json        what is made; another plan is refused in the same folder
OUTPUT/graph.json, ...          see `kgclip_jax.knowledge.graph.knowledge_graph`

Memory holds a block of the source at a time, and in the end the numbers of all triples and the
names of all entities. A launch that was stopped goes on with the blocks that are missing.
"""

import json
import math
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int64
from rich.console import Console

from kgclip_jax.data.graph_sources.graph_source import (
    NOT_READ,
    TRIPLE_SCHEMA,
    Block,
    GraphSource,
)
from kgclip_jax.data.skips import Skips
from kgclip_jax.files import atomic_file, sha256, writing
from kgclip_jax.knowledge.graph.entities import entity_rows, merged_entities
from kgclip_jax.knowledge.graph.graph_folder import EdgeList, Relations, write_graph
from kgclip_jax.knowledge.graph.knowledge_graph import (
    CONTENTS,
    ENTITY_SCHEMA,
    SPLITS,
    KnowledgeGraph,
)
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
    if (output / CONTENTS).exists():
        return KnowledgeGraph(output)
    folder = output / PARTS
    with RecordsProgress(console, 0, None, "rows") as progress:
        entities = _stored(folder / "entities", source.entities(), progress)
        triples = _stored(folder / "triples", source.triples(), progress)
    graph = _joined(source, output, entities, triples, plan, bad_share)
    shutil.rmtree(folder)
    return graph


def _stored(folder: Path, blocks: Iterable[Block], progress: RecordsProgress) -> list[pa.Table]:
    """Write the blocks that are missing, and open all."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    tables = []
    for number, block in enumerate(blocks):
        path = folder / f"{number:05d}.arrow"
        if not path.exists():
            _write_part(path, block)
        tables.append(pa.ipc.open_file(pa.memory_map(str(path))).read_all())
        progress.advance(len(tables[-1]))
    return tables


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


class _Numbered(NamedTuple):
    """Words as numbers: the index of each in a list of those that differ."""

    numbers: Int64[np.ndarray, " rows"]
    words: pa.Array


def _joined(
    source: GraphSource,
    output: Path,
    described: Sequence[pa.Table],
    blocks: Sequence[pa.Table],
    plan: GraphPlan,
    bad_share: float,
) -> KnowledgeGraph:
    of_entities, of_triples = _left_out(described), _left_out(blocks)
    known = merged_entities(pa.concat_tables([ENTITY_SCHEMA.empty_table(), *described]))
    triples = pa.concat_tables([TRIPLE_SCHEMA.empty_table(), *blocks])
    keys = pa.chunked_array([known["key"].combine_chunks().dictionary_encode()])
    ends = _numbered(keys, triples["head"], triples["tail"])
    heads, tails = np.split(ends.numbers[len(known) :], 2)
    implied = ends.words[len(known) :]
    if (names := source.implied_names(implied)) is not None:
        known = pa.concat_tables([known, entity_rows(implied, names)])
    kept = np.maximum(heads, tails) < len(known)
    if lost := len(kept) - int(np.count_nonzero(kept)):
        row = int(np.argmin(kept))
        example = " ".join(triples[name][row].as_py() for name in ("head", "relation", "tail"))
        of_triples.add(UNKNOWN_ENTITY, example, lost)
    for skips, rest in ((of_entities, len(known)), (of_triples, len(kept) - lost)):
        skips.check(source.kind, source.folder, _totals(skips, rest), bad_share)
    relation, origin = _numbered(triples["relation"]), _numbered(triples["source"])
    columns = heads, relation.numbers, tails, triples["weight"].to_numpy(), origin.numbers
    relations = relation.words.to_pylist()
    return write_graph(
        output,
        known,
        Relations(relations, [source.phrase(name) for name in relations]),
        {
            split: EdgeList.of(*(column[kept & here] for column in columns))
            for split, here in _splits(triples["split"]).items()
        },
        sources=origin.words.to_pylist(),
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


def _left_out(tables: Sequence[pa.Table]) -> Skips:
    """Add up what was left out of the parts."""
    skips = Skips()
    for table in tables:
        counts, examples = json.loads(table.schema.metadata[_LEFT_OUT])
        for reason, count in counts.items():
            skips.add(reason, examples[reason][0], count)
    return skips


def _numbered(*columns: pa.ChunkedArray) -> _Numbered:
    """Number the words of some columns, one after the other, as they come first.

    Each chunk of a column is a dictionary and its indices: only what differs in a chunk is hashed.
    """
    chunks = [chunk for column in columns for chunk in column.chunks]
    if not chunks:
        return _Numbered(np.zeros(0, np.int64), pa.array([], pa.large_string()))
    coded = pa.concat_arrays([chunk.dictionary for chunk in chunks]).dictionary_encode()
    codes = coded.indices.to_numpy().astype(np.int64)
    starts = np.cumsum([0, *(len(chunk.dictionary) for chunk in chunks)])
    numbers = [
        codes[start + chunk.indices.to_numpy()]
        for start, chunk in zip(starts[:-1].tolist(), chunks, strict=True)
    ]
    return _Numbered(np.concatenate(numbers), coded.dictionary)


def _splits(names: pa.ChunkedArray) -> dict[str, Bool[np.ndarray, " rows"]]:
    return {split: pc.equal(names, split).to_numpy() for split in SPLITS}
