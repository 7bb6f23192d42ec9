"""Batches are a function of (seed, step): not of hosts, workers or restarts."""

import itertools
from collections import Counter
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest

from kgclip_jax.data import pipeline
from kgclip_jax.data.blocks import arrays_of, concat_blocks
from kgclip_jax.data.emoji.source import EmojiScenes
from kgclip_jax.data.emoji.world import EmojiWorld
from kgclip_jax.data.pipeline import check_shared_memory, element_bytes, host_batches, summarise
from kgclip_jax.errors import DataError
from tests.data.streams.made_up_sources import TWO_LENGTHS, Numbers, stream


def take(count, streams, units=None, **settings):
    with closing(host_batches(streams, units, **settings)) as batches:
        return list(itertools.islice(batches, count))


def assert_same(left, right):
    for mine, theirs in zip(left, right, strict=True):
        assert mine.counts == theirs.counts
        for a, b in zip(
            arrays_of(concat_blocks(mine.parts)),
            arrays_of(concat_blocks(theirs.parts)),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


STREAMS = {
    "captions": stream(Numbers(bad=(3,)), rows=32, slots=TWO_LENGTHS),
    "others": stream(Numbers(9), rows=16, name="others"),
}


def test_a_step_comes_in_as_many_parts_as_share_all_streams():
    (batch,) = take(1, STREAMS)
    assert [set(part) for part in batch.parts] == [{"captions", "others"}] * 2
    assert [len(part["captions"].image.pixels) for part in batch.parts] == [16, 16]
    assert [len(part["others"].image.pixels) for part in batch.parts] == [8, 8]


def test_resuming_continues_the_streams():
    assert_same(take(7, STREAMS)[4:], take(3, STREAMS, start=4))


def test_hosts_load_the_rows_of_one_host_between_them():
    whole = take(2, STREAMS)
    halves = [
        take(2, STREAMS, {"captions": captions, "others": others})
        for captions, others in (([0, 1], [0]), ([2, 3], [1]))
    ]
    both = [
        pipeline.HostBatch([*first.parts, *second.parts], first.counts + second.counts)
        for first, second in zip(*halves, strict=True)
    ]
    assert_same(whole, both)


def test_records_that_another_host_counts_are_loaded_and_not_counted():
    units = {"captions": [0, 1, 3], "others": [0]}
    (mine,) = take(1, STREAMS, units)
    (partly,) = take(1, STREAMS, units, counted={"captions": [1], "others": []})
    (alone,) = take(1, {"captions": STREAMS["captions"]}, {"captions": [1]})
    assert partly.counts == alone.counts != mine.counts
    assert_same([partly], [mine._replace(counts=alone.counts)])


def test_worker_processes_change_nothing():
    source = EmojiScenes(EmojiWorld(concepts=12, unseen_concepts=2, scenes=30), size=16)
    streams = {"captions": stream(source, slots=TWO_LENGTHS)}
    alone = take(5, streams)
    assert_same(alone, take(5, streams, workers=2))
    assert_same(alone[2:], take(3, streams, workers=1, start=2))


def test_too_little_shared_memory_is_refused_with_numbers(monkeypatch):
    units = {"captions": range(4), "others": range(2)}
    element = element_bytes(STREAMS, units)
    part = take(1, STREAMS)[0].parts[0]
    assert element == sum(array.nbytes for array in arrays_of(part))
    monkeypatch.setattr(pipeline, "SHARED_MEMORY", "/")
    usage = SimpleNamespace(free=16 * 2**20)
    monkeypatch.setattr(pipeline.shutil, "disk_usage", lambda _: usage)
    check_shared_memory(2**20, parts=2, workers=2)
    with pytest.raises(DataError, match=r"hold 22 MiB .* has 16 MiB free: .*workers to 2,"):
        check_shared_memory(2**20, parts=2, workers=3)
    with pytest.raises(DataError, match=r"hold 26 MiB .* has 16 MiB free: .*workers to 0,"):
        check_shared_memory(2**20, parts=10, workers=1)


def test_bad_records_are_summarised_by_reason():
    assert summarise(Counter(a=3, b=1), {"a": "a.jpg"}) == "3 x a (a.jpg); 1 x b"
    assert summarise(Counter(a=3, b=2, c=1), {}, most=1) == "3 x a; and 2 other reasons"
