"""What negatives and scene graphs cost: training steps with K negatives against plain CLIP's.

    python benchmarks/structure_cost.py --model=quickstart --batch-size=128

Whole training steps (forward, backward, AdamW) on emoji scenes, all texts cut to one length:
plain CLIP, Structure-CLIP's objective with K = 1, 2 and 4 negatives of each caption, the knowledge
encoder alone, and both. The contenders take turns in one process; a figure is the median over the
rounds, a ratio the median of the ratios within a round.

`cost` is the ratio of times to plain CLIP by the ratio of FLOPs: 1 is its fair share, below it what
does not depend on the texts (the optimizer) weighs in. `input` is the CPU time of preparing a batch
by the wall time of a step: below 1, one worker process keeps up.
"""

import argparse
import itertools
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import environment
from steps import Steps

from kgclip_jax import config
from kgclip_jax.data.emoji.world import EmojiWorld
from kgclip_jax.data.sources import EmojiSource
from kgclip_jax.data.streams.captions_config import CaptionsConfig
from kgclip_jax.data.streams.stream import StreamOpening
from kgclip_jax.data.text_slots import one_slot
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers
from kgclip_jax.knowledge.negatives import NegativeSettings
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models import spec
from kgclip_jax.models.presets import preset
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.objectives.structure_clip import StructureClip
from kgclip_jax.optimizer_config import Optimizer

PLAIN = "plain CLIP"
WORLD = EmojiWorld(concepts=32, unseen_concepts=0, scenes=10_000)
KINDS = {"swap_objects": 1.0, "swap_attributes": 1.0, "swap_relation": 1.0}


class Variant(NamedTuple):
    """What is trained."""

    name: str
    negatives: int = 0
    knowledge: bool = False


VARIANTS = (
    Variant(PLAIN),
    Variant("K = 1", 1),
    Variant("K = 2", 2),
    Variant("K = 4", 4),
    Variant("knowledge", 0, knowledge=True),
    Variant("K = 1 + knowledge", 1, knowledge=True),
)


class Contender:
    """A variant's compiled step, its state, and batches from its own stream."""

    def __init__(self, variant: Variant, flags: argparse.Namespace) -> None:
        self.variant = variant
        shape = preset(flags.model)
        if variant.knowledge:
            text = shape.text.transformer
            encoder = replace(text, depth=flags.knowledge_depth, activation="gelu_erf")
            shape = replace(shape, knowledge=spec.KnowledgeEncoder(encoder))
        experiment = _experiment(shape, variant, flags)
        opening = StreamOpening(experiment.data, preprocessing_for(shape, Tokenizers()))
        stream = experiment.streams["captions"].open("captions", opening)
        units = range(stream.rows // stream.unit)
        start = time.process_time()
        made = [stream.load(step, units).blocks for step in range(flags.batches)]
        self.input_seconds = (time.process_time() - start) / flags.batches
        self.steps = Steps(experiment, made[0])
        self.work = self.steps.setup.work
        self.batches = [self.steps.place(pairs) for pairs in made]
        self.turn(2)

    def turn(self, steps: int) -> float:
        """Take steps; return seconds for each."""
        start = time.perf_counter()
        for batch in itertools.islice(itertools.cycle(self.batches), steps):
            self.steps.step(batch)
        self.steps.wait()
        return (time.perf_counter() - start) / steps


def _experiment(
    shape: spec.DualEncoder, variant: Variant, flags: argparse.Namespace
) -> config.Experiment:
    negatives, objectives = None, {"contrastive": Contrastive()}
    if variant.negatives:
        negatives = NegativeSettings(KINDS, count=variant.negatives)
        objectives = {"structure_clip": StructureClip()}
    captions = CaptionsConfig(
        sources={"emoji": EmojiSource("emoji", WORLD)},
        rows=flags.batch_size,
        negatives=negatives,
        # One length for all variants: otherwise those with negatives would have longer slots.
        text_slots=one_slot(flags.batch_size, flags.length),
    )
    return config.Experiment(
        model=shape,
        streams={"captions": captions},
        objectives=objectives,
        optimizer=Optimizer(learning_rate=1e-3),
        total_steps=10_000,
    )


def print_table(contenders: Sequence[Contender], times: dict[str, list[float]], pairs: int) -> None:
    """Print medians and ratios to plain CLIP."""
    plain = contenders[0]
    print("variant              s/step  pairs/s  tokens/s    time   FLOPs    cost  input")
    for contender in contenders:
        variant, seconds = contender.variant, times[contender.variant.name]
        median = statistics.median(seconds)
        slower = statistics.median(
            own / other for own, other in zip(seconds, times[PLAIN], strict=True)
        )
        more = contender.work.flops / plain.work.flops
        tokens = contender.work.text_tokens
        prepared = contender.input_seconds / median
        print(
            f"{variant.name:19s} {median:7.3f} {pairs / median:8.0f} {tokens / median:9.0f}"
            f" {slower:6.2f}x {more:6.2f}x {slower / more:7.3f} {prepared:6.2f}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the flags, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="quickstart", help="a preset")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--length", type=int, default=24, help="tokens of every text")
    parser.add_argument("--knowledge-depth", type=int, default=2, help="blocks of that encoder")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=4, help="steps of a turn")
    parser.add_argument("--batches", type=int, default=12, help="batches to take steps on")
    flags = parser.parse_args(arguments)
    print(" ".join(sys.argv), environment.describe(("jax", "jaxlib")), sep="\n")
    contenders = [Contender(variant, flags) for variant in VARIANTS]
    times: dict[str, list[float]] = {variant.name: [] for variant in VARIANTS}
    for turn in range(flags.rounds):
        for contender in contenders[:: 1 if turn % 2 else -1]:
            times[contender.variant.name].append(contender.turn(flags.steps))
    print_table(contenders, times, flags.batch_size)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
