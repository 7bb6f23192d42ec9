"""Records of scene graphs as bytes: what comes back, and what is refused by the file's name."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.facts import together
from kgclip_jax.knowledge.graph_record import GraphRecord, pack
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject, Span
from tests.knowledge.made_up_graphs import graphs

PATH = Path("a.bin")
TEXTS = ["A red dog runs to a cat", "Dogs"]
DOG = SceneObject("dog", (Attribute("red", Span(2, 5)),), Span(6, 9))
CHASE = SceneGraph((DOG, SceneObject("cat")), (Relation(0, "run to", 1, Span(10, 17)),))
PACK = SceneGraph((SceneObject("dog", (), Span(0, 4)), SceneObject("dog", (), Span(0, 4))))


def read(content, captions=TEXTS):
    record = GraphRecord(memoryview(content).cast("I"), PATH, 7)
    record.describe(captions)
    return record


def everything(content):
    record = read(content)
    return record.known(), [record.graph(number) for number in range(len(TEXTS))]


@given(st.lists(graphs() | st.just(SceneGraph(())), min_size=1, max_size=4), st.text())
def test_a_record_gives_the_same_graphs_back(several, key):
    captions = [f"{number} {'x' * 100}" for number in range(len(several))]
    record = read(pack(key, captions, several), captions)
    assert record.key == key.replace("\0", " ")
    assert [record.graph(number) for number in range(len(several))] == several
    assert record.known() == together(several)


def test_half_surrogates_pass_and_zero_bytes_become_spaces():
    graph = SceneGraph((SceneObject("a\ud800"), SceneObject("b\0c", (Attribute("\0"),))))
    record = read(pack("\0", TEXTS, [graph, PACK]))
    plain = SceneGraph((SceneObject("a\ud800"), SceneObject("b c", (Attribute(" "),))))
    assert (record.key, record.graph(0)) == (" ", plain)
    assert record.known() == together([plain, PACK])


def test_as_many_graphs_as_captions():
    with pytest.raises(ValueError, match="1 graphs of 2 captions"):
        pack("k", TEXTS, [CHASE])


def test_graphs_of_other_texts_and_other_numbers_are_refused():
    content = pack("k", TEXTS, [CHASE, PACK])
    with pytest.raises(DataError, match=r"a\.bin, record at 7 \('k'\): its graphs are not of the"):
        read(content, TEXTS[::-1])
    for number in (-1, 2):
        with pytest.raises(DataError, match=rf"caption {number} is none of 2; make the graphs ag"):
            read(content).graph(number)


@pytest.mark.parametrize("graph", [CHASE, PACK])
def test_a_span_beyond_the_text_is_refused(graph):
    record = read(pack("k", ["A red"], [graph._replace(objects=(DOG, DOG))]), ["A red"])
    with pytest.raises(DataError, match=r"record at 7 .*: a span ends beyond the text 'A red'"):
        record.graph(0)


@pytest.mark.parametrize("place", range(0, 300, 11))
def test_any_flipped_byte_is_seen(place):
    content = bytearray(pack("k", TEXTS, [CHASE, PACK]))
    content[place % len(content)] ^= 0x10
    with pytest.raises(DataError, match=r"a\.bin, record at 7: "):
        read(content)


@pytest.mark.parametrize("stop", [0, 4, 28, -4])
def test_half_a_record_is_seen(stop):
    with pytest.raises(DataError, match=r"a\.bin, record at 7: no record begins and ends here"):
        read(pack("k", TEXTS, [CHASE, PACK])[:stop])


FIRST = 8 + 3 + 1  # where the numbers of the first graph begin: after two graphs' places, one alone
NAMES = FIRST + 3


@pytest.mark.parametrize(
    ("place", "number", "message"),
    [
        (2, 2**32 - 1, "it has no numbers"),
        (2, 10**4, "it has no numbers"),
        (8, 2**32 - 1, "caption 0: not enough values"),
        (8, 0, "caption 0: its numbers do not add up"),
        (FIRST, 2**31, "caption 0: its numbers do not add up"),
        (FIRST + 1, 2, "caption 0: its numbers do not add up"),
        (NAMES, 2**32 - 1, r"caption 0: a name is none of \d+"),
        (NAMES + 4, 0, "caption 0: its numbers do not add up"),
        (NAMES + 6, 2, "caption 0: a relation leads to none of the 2 objects"),
        (NAMES + 7, 2**32 - 1, "caption 0: a relation leads to none of the 2 objects"),
        (FIRST - 1, 2, "caption 2 is none of 2"),
    ],
)
def test_numbers_that_make_no_sense_are_refused_though_the_checksum_fits(place, number, message):
    numbers = np.frombuffer(pack("k", TEXTS, [CHASE, PACK]), "<u4").copy()
    numbers[place] = number
    numbers[1] = zlib.crc32(numbers[2:].tobytes())
    with pytest.raises(DataError, match=rf"a\.bin, record at 7.*: {message}.*; make the graphs"):
        everything(numbers.tobytes())


def test_names_that_are_no_text_are_refused():
    content = pack("k", TEXTS, [CHASE, PACK]).replace(b"run to", b"run\xff\xff\xff")
    content = content[:4] + zlib.crc32(content[8:]).to_bytes(4, "little") + content[8:]
    with pytest.raises(DataError, match=r"a\.bin, record at 7: its names are not UTF-8"):
        read(content)


def test_a_span_that_ends_before_it_begins_is_none():
    numbers = np.frombuffer(pack("k", TEXTS, [CHASE, PACK]), "<u4").copy()
    stops = slice(NAMES + 12, NAMES + 16)
    assert numbers[stops].tolist() == [9, 0, 5, 17]
    numbers[stops] = 1
    numbers[1] = zlib.crc32(numbers[2:].tobytes())
    graph = read(numbers.tobytes()).graph(0)
    assert [part.span for part in (*graph.objects, *graph.relations)] == [None, Span(0, 1), None]
