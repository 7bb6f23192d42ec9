"""Captions per second that get their negatives, and the share of captions that have one.

    python launch/prepare.py parse --source=photographs:FLICKR8K --output=GRAPHS
    taskset -c 0 python benchmarks/negatives.py --photographs=FLICKR8K --graphs=GRAPHS

Goal: 50,000 captions a second and core from parsed graphs, one negative each. Captions and graphs
are those of emoji scenes, and with `--graphs` those of photographs too. "known": each caption is
checked against all that is known of its picture, and not against its own graph alone. Reading
stored graphs is not part of the rates, and has a line of its own. "one of each" makes CE-CLIP's
four kinds of each caption, "class swaps" all of NegCLIP's from trees that spaCy has made. CPU time
of one thread; best round of several.
"""

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import environment

from kgclip_jax.data.emoji import EmojiScenes, EmojiWorld
from kgclip_jax.data.photographs import Photographs
from kgclip_jax.data.readers.folders import open_folder
from kgclip_jax.data.records import Source
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.facts import Known
from kgclip_jax.knowledge.graph_store import GraphStore
from kgclip_jax.knowledge.negatives import MADE, NegativeSettings, make_negatives
from kgclip_jax.knowledge.negatives.class_swaps import class_swaps
from kgclip_jax.knowledge.negatives.negative_config import REARRANGEMENTS, REPLACEMENTS
from kgclip_jax.knowledge.parsing.parser import MODEL
from kgclip_jax.knowledge.parsing.spacy_trees import SpacyTrees
from kgclip_jax.knowledge.vocabulary import Vocabulary
from kgclip_jax.random import generator

READINGS = 5
ONE_OF_EACH = ("replace_attribute", "replace_object", "replace_relation", "swap_objects")


class Captions(NamedTuple):
    """Captions of a source, what is known of their pictures, and the words of all."""

    name: str
    captions: Sequence[Caption]
    known: Sequence[Sequence[Known]]
    vocabulary: Vocabulary


def read(name: str, source: Source, count: int) -> Captions:
    """Take one caption each of some records of a source, in random order."""
    order = generator(0, "order").permutation(len(source))[:count].tolist()
    rng, rates = generator(0, "caption"), []
    for _ in range(READINGS):
        began = time.thread_time()
        for record in order:
            source.caption(record, rng)
            source.known(record)
        rates.append(len(order) / (time.thread_time() - began))
    print(f"{name}: {max(rates):,.0f} captions/s are read with all that is known of their pictures")
    captions = [source.caption(record, rng) for record in order]
    known = [source.known(record) for record in order]
    return Captions(name, captions, known, Vocabulary(captions))


def measure(
    data: Captions, settings: NegativeSettings, rounds: int, *, known: bool
) -> tuple[float, float]:
    """Return captions per second in the best round, and valid negatives per wanted one."""
    rates, counts = [], Counter[tuple[str, str]]()
    graphs = data.known if known else [()] * len(data.captions)
    for number in range(rounds):
        rng = generator(number, "benchmark")
        began = time.thread_time()
        for caption, others in zip(data.captions, graphs, strict=True):
            make_negatives(
                caption, rng, settings, vocabulary=data.vocabulary, known=others, counts=counts
            )
        rates.append(len(data.captions) / (time.thread_time() - began))
    made = sum(count for (_, outcome), count in counts.items() if outcome == MADE)
    return max(rates), made / (rounds * len(data.captions) * settings.count)


def table(data: Captions, rounds: int) -> None:
    """Print a line for each kind."""
    heads = ("1 negative", "4 negatives", "1, known")
    print(f"\n{data.name:18}{'valid':>8}" + "".join(f"{head:>14}" for head in heads))
    for kind in (*REARRANGEMENTS, *REPLACEMENTS):
        one, four = (NegativeSettings({kind: 1.0}, count) for count in (1, 4))
        rate, _ = measure(data, one, rounds, known=False)
        more, _ = measure(data, four, rounds, known=False)
        checked, share = measure(data, one, rounds, known=True)
        print(f"{kind:18}{share:8.1%}{rate:12,.0f}/s{more:12,.0f}/s{checked:12,.0f}/s")
    each = NegativeSettings(dict.fromkeys(ONE_OF_EACH, 1.0), len(ONE_OF_EACH), one_of_each=True)
    rate, share = measure(data, each, rounds, known=False)
    print(f"{'one of each':18}{share:8.1%}{'':14}{rate:12,.0f}/s")


def class_swap_rate(data: Captions, rounds: int) -> float:
    """Return captions per second that get all swaps of their classes, in the best round."""
    texts = [caption.text for caption in data.captions]
    trees, rates = list(SpacyTrees(MODEL)(texts)), []
    for number in range(rounds):
        rng = generator(number, "benchmark")
        began = time.thread_time()
        for tree, text in zip(trees, texts, strict=True):
            class_swaps(tree, text, rng)
        rates.append(len(texts) / (time.thread_time() - began))
    return max(rates)


def main() -> None:
    """Print a table for each source."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--captions", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--photographs", type=Path, help="folder of captioned photographs")
    parser.add_argument("--graphs", type=Path, help="their graphs, made by launch/prepare.py parse")
    parser.add_argument("--split", default="train", help="of the photographs")
    arguments = parser.parse_args()
    if (arguments.photographs is None) != (arguments.graphs is None):
        parser.error("--photographs and --graphs go together")
    print(environment.describe(["numpy"]))
    world = EmojiWorld(scenes=arguments.captions)
    sources: dict[str, Source] = {"emoji scenes": EmojiScenes(world, 64)}
    if arguments.graphs is not None:
        records = open_folder(arguments.photographs, arguments.split)
        store = GraphStore(arguments.graphs)
        sources["photographs"] = Photographs(records, size=64, graphs=store)
    for name, source in sources.items():
        data = read(name, source, arguments.captions)
        table(data, arguments.rounds)
        if name == "photographs":  # whose graphs needed spaCy too
            print(f"{'class swaps':18}{class_swap_rate(data, arguments.rounds):20,.0f}/s")


if __name__ == "__main__":
    main()
