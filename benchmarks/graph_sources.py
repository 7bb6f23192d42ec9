"""Lines a second and core that a source of knowledge graphs reads.

    taskset -c 0 python benchmarks/graph_sources.py --lines=2000000

Goal: ConceptNet's 34 million assertions in a minute on a core. The files are made up: a dump as
ConceptNet's, one triple in a hundred English at both ends, and a list of edges of which all are
read. CPU time of one thread, the best of some rounds; "in all" is `prepare.py graph` on the list,
wall time, hash of the file and all. Put this repository on PYTHONPATH.
"""

import argparse
import gzip
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import environment
import numpy as np
import pyarrow as pa
from rich.console import Console

from kgclip_jax.data.graph_sources.conceptnet import ConceptNet
from kgclip_jax.data.graph_sources.edge_lists import EdgeLists
from kgclip_jax.data.graph_sources.graph_source import GraphSource
from kgclip_jax.data.graph_sources.n_triples import NTriples
from kgclip_jax.data.skips import Skips
from kgclip_jax.preparation.knowledge_graphs import store_graph

WORDS = 300_000
RELATIONS = ("IsA", "RelatedTo", "AtLocation", "Synonym")
LANGUAGES = ("en", "fr", "de", "ja", "ru", "es", "zh", "pt", "it", "fi")
INFO = json.dumps(
    {
        "dataset": "/d/wiktionary/fr",
        "license": "cc:by-sa/4.0",
        "sources": [
            {
                "contributor": "/s/resource/wiktionary/fr",
                "process": "/s/process/wikiparsec/2",
            }
        ],
        "weight": 1.0,
    }
)


def conceptnet_line(relation: str, head: str, tail: str) -> str:
    """Return an assertion."""
    return f"/a/[/r/{relation}/,{head}/n/,{tail}/]\t/r/{relation}\t{head}/n\t{tail}\t{INFO}\n"


def edge_line(relation: str, head: str, tail: str) -> str:
    """Return a triple between tabs."""
    return f"{head}\t{relation}\t{tail}\n"


def statement(relation: str, head: str, tail: str) -> str:
    """Return a line of N-Triples."""
    return f"<http://x{head}> <http://x/r/{relation}> <http://x{tail}> .\n"


def made_up(count: int, line: Callable[[str, str, str], str]) -> Iterator[str]:
    """Yield random triples in a layout."""
    rng = np.random.default_rng(0)
    relations = rng.integers(len(RELATIONS), size=count)
    languages = rng.integers(len(LANGUAGES), size=(2, count))
    words = rng.integers(WORDS, size=(2, count))
    for relation, first, second, head, tail in zip(relations, *languages, *words, strict=True):
        ends = f"/c/{LANGUAGES[first]}/word_{head}", f"/c/{LANGUAGES[second]}/word_{tail}"
        yield line(RELATIONS[relation], *ends)


def seconds(source: GraphSource) -> tuple[float, int]:
    """Return CPU time of reading all triples, and how many there are."""
    began, rows = time.thread_time(), 0
    for block in source.triples():
        rows += len(block(Skips()))
    return time.thread_time() - began, rows


def main() -> None:
    """Print a line for each layout."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    flags = parser.parse_args()
    pa.set_cpu_count(1)
    print(environment.describe(["pyarrow", "numpy"]))
    with TemporaryDirectory() as name:
        folder = Path(name)
        dump, edges, statements = (folder / file for file in ("dump.csv", "edges.tsv", "graph.nt"))
        layouts = {dump: conceptnet_line, edges: edge_line, statements: statement}
        for path, line in layouts.items():
            with path.open("w") as file:
                file.writelines(made_up(flags.lines, line))
        packed = folder / "dump.csv.gz"
        with dump.open("rb") as file, gzip.open(packed, "wb", 6) as target:
            shutil.copyfileobj(file, target)
        sources: dict[str, GraphSource] = {
            "ConceptNet": ConceptNet(folder=str(dump)),
            "ConceptNet, gzip": ConceptNet(folder=str(packed)),
            "list of edges": EdgeLists(folder=str(edges)),
            "N-Triples": NTriples(folder=str(statements)),
        }
        for title, source in sources.items():
            found = [seconds(source) for _ in range(flags.rounds)]
            best, rows = min(found)
            print(
                f"{title}: {flags.lines / best:,.0f} lines/s and core, {rows:,} triples of "
                f"{flags.lines:,} lines"
            )
        began = time.perf_counter()
        console = Console(quiet=True)
        graph = store_graph(
            sources["list of edges"], folder / "graph", bad_share=0.0, console=console
        )
        print(
            f"in all: {flags.lines / (time.perf_counter() - began):,.0f} lines/s, "
            f"{len(graph):,} entities"
        )


if __name__ == "__main__":
    main()
