"""The Grain pipeline: from sources to batches of uint8 pictures and token ids.

    order of records -> captions -> negatives -> tokens, cut to a bucket -> this host's rows
                                                                         -> pictures

A batch is a function of (seed, step), whatever the number of hosts, workers or restarts. Captions
are cheap, so every host tokenises the whole global batch and thereby knows its common length;
pictures are not, so each host decodes or renders only its own rows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import grain
import numpy as np
from absl import flags

from kgclip_jax.data.texts import Draw, Outcomes, TextMaker, TextRows
from kgclip_jax.data.tokenization.clip_tokenizer import bucket
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.processes import follow_parent
from kgclip_jax.random import generator
from kgclip_jax.types import Batch, Source

REPLACEMENT_TRIES = 100

Batches: TypeAlias = grain.DatasetIterator  # of HostBatch; must be closed


class HostBatch(NamedTuple):
    """This host's rows of a step, and what became of its records.

    Attributes:
        batch: the rows.
        bad_records: why records were replaced.
        negatives: how often each kind of negative was made, or why not, over all rows of the step.
    """

    batch: Batch
    bad_records: Sequence[str]
    negatives: Mapping[tuple[str, str], int]


class _Stream(grain.sources.RandomAccessDataSource):
    """The record numbers of one source, as something that Grain can shuffle."""

    def __init__(self, source: int, length: int) -> None:
        self._source = source
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, record: int) -> tuple[int, int]:
        return self._source, int(record)


@dataclass(frozen=True)
class _Assemble:
    """Turns a global batch of draws into this host's batch."""

    texts: TextMaker
    buckets: Sequence[int]
    host: int
    hosts: int

    def __call__(self, draws: Sequence[Draw]) -> HostBatch:
        outcomes: Outcomes = Counter()
        whole = self.texts(draws, outcomes)
        length = bucket(whole.length, self.buckets)
        mine = slice(self.host, None, self.hosts)
        texts = whole.take(mine, length)
        images: list[np.ndarray] = []
        bad_records: list[str] = []
        for row, draw in enumerate(draws[mine]):
            image, replacement, reasons = self._image(draw, length)
            images.append(image)
            bad_records.extend(reasons)
            if replacement is not None:
                texts.put(row, replacement)
        batch = Batch(np.stack(images), texts.captions, texts.negative_texts(), texts.triples)
        return HostBatch(batch, tuple(bad_records), dict(outcomes))

    def _image(self, draw: Draw, length: int) -> tuple[np.ndarray, TextRows | None, Sequence[str]]:
        """Return the picture, the texts that replace the record's (or None), and what was bad.

        A bad record gives way to another one of its source whose texts fit the batch's length.
        """
        source = self.texts.sources[draw.source]
        reasons: list[str] = []
        choice = generator(self.texts.seed, "replacement", draw.position)
        texts = None
        for _ in range(REPLACEMENT_TRIES):
            try:
                rng = generator(self.texts.seed, "augment", draw.position)
                return source.image(draw.record, rng), texts, reasons
            except BadRecord as error:
                reasons.append(f"{source.name}: {error}")
            draw, texts = self._replacement(draw, choice, length)
        raise DataError(
            f"{REPLACEMENT_TRIES} records of {source.name} in a row were bad, last: {reasons[-1]}"
        )

    def _replacement(
        self, draw: Draw, choice: np.random.Generator, length: int
    ) -> tuple[Draw, TextRows]:
        records = len(self.texts.sources[draw.source])
        while True:
            draw = draw._replace(record=int(choice.integers(records)))
            texts = self.texts([draw], Counter())
            if texts.length <= length:
                return draw, texts


def training_batches(
    texts: TextMaker,
    weights: Sequence[float],
    *,
    batch_size: int,
    buckets: Sequence[int] = (),
    start: int = 0,
    workers: int = 0,
    host: int = 0,
    hosts: int = 1,
) -> Batches:
    """Return the endless batches of a run, from step `start` on; close them in the end.

    Args:
        texts: makes the texts of its sources' records; each source is shuffled anew every epoch.
        weights: the sources' shares of the pairs, in any unit.
        batch_size: pairs in a step over all hosts; divisible by `hosts`.
        buckets: text lengths to cut batches to; the tokenizer's context length is added.
        start: first step; resuming at step n gives the batches that would have come.
        workers: processes that assemble batches; 0 uses threads of this process.
        host: number of this host.
        hosts: number of all hosts.

    Raises:
        DataError: when `hosts` does not divide `batch_size`.
    """
    if batch_size % hosts:
        raise DataError(f"batch_size {batch_size} is not divisible by {hosts} hosts")
    buckets = sorted({*buckets, texts.tokenizer.context_length})
    assemble = _Assemble(texts, buckets, host, hosts)
    dataset = _draws(texts.sources, weights, texts.seed).batch(batch_size, batch_fn=tuple)
    batches = dataset[start:].map(assemble)
    if workers:
        # Grain reads its own command-line flags, which only absl's entry point has parsed.
        flags.FLAGS.mark_as_parsed()
        options = grain.multiprocessing.MultiprocessingOptions(
            num_workers=workers, per_worker_buffer_size=4
        )
        prefetched = batches.to_iter_dataset(_ONE_AHEAD).mp_prefetch(options, _begin_worker)
        return iter(prefetched)
    return iter(batches.to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)))


def _begin_worker(worker: int, workers: int) -> None:
    del worker, workers
    follow_parent()


_ONE_AHEAD = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)


def _draws(sources: Sequence[Source], weights: Sequence[float], seed: int) -> grain.MapDataset:
    streams = [
        grain.MapDataset.source(_Stream(number, len(source)))
        .shuffle(seed=seed % 2**32 + number)
        .repeat()
        for number, source in enumerate(sources)
    ]
    mixed = streams[0] if len(streams) == 1 else grain.MapDataset.mix(streams, list(weights))
    return mixed.map_with_index(lambda position, item: Draw(int(position), *item))


def summarise(reasons: Counter[str], most: int = 5) -> str:
    """Count bad records by reason, the commonest first, on one line."""
    parts = [f"{count} x {reason}" for reason, count in reasons.most_common(most)]
    left_out = len(reasons) - len(parts)
    return "; ".join(parts) + (f"; and {left_out} other reasons" if left_out else "")
