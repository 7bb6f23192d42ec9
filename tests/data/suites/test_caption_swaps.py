import re

import pytest

from kgclip_jax.data.readers.karpathy import open_karpathy
from kgclip_jax.data.sources import KarpathySource
from kgclip_jax.data.suites.assembly import Assembly
from kgclip_jax.data.suites.caption_swaps import swaps
from kgclip_jax.data.suites.of_captions import SwapSuite
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.triples import from_triples
from kgclip_jax.schema import parse

CAPTIONS = {
    "0.jpg": ["a black dog above a white cat", "a white cat and a dog"],
    "1.jpg": ["a dog"],
    "2.jpg": ["a black dog under a white cat", "a white dog under a black cat"],
}


def by_pattern(texts):
    """Read "a X dog REL a Y cat", and single things with a colour."""
    for text in texts:
        looks = re.findall("(black|white) (dog|cat)", text)
        triples = [(thing, "is", colour) for colour, thing in looks]
        if relation := re.search("dog (above|under) ", text):
            triples.insert(0, ("dog", relation[1], "cat"))
        yield from_triples(text, triples)


@pytest.fixture
def records(world):
    for number, file in enumerate(CAPTIONS):
        world.paint(file, number)
    entries = [{"image": file, "caption": captions} for file, captions in CAPTIONS.items()]
    world.write("coco_karpathy_test.json", entries)
    return open_karpathy(world.root / "coco_karpathy_{split}.json", world.images, "test")


def asked(world, records, kind):
    suite = Assembly(world.images)
    questions = swaps(suite, suite.captions_of(records, 0.0), by_pattern, [kind], seed=0)
    return {
        suite.texts[right[1]]: suite.texts[wrong[1]]
        for question in questions
        for right, wrong in zip(question.right[:, 0], question.wrong[:, 0], strict=True)
    }


def test_one_false_text_of_each_caption_that_allows_it(world, records):
    assert asked(world, records, "swap_relation") == {
        "a black dog above a white cat": "a white cat above a black dog",
        "a black dog under a white cat": "a white cat under a black dog",
        "a white dog under a black cat": "a black cat under a white dog",
    }


def test_what_another_caption_says_is_not_asked(world, records):
    assert asked(world, records, "swap_attributes") == {
        "a black dog above a white cat": "a white dog above a black cat"
    }


def test_kinds_without_any_case_are_not_asked(world, records, caplog):
    def nothing(texts):
        return (from_triples(text, []) for text in texts)

    suite = Assembly(world.images)
    captions = suite.captions_of(records, 0.0)
    assert swaps(suite, captions, nothing, ["swap_objects"], 0) == []
    assert "no caption allows swap_objects; the row is left out" in caplog.text


def test_settings_name_a_wrong_kind():
    values = {
        "kind": "swaps",
        "source": {"kind": "karpathy", "file": "f.json"},
        "negatives": ("swap_object",),
    }
    with pytest.raises(ConfigError, match=r"'swap_object' is no kind.*swap_objects"):
        parse(SwapSuite, values)
    assert isinstance(parse(SwapSuite, values | {"negatives": ("shuffle",)}).source, KarpathySource)
