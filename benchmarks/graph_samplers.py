"""Triples with filtered negatives, and two-hop neighbourhoods, a second and core.

    pip install pykeen torch        # to compare with PyKEEN's samplers
    taskset -c 0 python benchmarks/graph_samplers.py --edges=10000000

Goals: 1,000,000 triples with one negative each, and 200,000 neighbourhoods of two hops with up to
eight edges at each entity, a second and core, on a graph of ten million edges; and 20 times
PyKEEN's rate for what both do: training triples in a random order, each with a negative that is no
true triple. Ours is filtered exactly and drawn again; PyKEEN masks what its filter finds, which is
exact with a set of Python and has false alarms with a Bloom filter. Its sampler "schlichtkrull"
draws triples that lie together, for graph networks.

The graph is made up: heads and tails by powers of a uniform number, so that few entities have many
edges, as in real graphs. CPU time of the process; kinds alternate, and the median of the rounds
counts.
"""

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import environment
import numpy as np

from kgclip_jax.data.order import Mixture
from kgclip_jax.knowledge.graph.corruption import corrupted
from kgclip_jax.knowledge.graph.entities import entity_rows
from kgclip_jax.knowledge.graph.graph_folder import Relations, write_graph
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
from kgclip_jax.knowledge.graph.neighbourhood import NeighbourhoodSampler
from kgclip_jax.knowledge.graph.split_folder import EdgeList
from kgclip_jax.random import bits_of

RELATIONS = 40
ROWS, ROOTS, SUBGRAPH_ROWS = 32_768, 4_096, 512
PYKEEN = (("basic", "bloom"), ("basic", "python-set"), ("schlichtkrull", "bloom"))

Batch = Callable[[int], int]  # makes the batch of a step, and tells how many things are in it


def made_up_graph(folder: Path, edges: int, entities: int) -> KnowledgeGraph:
    """Write a graph with hubs at both ends, and open it."""
    rng = np.random.default_rng(0)
    head, tail = (rng.permutation(entities)[_skewed(rng, edges, entities)] for _ in range(2))
    relation = rng.integers(RELATIONS, size=edges)
    listed = EdgeList.of(head, relation, tail, np.ones(edges), np.zeros(edges, int))
    keys = [str(number) for number in range(entities)]
    names = [f"relation {number}" for number in range(RELATIONS)]
    return write_graph(
        folder,
        entity_rows(keys, keys),
        Relations(names, names),
        {"train": listed},
        sources=["made up"],
        pictures=".",
        left_out={},
        settings={},
    )


def _skewed(rng: np.random.Generator, count: int, limit: int) -> np.ndarray:
    return (limit * rng.random(count) ** 3).astype(np.int64)


def our_triples(graph: KnowledgeGraph) -> Batch:
    """Triples in their keyed order, with a filtered negative each."""
    train = graph.splits["train"]
    mixture = Mixture([len(train)], [1.0], ["triples"], ROWS, 0, "edges")
    rows = np.arange(ROWS)

    def batch(step: int) -> int:
        triples = train.triples(mixture.draws(step, rows).record)
        corrupted(graph, triples, bits_of(step * ROWS + rows, 1, 0, "negatives"))
        return ROWS

    return batch


def our_neighbourhoods(graph: KnowledgeGraph) -> Batch:
    """Neighbourhoods of the tails of triples, all entities kept."""
    train = graph.splits["train"]
    mixture = Mixture([len(train)], [1.0], ["triples"], ROOTS, 0, "roots")
    sampler = NeighbourhoodSampler(train.incoming, 8, 2, 100 * ROOTS)

    def batch(step: int) -> int:
        tails = train.triples(mixture.draws(step, np.arange(ROOTS)).record).tail
        return sampler(tails, 0, step).roots

    return batch


def pykeen_triples(graph: KnowledgeGraph, sampler: str, filterer: str) -> Batch:
    """PyKEEN's batches, as its own training loop reads them (`SLCWATrainingLoop`)."""
    import torch
    from pykeen.triples import CoreTriplesFactory
    from pykeen.triples.instances import BatchedSLCWAInstances, SubGraphSLCWAInstances

    torch.set_num_threads(1)
    train = graph.splits["train"]
    ids = np.stack(train.triples(np.arange(len(train))), axis=1).astype(np.int64)
    kind = BatchedSLCWAInstances if sampler == "basic" else SubGraphSLCWAInstances
    instances = kind.from_triples_factory(
        CoreTriplesFactory(torch.from_numpy(ids), len(graph), RELATIONS),
        batch_size=ROWS if sampler == "basic" else SUBGRAPH_ROWS,
        shuffle=True,
        drop_last=True,
        negative_sampler=None,
        negative_sampler_kwargs={"num_negs_per_pos": 1, "filtered": True, "filterer": filterer},
    )
    batches = iter(torch.utils.data.DataLoader(instances, batch_size=None))

    def batch(step: int) -> int:
        return len(next(batches)["positives"])

    return batch


def rate(batch: Batch, round_: int, batches: int) -> float:
    """Return things per second of CPU time."""
    began, made = time.process_time(), 0
    for step in range(batches):
        made += batch(round_ * batches + step)
    return made / (time.process_time() - began)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edges", type=int, default=10_000_000)
    parser.add_argument("--entities", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    packages = ["numpy", "pyarrow"]
    compared = importlib.util.find_spec("pykeen") is not None
    print(environment.describe([*packages, "torch", "pykeen"] if compared else packages))
    with TemporaryDirectory() as folder:
        graph = made_up_graph(Path(folder), arguments.edges, arguments.entities)
        began = time.perf_counter()
        graph = KnowledgeGraph(Path(folder))
        opened = time.perf_counter() - began
        degrees = np.diff(graph.splits["train"].incoming.offsets)
        print(
            f"{len(graph.splits['train']):,} triples between {len(graph):,} entities, opened in "
            f"{1e3 * opened:.1f} ms; edges at an entity: median {np.median(degrees):.0f}, "
            f"most {degrees.max():,}"
        )
        kinds = {
            "triples, filtered negatives": our_triples(graph),
            "neighbourhoods, two hops": our_neighbourhoods(graph),
        }
        if compared:
            for sampler, filterer in PYKEEN:
                name = f"PyKEEN, {sampler}, {filterer}"
                kinds[name] = pykeen_triples(graph, sampler, filterer)
        rates: dict[str, list[float]] = {kind: [] for kind in kinds}
        for round_ in range(arguments.rounds + 1):
            for kind, batch in kinds.items():
                speed = rate(batch, round_, 1 if "PyKEEN" in kind else 8)
                if round_:  # the first one reads the graph from disk
                    rates[kind].append(speed)
    for kind, found in rates.items():
        low, high = min(found), max(found)
        print(f"{kind:30} {statistics.median(found):12,.0f} /s ({low:,.0f} to {high:,.0f})")


if __name__ == "__main__":
    main()
