"""Rows of items with labels: any rows of any step, pictures of their items, bad pictures."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from kgclip_jax.data.blocks import arrays_of, map_blocks
from kgclip_jax.data.labelled import LABELLED, LabelledData
from kgclip_jax.data.preprocessing import Preprocessing
from kgclip_jax.data.stored_pictures import Data
from kgclip_jax.data.streams.labelled_stream import LabelledConfig
from kgclip_jax.data.streams.stream import Stream, StreamConfig, StreamOpening
from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.errors import DataError
from tests.data.readers.labelled_files import COLOURS, small_snli_ve, small_vqa, write_glue

TOKENIZER = ClipTokenizer(20)
READING = Preprocessing(16, TOKENIZER)
KINDS = {
    "vqa": small_vqa,
    "snli_ve": small_snli_ve,
    "glue": lambda root: write_glue(root, "MRPC"),
}


def open_stream(folder, data, seed=0, hosts=1, preprocessing=READING, **changes):
    opening = StreamOpening(Data(path=str(folder)), preprocessing, seed, hosts=hosts)
    return LabelledConfig(data=data, rows=8, **changes).open("labelled", opening)


@pytest.fixture(params=KINDS)
def made(request, tmp_path):
    """(folder, data) of each kind."""
    return tmp_path, KINDS[request.param](tmp_path)


def test_every_kind_is_among_them():
    assert KINDS.keys() == LABELLED.places.keys()


def test_it_is_a_stream_of_the_shapes_that_it_promises(made):
    folder, data = made
    assert isinstance(data, LabelledData)
    assert LABELLED.find(data.kind, "data") is type(data)
    stream = open_stream(folder, data)
    assert isinstance(LabelledConfig(data=data, rows=8), StreamConfig)
    assert isinstance(stream, Stream)
    found = stream.load(3, range(stream.rows // stream.unit))
    made = map_blocks(lambda array: (array.shape, array.dtype), found.blocks)
    assert made == map_blocks(lambda array: (array.shape, array.dtype), stream.abstract())
    assert len(stream.constants()["classes"]) == len(stream.items.classes)


def test_rows_are_a_function_of_seed_step_and_place(made):
    stream = open_stream(*made, hosts=2)
    units = stream.rows // stream.unit
    assert units == 2
    whole = [*arrays_of(stream.load(5, range(units)).blocks)]
    copy = pickle.loads(pickle.dumps(stream))
    for unit in range(units):
        for alone, array in zip(arrays_of(copy.load(5, [unit]).blocks), whole, strict=True):
            np.testing.assert_array_equal(alone, array[4 * unit : 4 * unit + 4])
    for other in (stream.load(6, [0, 1]), open_stream(*made, seed=1).load(5, [0])):
        pairs = zip(arrays_of(other.blocks), whole, strict=True)
        assert any(not np.array_equal(one, two) for one, two in pairs)


def test_rows_are_those_of_the_files(tmp_path):
    """Every question once, with its picture, its words and its answer."""
    stream = open_stream(tmp_path, small_vqa(tmp_path))
    (note,) = stream.notes
    assert note == "8 items about 4 pictures, 4 classes; 2 items have none of them right"
    block, counts = stream.load(0, [0])
    assert counts == {("text", "fitting"): 8}
    seen = set()
    questions = TOKENIZER(["What colour is it?", "Is it red?"])
    for pixels, tokens, label in zip(
        block.image.pixels, block.texts[0].tokens[0], block.labels[:, 0], strict=True
    ):
        (colour,) = (n for n, c in COLOURS.items() if np.abs(pixels.astype(int) - c).max() < 12)
        asks_colour = np.array_equal(tokens, questions[0])
        assert asks_colour or np.array_equal(tokens, questions[1])
        answer = colour if asks_colour else "yes" if colour == "red" else "no"
        classes = stream.items.classes
        assert label == (classes.index(answer) if answer in classes else -1)
        seen.add((colour, asks_colour))
    assert len(seen) == 8


def test_two_texts_are_two_blocks_and_long_ones_are_cut_and_counted(tmp_path):
    data = write_glue(tmp_path, "MRPC")
    block, counts = open_stream(tmp_path, data, length=4).load(0, [0])
    assert block.image is None
    assert [texts.tokens[0].shape for texts in block.texts] == [(8, 4)] * 2
    assert counts["text", "cut to its slot"] == 12  # all but "Somebody else"
    whole = open_stream(tmp_path, data, length=4, preprocessing=replace(READING, causal=False))
    assert whole.load(0, [0]).blocks.texts[0].tokens[0].shape == (8, 20)


def test_a_bad_picture_is_replaced_and_counted(tmp_path):
    stream = open_stream(tmp_path, small_snli_ve(tmp_path))
    pictures = tmp_path / "flickr30k_images"
    (pictures / "100.jpg").write_bytes(b"no picture")
    (pictures / "101.jpg").unlink()
    block, counts = stream.load(0, [0])
    reasons = {key[1] for key in counts if key[0] == "bad record"}
    assert reasons == {"labelled: unreadable image", "labelled: missing image"}
    colours = block.image.pixels.reshape(8, -1, 3).mean(axis=1)
    assert (colours[:, 0] < 110).all()  # none is red
    assert (colours[:, 1] < 110).all()
    for number in (102, 103):
        (pictures / f"{number}.jpg").unlink()
    with pytest.raises(DataError, match=r"100 pictures of .*flickr30k_images in a row were bad"):
        stream.load(0, [0])


def test_other_items_have_another_fingerprint_and_another_place_none(tmp_path):
    prints = []
    for name, text in (("a", None), ("b", None), ("c", "sentence1\tsentence2\tlabel\nx\ty\t1\n")):
        (tmp_path / name).mkdir()
        data = write_glue(tmp_path / name, "WNLI", text)
        prints.append(open_stream(tmp_path / name, data).fingerprint())
    assert prints[0] == prints[1] != prints[2]


def test_settings_that_make_no_sense_are_refused(tmp_path):
    data = write_glue(tmp_path, "WNLI")
    with pytest.raises(ValueError, match="crop_scale must ascend"):
        LabelledConfig(data=data, rows=8, crop_scale=(0.9, 0.8))
    with pytest.raises(ValueError, match=r"model\.knowledge reads scene graphs"):
        LabelledConfig(data=data, rows=8).check(reads_graphs=True)
