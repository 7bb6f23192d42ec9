"""Streams of a knowledge graph: any rows of any step, views of entities, bad images, refusals."""

import pickle
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from kgclip_jax.data.blocks import arrays_of, map_blocks
from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.edges import EdgesConfig
from kgclip_jax.data.streams.neighbourhoods_config import NeighbourhoodsConfig
from kgclip_jax.data.streams.stream import Stream, StreamConfig, StreamOpening
from kgclip_jax.data.streams.triplets_config import TripletRows, TripletsConfig
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.knowledge.graph.neighbourhood import NeighbourhoodSampler
from tests.knowledge.graph.made_up_graphs import make_graph

TOKENIZER = ClipTokenizer(20)
READING = Preprocessing(16, TOKENIZER)
COLOURS = {"red": (250, 0, 0), "green": (0, 250, 0)}
ENTITIES = sorted([*COLOURS, "apple", "leaf", "sky"])
TRIPLES = [
    ("apple", "has colour", "red"),
    ("leaf", "has colour", "green"),
    ("red", "differs from", "green"),
    ("green", "differs from", "red"),
    ("leaf", "grows beside", "apple"),
    ("sky", "lies above", "leaf"),
]


@pytest.fixture
def folder(tmp_path):
    """A graph of things; colours have a picture of two colours, of which a box shows theirs."""
    for name, colour in COLOURS.items():
        pixels = np.zeros((20, 40, 3), np.uint8)
        pixels[:, 20:] = colour
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    make_graph(
        tmp_path / "graph",
        {"train": TRIPLES, "test": [("sky", "has colour", "red")]},
        glosses=[["a fruit that grows on trees"] if name == "apple" else [] for name in ENTITIES],
        images=[[f"{name}.png"] if name in COLOURS else [] for name in ENTITIES],
        boxes=[(20, 0, 20, 20) if name in COLOURS else None for name in ENTITIES],
    )
    return tmp_path


ROWS = TripletRows(image_image=4, text_image=8, text_text=12)
CONFIGS = {
    "triplets": TripletsConfig(graph="graph", rows=ROWS, entity_length=8),
    "neighbourhoods": NeighbourhoodsConfig(graph="graph", rows=4, roots=2, entity_length=8),
    "edges": EdgesConfig(graph="graph", rows=8, negatives=3),
}


def open_stream(folder, kind, seed=0, preprocessing=READING, hosts=1, **changes):
    settings = type(CONFIGS[kind])(**{**vars(CONFIGS[kind]), **changes})
    opening = StreamOpening(Data(path=str(folder)), preprocessing, seed, hosts=hosts)
    return settings.open("graph", opening)


def texts_of(texts):
    """The words of a block of texts, as far as they were not cut."""
    words = {tuple(row[:8]): name for row, name in zip(TOKENIZER(ENTITIES), ENTITIES, strict=True)}
    return [words.get(tuple(row)) for row in texts.tokens[0]]


def flat(blocks):
    return list(arrays_of(blocks))


