import logging

import numpy as np
import pytest

from kgclip_jax.data.images import Box, evaluation_transform
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.photographs import Photographs, retrieval_set
from kgclip_jax.data.readers.folders import open_folder
from kgclip_jax.data.records import Record
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.graph_record import pack
from kgclip_jax.knowledge.graph_store import (
    Contents,
    GraphStore,
    complete,
    pack_picture,
    part_file,
)
from kgclip_jax.knowledge.negatives import NegativeSettings, make_negatives
from kgclip_jax.knowledge.negatives.truth import Truth
from kgclip_jax.knowledge.scene_graph import Attribute, Relation, SceneGraph, SceneObject
from kgclip_jax.knowledge.vocabulary import Vocabulary
from kgclip_jax.random import generator
from tests.array_pictures import all_images
from tests.data.readers.layouts import encode
from tests.data.records_in_memory import DOG, GRAPHS, KEYS, SIZE, TWO, InMemory, plain
from tests.knowledge.worded import worded


def quarters(box):
    """A picture of four colours, 60 x 80, and a box in it."""
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[:30, :40], pixels[:30, 40:], pixels[30:, :40], pixels[30:, 40:] = 50, 100, 150, 200
    return Record("quarters", ("one",), box), encode(pixels, "jpg")


class TestPhotographs:
    def test_every_caption_is_chosen_equally_often(self):
        photographs = Photographs(InMemory(plain(1), plain(2, "xyz")), size=SIZE)
        drawn = [photographs.caption(1, generator(0, "caption", i)).text for i in range(600)]
        counts = [drawn.count(text) for text in "xyz"]
        assert sum(counts) == 600
        assert min(counts) > 150

    def test_random_crops_have_the_wanted_size(self):
        pixels = np.arange(100 * 200, dtype=np.uint32).reshape(100, 200) * 255 // (100 * 200)
        picture = encode(np.repeat(pixels.astype(np.uint8)[..., None], 3, 2))
        photographs = Photographs(
            InMemory((Record("k", ("a",)), picture)), size=SIZE, scale=(0.01, 0.05)
        )
        crops = [photographs.image(0, generator(0, "image", i)) for i in range(20)]
        assert max(np.ptp(crop.astype(int)) for crop in crops) < 255 // 2  # a part of the picture
        assert np.ptp([crop.mean() for crop in crops]) > 60  # from all over it

    @pytest.mark.parametrize("value", [50, 100, 150, 200])
    def test_crops_stay_within_the_box(self, value):
        top, left = (30 if value > 100 else 0), (40 if value in (100, 200) else 0)
        item = quarters(Box(top + 2, left + 2, 26, 36))
        photographs = Photographs(InMemory(item), size=SIZE, scale=(0.3, 1.0))
        for position in range(30):
            pixels = photographs.image(0, generator(0, "image", position)).astype(int)
            assert np.abs(pixels - value).max() <= 6

    @pytest.mark.parametrize(
        "box", [Box(-9, 0, 9, 9), Box(60, 0, 5, 5), Box(0, 80, 5, 5), Box(9, 9, 0, 9)]
    )
    def test_a_box_outside_of_its_picture_is_a_bad_record(self, box):
        with pytest.raises(
            BadRecord, match=r"quarters: Box\(.* outside of the picture of 80 x 60 pixels"
        ):
            Photographs(InMemory(quarters(box)), size=SIZE).image(0, generator(0, "image"))

    def test_the_fingerprint_follows_keys_captions_and_boxes(self):
        items = [
            plain(1),
            plain(1, key="other"),
            plain(1, ("a", "c")),
            plain(1, box=Box(0, 0, 9, 9)),
            plain(1, box=Box(0, 0, 9, 8)),
        ]
        prints = [Photographs(InMemory(item), size=SIZE).fingerprint() for item in items]
        assert len({*prints}) == len(prints)
        assert Photographs(InMemory(plain(2)), size=8).fingerprint() == prints[0]

    def test_a_record_that_cannot_be_read_is_a_bad_one(self):
        photographs = Photographs(InMemory(BadRecord("broken disk")), size=SIZE)
        assert photographs.caption(0, generator(0, "caption")) == Caption("")
        with pytest.raises(BadRecord, match="broken disk"):
            photographs.image(0, generator(0, "image"))

    def test_a_picture_that_cannot_be_decoded_is_named(self):
        torn = (Record("torn.jpg", ("a",)), quarters(None)[1][:-40])
        with pytest.raises(BadRecord, match=r"torn\.jpg: cannot decode"):
            Photographs(InMemory(torn), size=SIZE).image(0, generator(0, "image"))


@pytest.fixture
def store(tmp_path):
    """Graphs of a record of three captions (Flickr8k has five) and of a record of one."""
    stored = [pack(key, texts, [GRAPHS[text] for text in texts]) for key, texts in KEYS.items()]
    (tmp_path / part_file(0, 1)).write_bytes(b"".join(stored))
    complete(tmp_path, Contents({}, 1, len(stored), 4, 0, 0, 0, 0, {}))
    return GraphStore(tmp_path)


