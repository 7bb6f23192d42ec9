"""A program: makes a graph of many triples in little memory, and checks it.

    python limited_graph.py FOLDER BLOCKS MEGABYTES ROWS

A block has 20,000 triples between 2,000 entities. MEGABYTES may be used beyond what libraries and a
first small graph have taken; ROWS triples are held in memory at a time.
"""

import resource
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.console import Console

from kgclip_jax.data.graph_sources.graph_source import triple_rows
from kgclip_jax.knowledge.graph import graph_checks, key_ranges, split_folder
from kgclip_jax.preparation import graph_numbers
from kgclip_jax.preparation.graph_summary import describe_graph
from kgclip_jax.preparation.knowledge_graphs import store_graph

BLOCK, ENTITIES, RELATIONS = 20_000, 2_000, 50


@dataclass(frozen=True)
class MadeUpTriples:
    """A source of random triples."""

    blocks: int
    kind: str = "made_up"
    folder: str = "."

    def files(self):
        return {}

    def entities(self):
        return iter(())

    def triples(self):
        return (partial(made_up, number) for number in range(self.blocks))

    def implied_names(self, keys):
        return keys

    def phrase(self, relation):
        return relation


def made_up(number, skips):
    rng = np.random.default_rng(number)
    head, tail = (texts(ids) for ids in rng.integers(ENTITIES, size=(2, BLOCK)))
    return triple_rows(
        {"head": head, "relation": texts(rng.integers(RELATIONS, size=BLOCK)), "tail": tail}
    )


def texts(numbers):
    return pa.chunked_array([pa.array(numbers).cast(pa.string())])


def writable_bytes():
    """What the limit counts: private memory that may be written to."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData"):
            return int(line.split()[1]) * 1024
    raise AssertionError


def main(folder, blocks, megabytes, rows):
    pa.set_cpu_count(1)
    key_ranges.RANGE = graph_checks._EDGES = split_folder._ROWS = graph_numbers._ROWS = rows
    for name, count in (("first", 1), ("graph", blocks)):
        graph = store_graph(
            MadeUpTriples(count), folder / name, bad_share=0, console=Console(quiet=True)
        )
        told = describe_graph(graph)
        limit = writable_bytes() + megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
    print(told)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