@pytest.mark.parametrize("kind", CONFIGS)
def test_it_is_a_stream_of_the_shapes_that_it_promises(folder, kind):
    assert isinstance(CONFIGS[kind], StreamConfig)
    stream = open_stream(folder, kind)
    assert isinstance(stream, Stream)
    assert stream.rows % stream.unit == 0
    found = stream.load(3, range(stream.rows // stream.unit))
    made = map_blocks(lambda array: (array.shape, array.dtype), found.blocks)
    assert made == map_blocks(lambda array: (array.shape, array.dtype), stream.abstract())
    assert stream.notes


@pytest.mark.parametrize("kind", CONFIGS)
def test_rows_are_a_function_of_seed_step_and_place(folder, kind):
    stream = open_stream(folder, kind, hosts=2)
    units = stream.rows // stream.unit
    assert units >= 2
    whole = flat(stream.load(5, range(units)).blocks)
    copy = pickle.loads(pickle.dumps(stream))
    for unit in range(units):
        for alone, array in zip(flat(copy.load(5, [unit]).blocks), whole, strict=True):
            share = len(array) // units
            np.testing.assert_array_equal(alone, array[unit * share : (unit + 1) * share])
    others = (
        stream.load(6, range(units)),
        open_stream(folder, kind, 1, hosts=2).load(5, range(units)),
    )
    for other in others:
        pairs = zip(flat(other.blocks), whole, strict=True)
        assert any(not np.array_equal(one, two) for one, two in pairs)


@pytest.mark.parametrize("kind", CONFIGS)
def test_another_graph_has_another_fingerprint(folder, kind):
    before = open_stream(folder, kind).fingerprint()
    contents = folder / "graph" / "graph.json"
    contents.write_text(contents.read_text().replace(before, "0" * 64))
    assert before != open_stream(folder, kind).fingerprint() == "0" * 64


def test_ends_are_seen_as_the_block_says(folder):
    blocks = open_stream(folder, "triplets", gloss_share=0.0).load(0, [0]).blocks
    relations = sorted({relation for _, relation, _ in TRIPLES})
    for pair, block in blocks.items():
        for end, view, column in zip(("head", "tail"), pair.split("_"), (0, 2), strict=True):
            names = [ENTITIES[entity] for entity in block.ids[:, column]]
            if view == "text":
                assert texts_of(getattr(block, end)) == names
            else:
                # The box alone is seen: no black is left.
                pixels = getattr(block, end).pixels
                for picture, name in zip(pixels, names, strict=True):
                    assert np.abs(picture.astype(int) - COLOURS[name]).max() < 12
        told = TOKENIZER([relations[relation] for relation in block.ids[:, 1]])
        assert np.array_equal(block.relation.tokens[0], told[:, :8])
    for h, r, t in blocks["text_text"].ids.tolist():
        assert (ENTITIES[h], relations[r], ENTITIES[t]) in TRIPLES


def test_all_triples_of_an_epoch_come_once(folder):
    stream = open_stream(folder, "triplets", rows=TripletRows(text_text=6))
    found = stream.load(0, range(stream.units)).blocks["text_text"].ids
    assert len({tuple(ids) for ids in found.tolist()}) == len(TRIPLES)


def test_glosses_are_told_as_often_as_asked_and_long_texts_are_cut_and_counted(folder):
    rows = TripletRows(text_text=6)
    for share, low, high in ((0.0, 0, 0), (0.5, 0.3, 0.7), (1.0, 1, 1)):
        stream = open_stream(folder, "triplets", rows=rows, gloss_share=share, entity_length=4)
        counts, told, apples = Counter(), 0, 0
        for step in range(60):
            block, made = stream.load(step, range(stream.units))
            counts += made
            for end, column in (("head", 0), ("tail", 2)):
                is_apple = block["text_text"].ids[:, column] == ENTITIES.index("apple")
                tokens = getattr(block["text_text"], end).tokens[0][is_apple]
                apples += len(tokens)
                told += np.count_nonzero(tokens[:, 1] != TOKENIZER(["apple"])[0, 1])
        assert low <= told / apples <= high
        # Names and relations are of one word, or two.
        assert counts["text", "cut to its slot"] == told


def test_which_end_is_asked_for_is_even_and_seeds_differ(folder):
    stream = open_stream(folder, "triplets", rows=TripletRows(text_text=600))
    block = stream.load(0, range(stream.units)).blocks["text_text"]
    assert block.asks_head.mean() == pytest.approx(0.5, abs=0.1)
    assert len(np.unique(block.seeds, axis=0)) == 600


def test_a_bad_image_is_replaced_and_counted(folder):
    (folder / "red.png").write_bytes(b"no picture")
    stream = open_stream(folder, "triplets", rows=TripletRows(text_image=24))
    blocks, counts = stream.load(0, range(stream.units))
    tails = blocks["text_image"].ids[:, 2]
    assert {ENTITIES[entity] for entity in tails} == {"green"}
    reasons = {key[1] for key in counts if key[0] == "bad record"}
    assert reasons == {"graph: unreadable image"}
    (folder / "green.png").unlink()
    with pytest.raises(DataError, match=r"100 images of .*graph in a row were bad, last: .*"):
        stream.load(0, [0])


def test_what_the_graph_has_none_of_is_refused(folder):
    rows = TripletRows(image_text=4, text_text=4)
    message = r"rows\.image_text must be 0: .*graph has no triple between image and text"
    make_graph(folder / "graph", {"train": TRIPLES[4:]})
    with pytest.raises(ConfigError, match=message):
        open_stream(folder, "triplets", rows=rows)
    with pytest.raises(ValueError, match="at least one pair of modalities"):
        TripletRows()
    with pytest.raises(DataError, match="not found; let"):
        open_stream(folder, "edges", graph="nowhere")
    with pytest.raises(ValueError, match="rows must be more than roots"):
        NeighbourhoodsConfig(graph="graph", rows=4, roots=4)


def test_a_model_whose_texts_may_not_be_cut_takes_its_context_length(folder):
    whole = Preprocessing(16, TOKENIZER, causal=False)
    block = open_stream(folder, "triplets", preprocessing=whole).load(0, [0]).blocks["text_text"]
    assert block.head.tokens[0].shape[1] == block.relation.tokens[0].shape[1] == 20


def test_neighbourhoods_tell_the_edges_of_the_graph(folder):
    stream = open_stream(folder, "neighbourhoods", rows=5, gloss_share=0.0)
    relations = sorted({relation for _, relation, _ in TRIPLES})
    for step in range(5):
        block, counts = stream.load(step, range(stream.units))
        names = texts_of(block.entity)
        assert block.is_root.sum() == 2
        assert counts["neighbourhood", "entities"] <= 5
        for row, place in zip(*np.nonzero(block.edge_mask), strict=True):
            head = names[block.neighbours[row, place]]
            assert (head, relations[block.relations[row, place]], names[row]) in TRIPLES


def test_a_neighbourhood_is_sampled_once_for_all_units_of_a_step(folder, monkeypatch):
    stream = open_stream(folder, "neighbourhoods", hosts=4)
    sampled, sample = [], NeighbourhoodSampler.__call__

    def counting(sampler, roots, *parts):
        sampled.append(parts[-1])
        return sample(sampler, roots, *parts)

    monkeypatch.setattr(NeighbourhoodSampler, "__call__", counting)
    for step in (0, 1, 5, 0):
        for unit in range(4):
            stream.load(step, [unit])
    assert sampled == [0, 1, 5, 0]
    pickle.loads(pickle.dumps(stream)).load(0, [0])  # which brings nothing along
    assert sampled[4:] == [0]


def test_entities_without_words_have_no_neighbourhoods(folder):
    make_graph(folder / "graph", {"train": [("", "r", "b"), ("a", "r", "b")]})
    with pytest.raises(ConfigError, match="entities with neither a name nor a gloss"):
        open_stream(folder, "neighbourhoods")


def test_negatives_of_edges_are_false(folder):
    stream = open_stream(folder, "edges", rows=60, negatives=5)
    block, counts = stream.load(0, range(stream.units))
    assert block.negative_mask.mean() > 0.9
    assert counts["negatives", "found"] == block.negative_mask.sum()
    heads = np.where(block.of_head, block.negatives, block.ids[:, :1])
    tails = np.where(block.of_head, block.ids[:, 2:], block.negatives)
    relations = np.broadcast_to(block.ids[:, 1:2], heads.shape)
    true = stream.graph.contains(heads.ravel(), relations.ravel(), tails.ravel())
    assert not true[block.negative_mask.ravel()].any()


class TestOddGraphs:
    """What a graph may hold, and streams must live with."""

    def all_of(self, folder, kind, **changes):
        stream = open_stream(folder, kind, gloss_share=0.0, **changes)
        return stream.load(0, range(stream.units)).blocks

    def test_one_triple_is_enough(self, folder):
        make_graph(folder / "graph", {"train": [("apple", "r", "leaf")]})
        block = self.all_of(folder, "triplets", rows=TripletRows(text_text=4))["text_text"]
        assert block.ids.tolist() == [[0, 0, 1]] * 4
        block = self.all_of(folder, "neighbourhoods")
        assert block.edge_mask.sum() == block.is_root.sum() == 1
        stream = open_stream(folder, "edges")
        negatives = stream.load(0, range(stream.units)).blocks
        ends = np.where(negatives.of_head, negatives.ids[:, 2:], negatives.ids[:, :1])
        assert (negatives.negatives == ends).all()  # all that is left is a loop

    def test_loops_and_cycles_are_edges_as_others(self, folder):
        triples = [("apple", "r", "apple"), ("apple", "r", "leaf"), ("leaf", "r", "apple")]
        make_graph(folder / "graph", {"train": triples})
        block = self.all_of(folder, "neighbourhoods")
        found = {
            (int(block.neighbours[row, place]), int(row))
            for row, place in zip(*np.nonzero(block.edge_mask), strict=True)
        }
        names = texts_of(block.entity)
        told = {(names[head], names[tail]) for head, tail in found}
        assert told == {(head, tail) for head, _, tail in triples}
        assert sorted(set(names)) == ["apple", "leaf"]

    def test_a_loop_says_nothing_between_two_texts(self, folder):
        triples = [("apple", "r", "apple"), ("apple", "r", "leaf")]
        make_graph(folder / "graph", {"train": triples})
        block = self.all_of(folder, "triplets", rows=TripletRows(text_text=4))["text_text"]
        assert block.ids.tolist() == [[0, 0, 1]] * 4

    def test_entities_without_a_view_are_numbers_alone(self, folder):
        triples = [("", "r", "leaf"), ("apple", "r", "leaf")]
        make_graph(folder / "graph", {"train": triples})
        block = self.all_of(folder, "triplets", rows=TripletRows(text_text=4))["text_text"]
        assert block.ids.tolist() == [[1, 0, 2]] * 4
        stream = open_stream(folder, "edges", rows=2)
        assert sorted(stream.load(0, [0]).blocks.ids[:, 0].tolist()) == [0, 1]


def test_edges_may_come_without_negatives(folder):
    stream = open_stream(folder, "edges", negatives=0)
    block, counts = stream.load(0, range(stream.units))
    assert block.negatives.shape == (8, 0)
    assert not counts