def described(store):
    items = [plain(1, captions, key) for key, captions in KEYS.items()]
    return Photographs(InMemory(*items, BadRecord("gone")), size=SIZE, graphs=store)


class TestGraphs:
    def test_a_caption_comes_with_its_own_graph(self, store):
        photographs = described(store)
        for number in range(30):
            text, graph = photographs.caption(0, generator(0, "caption", number))
            assert graph == GRAPHS[text]

    def test_what_any_caption_says_is_true(self, store):
        many = described(store).known(0)
        for text in KEYS["many.jpg"]:
            assert Truth(*many).holds(GRAPHS[text])

    @pytest.mark.parametrize(
        ("claim", "true"),
        [
            ("a {white|0} {dog|#0} {on|0>1} a {sofa|#1}", True),  # of two captions
            ("a {brown|0} {dog|#0} {with|0>1} a {ball|#1}", True),
            ("a {dog|#0} {behind|0>1} a {sofa|#1}", True),
            ("a {dog|#0} and a {dog|#1} {behind|1>2} the {sofa|#2}", True),  # of the third alone
            ("a {brown|0} {dog|#0} and a {dog|#1} {behind|1>2} the {sofa|#2}", False),
            ("a {black|0} {dog|#0}", False),
            ("a {sofa|#0} {on|0>1} a {dog|#1}", False),
            ("a {ball|#0} {on|0>1} a {sofa|#1}", False),
            ("a {cat|#0}", False),
        ],
    )
    def test_captions_are_taken_together(self, store, claim, true):
        assert Truth(*described(store).known(0)).holds(worded(claim).graph) == true

    def test_negatives_that_another_caption_says_are_refused(self, store):
        photographs = described(store)
        caption = Caption(DOG, GRAPHS[DOG])
        vocabulary = Vocabulary([worded("a {white|0} {dog|#0} and a {red|1} {cat|#1}")])
        settings = NegativeSettings({"replace_attribute": 1.0}, count=2)
        texts = set()
        for seed in range(20):
            rng, known = generator(seed, "test"), photographs.known(0)
            made = make_negatives(caption, rng, settings, vocabulary=vocabulary, known=known)
            texts |= {negative.text for negative in made if negative.valid}
        assert texts == {"A red dog on a sofa."}  # not the white one

    def test_one_caption_is_all_that_is_known(self, store):
        assert described(store).known(1) == [GRAPHS[TWO]]

    def test_nothing_is_known_without_a_store_or_a_record(self, store):
        assert described(None).known(0) == []
        assert described(store).known(2) == []

    def test_the_graph_of_the_picture_is_known_beside_those_of_the_captions(self, tmp_path):
        """People told its things apart: its black dog is none of the captions'."""
        dog = SceneObject("dog", (Attribute("black"),))
        scene = SceneGraph((dog, SceneObject("bed")), (Relation(0, "on", 1),))
        folder = tmp_path / "scenes"
        folder.mkdir()
        (folder / part_file(0, 1)).write_bytes(pack_picture("7", scene))
        complete(folder, Contents({}, 1, 1, 1, 2, 1, 1, 1, {}, "pictures"))
        scenes, records = GraphStore(folder), InMemory(plain(1, KEYS["many.jpg"], "7/1382"))
        alone = Photographs(records, size=SIZE, scene_graphs=scenes)
        assert alone.known(0) == [scene]
        assert alone.caption(0, generator(0, "caption")).graph is None
        records = InMemory(plain(1, KEYS["one.jpg"], "7/1382"))
        captions = tmp_path / "captions"
        captions.mkdir()
        stored = pack("7/1382", KEYS["one.jpg"], [GRAPHS[TWO]])
        (captions / part_file(0, 1)).write_bytes(stored)
        complete(captions, Contents({}, 1, 1, 1, 0, 0, 0, 0, {}))
        both = Photographs(records, size=SIZE, graphs=GraphStore(captions), scene_graphs=scenes)
        assert both.known(0) == [GRAPHS[TWO], scene]
        truth = Truth(*both.known(0))
        assert truth.holds(worded("a {black|0} {dog|#0} {on|0>1} a {bed|#1}").graph)
        assert not truth.holds(worded("a {black|0} {dog|#0} {on|0>1} a {sofa|#1}").graph)
        other = Photographs(InMemory(plain(1, "a", "8.jpg")), size=SIZE, scene_graphs=scenes)
        with pytest.raises(DataError, match="scenes: no record '8'"):
            other.known(0)

    def test_the_fingerprint_follows_what_the_graphs_say(self, store, tmp_path):
        items = [plain(1, captions, key) for key, captions in KEYS.items()]
        with_graphs = Photographs(InMemory(*items), size=SIZE, graphs=store).fingerprint()
        assert with_graphs != Photographs(InMemory(*items), size=SIZE).fingerprint()
        brown = GRAPHS[DOG].objects[0]
        black = brown._replace(attributes=(brown.attributes[0]._replace(name="black"),))
        changed = GRAPHS | {DOG: GRAPHS[DOG]._replace(objects=(black, *GRAPHS[DOG].objects[1:]))}
        stored = [
            pack(key, texts, [changed[text] for text in texts]) for key, texts in KEYS.items()
        ]
        (tmp_path / part_file(0, 1)).write_bytes(b"".join(stored))
        other = Photographs(InMemory(*items), size=SIZE, graphs=GraphStore(tmp_path))
        assert other.fingerprint() != with_graphs

    def test_a_caption_that_was_not_parsed_is_an_error(self, store):
        photographs = Photographs(
            InMemory(plain(1, (DOG, "new"), "many.jpg")), size=4, graphs=store
        )
        with pytest.raises(
            DataError, match=r"\('many\.jpg'\): its graphs are not of the texts \[.*'new'\]"
        ):
            photographs.known(0)


class TestRetrievalSet:
    def test_pictures_captions_and_owners(self):
        items = [plain(10, "abc"), plain(20, "d"), plain(30, "ef")]
        result = retrieval_set(InMemory(*items), EvaluationTransform(SIZE))
        assert list(result.captions) == list("abcdef")
        np.testing.assert_array_equal(result.owners, [0, 0, 0, 1, 2, 2])
        images = all_images(result.pictures)
        np.testing.assert_array_equal(images[:, 0, 0, 0], [10, 20, 30])
        assert images.shape == (3, SIZE, SIZE, 3)

    @pytest.mark.parametrize("resize", ["shortest", "squash"])
    @pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
    def test_boxes_are_cut_out_before_the_transform(self, resize, interpolation):
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)
        record = Record("k", ("a",), Box(4.5, 10, 30, 45.2))
        transform = EvaluationTransform(SIZE, resize, interpolation)
        result = retrieval_set(InMemory((record, encode(pixels))), transform).pictures[0]
        part = pixels[4:35, 10:56]
        np.testing.assert_array_equal(
            result, evaluation_transform(part, SIZE, resize, interpolation)
        )

    def test_bad_records_are_left_out_and_bad_pictures_told(self, caplog):
        outside = quarters(Box(99, 99, 5, 5))
        items = [plain(10), BadRecord("gone"), plain(20), outside, plain(30), plain(40, key="z")]
        with caplog.at_level(logging.WARNING):
            result = retrieval_set(InMemory(*items), EvaluationTransform(SIZE), bad_share=0.4)
            ((images, readable),) = result.pictures.batches()
        assert "in memory: left out {'unreadable record': 1}" in caplog.text
        assert "in memory: left out {'unreadable image': 1}" in caplog.text
        assert images[:, 0, 0, 0].tolist() == [10, 20, 0, 30, 40]
        assert readable.tolist() == [True, True, False, True, True]
        np.testing.assert_array_equal(result.owners, [0, 0, 1, 1, 2, 3, 3, 4, 4])

    def test_too_many_bad_records_are_named(self):
        items = [plain(10), BadRecord("shard 3 is cut off"), plain(20), plain(30)]
        with pytest.raises(DataError, match=r"unreadable record: 1 of 4, .* 0\.05 .*: shard 3 is"):
            retrieval_set(InMemory(*items), EvaluationTransform(SIZE))

    def test_too_many_bad_pictures_are_named(self):
        items = [plain(10), (Record("torn.jpg", ("a",)), b"torn"), plain(20), plain(30)]
        result = retrieval_set(InMemory(*items), EvaluationTransform(SIZE))
        with pytest.raises(DataError, match=r"unreadable image: 1 of 4, .* 0\.05 .*: torn\.jpg"):
            list(result.pictures.batches())

    def test_no_record_that_can_be_read(self):
        with pytest.raises(DataError, match="in memory: no usable pictures"):
            retrieval_set(InMemory(BadRecord("gone")), EvaluationTransform(SIZE), bad_share=1.0)


class TestRealData:
    def test_flickr8k(self, shared_data):
        train, dev = (
            Photographs(open_folder(shared_data / "flickr8k", split), size=64)
            for split in ("train", "dev")
        )
        assert (len(train), len(dev)) == (6000, 1000)
        assert sum(len(dev.records.record(i).captions) for i in range(1000)) == 5000
        assert train.image(5999, generator(0, "x")).std() > 10

    def test_coco_retrieval_set(self, shared_data):
        records = open_folder(shared_data / "coco_mini", "train")
        result = retrieval_set(records, EvaluationTransform(64))
        assert all_images(result.pictures).shape == (130, 64, 64, 3)
        assert len(result.captions) == len(result.owners) == 650
