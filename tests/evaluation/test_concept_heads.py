"""Concepts told by heads: against the numbers of the heads themselves, and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgclip_jax.data.concept_sets import ConceptSet
from kgclip_jax.data.tokenization.tokenizer_config import Tokenizers
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.evaluation import bootstrap
from kgclip_jax.evaluation.mutual_information import nmi_of_items
from kgclip_jax.evaluation.tasks import asks_heads, evaluate
from kgclip_jax.inference import ClipEncoder
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.models.heads import init_head
from kgclip_jax.models.linear_map import LinearHead
from kgclip_jax.models.presets import preset
from tests.array_pictures import ArrayPictures
from tests.convert.small_models import make_params
from tests.evaluation.conftest import TableEncoder, numbered_pictures

TINY = preset("tiny")
OWNERS = np.array([0, 0, 1, 1, 1, 2, 3, 3])
NEAREST = np.array([0, 0, 1, 1, 2, 2, 3, 0])
TEXTS = [f"text {number}" for number in range(8)]
IMAGE_SAYS = [0, 1, 1, 3]  # of each picture
TEXT_SAYS = [0, 0, 1, 1, 2, 2, 3, 3]


class Teller(TableEncoder):
    """Embeds by tables of one-hot vectors, which its heads take for logits."""

    def __init__(self, images=IMAGE_SAYS, texts=TEXT_SAYS, **heads):
        table = dict(zip(TEXTS, np.eye(4)[texts], strict=True))
        super().__init__(np.eye(4)[images], table)
        self.heads = heads or {"concept_map": LinearHead(width=4)}
        self.asked = []

    def read(self, rows, function, constants=None):
        def head(name):
            return lambda rows: self.asked.append(name) or rows

        heads = {name: head(name) for name in self.heads}
        return np.asarray(function(heads, jnp.asarray(rows), constants))


def asked_about(pictures=None, heads=("concept_map", "concept_map"), **changes):
    if pictures is None:
        pictures = numbered_pictures(4)
    return ConceptSet("x", pictures, TEXTS, OWNERS, NEAREST, 4, heads)._replace(**changes)


def rows_of(encoder, data):
    rows = evaluate(encoder, [data])
    assert {(row.task, row.set_name) for row in rows} == {("concepts", "x")}
    return {row.metric + ", blind" * row.blind: row for row in rows}


def test_rows_are_those_counted_by_hand():
    rows = rows_of(Teller(), asked_about())
    assert [*rows] == [
        "image accuracy",
        "image NMI",
        "image accuracy, blind",
        "image NMI, blind",
        "text accuracy",
        "text NMI",
    ]
    # Pictures are right about texts 0, 1 | 2, 3 | none | 6; texts about all but the last.
    assert rows["image accuracy"].value == 5 / 8
    assert rows["text accuracy"].value == 7 / 8
    assert {row.n for row in rows.values()} == {8}
    assert {row.chance for name, row in rows.items() if "accuracy" in name} == {3 / 8}
    told = np.array(IMAGE_SAYS)[OWNERS]
    assert rows["image NMI"].value == pytest.approx(nmi_of_items(told, NEAREST).mean())
    for row in rows.values():
        assert row.low <= row.value <= row.high
        assert row.control == ("the pictures of another item" if row.blind else "")
        assert row.outcomes.values.mean() == pytest.approx(row.value)
        assert row.outcomes.clusters.tolist() == OWNERS.tolist()


def test_a_blind_row_has_the_picture_of_another_item():
    """No picture says what another one says, and each is right about all of its captions."""
    encoder = Teller(images=[0, 1, 2, 3])
    rows = rows_of(encoder, asked_about(nearest=OWNERS))
    assert (rows["image accuracy"].value, rows["image NMI"].value) == (1, pytest.approx(1))
    assert rows["image accuracy, blind"].value == 0
    assert rows["image NMI, blind"].value == pytest.approx(1)  # a picture is still one concept's


def test_heads_that_say_anything_are_at_chance(monkeypatch):
    """Captions of a picture are of one concept here, so there is much to agree by accident.

    Averaged over ten heads, as the standard error of one accuracy is 0.03.
    """
    monkeypatch.setattr(bootstrap, "RESAMPLES", 20)
    owners, names = np.repeat(np.arange(248), 4), [f"{number}" for number in range(992)]
    rng, found = np.random.default_rng(0), []
    for _ in range(10):
        truth = rng.permutation(248) % 4
        encoder = Teller(images=rng.integers(4, size=248))
        encoder.texts = dict(zip(names, np.eye(4)[rng.integers(4, size=992)], strict=True))
        data = asked_about(
            numbered_pictures(248), texts=names, owners=owners, nearest=truth[owners]
        )
        found.append(rows_of(encoder, data))
    for metric in found[0]:
        values, chances = np.mean(
            [(each[metric].value, each[metric].chance) for each in found], axis=0
        )
        assert values == pytest.approx(chances, abs=0.03 if "accuracy" in metric else 6e-3), metric
    # NMI of n items that stand alone and have 4 labels is (4 - 1)^2 / 2n log 4 on average.
    for metric, count in (("image NMI", 248), ("text NMI", 992)):
        expected = 9 / 2 / count / np.log(4)
        assert np.mean([each[metric].chance for each in found]) == pytest.approx(expected, rel=0.15)


def test_towers_may_have_a_head_each():
    heads = {"of_images": LinearHead(width=4), "of_texts": LinearHead(width=4)}
    encoder = Teller(**heads)
    evaluate(encoder, [asked_about(heads=("of_images", "of_texts"))])
    assert encoder.asked == ["of_images", "of_texts"]


def test_captions_of_pictures_that_cannot_be_read_are_left_out():
    rows = rows_of(Teller(), asked_about(numbered_pictures(4, unreadable=[1])))
    assert {row.n for row in rows.values()} == {5}
    assert rows["image accuracy"].value == 3 / 5
    assert rows["text accuracy"].chance == 3 / 5
    with pytest.raises(DataError, match="'x': none of its pictures can be read"):
        evaluate(Teller(), [asked_about(numbered_pictures(4, unreadable=range(4)))])


def test_one_picture_has_no_blind_rows():
    rows = rows_of(Teller(), asked_about(numbered_pictures(4, unreadable=[1, 2, 3])))
    assert [*rows] == ["image accuracy", "image NMI", "text accuracy", "text NMI"]


def test_heads_that_do_not_fit_are_refused():
    assert asks_heads([asked_about()])
    with pytest.raises(ConfigError, match=r"'x': heads\.topics is not there; known here: concept_"):
        evaluate(Teller(), [asked_about(heads=("topics", "topics"))])
    with pytest.raises(ConfigError, match=r"'x': heads\.concept_map\.width must be 5: the concept"):
        evaluate(Teller(), [asked_about(concepts=5)])


def test_a_model_s_own_heads_are_read():
    """The linear maps of the embeddings that the encoder gives, by NumPy."""
    heads = {"of_images": LinearHead(width=4), "of_texts": LinearHead(width=4, bias=False)}
    params = {name: init_head(head, name, TINY, 0) for name, head in heads.items()}
    encoder = ClipEncoder(
        *(Model(TINY), make_params(TINY), preprocessing_for(TINY, Tokenizers())),
        step=0,
        heads=heads,
        head_params=params,
    )
    size = TINY.vision.image_size
    images = np.random.default_rng(0).integers(256, size=(4, size, size, 3), dtype=np.uint8)
    rows = rows_of(encoder, asked_about(ArrayPictures(images), heads=("of_images", "of_texts")))
    maps = jax.tree.map(np.asarray, (params["of_images"], params["of_texts"]))
    of_images = encoder.encode_image(images) @ maps[0]["kernel"] + maps[0]["bias"]
    of_texts = encoder.encode_text(TEXTS) @ maps[1]["kernel"]
    told = of_images.argmax(axis=1)[OWNERS], of_texts.argmax(axis=1)
    for tower, each in zip(("image", "text"), told, strict=True):
        assert rows[f"{tower} accuracy"].value == np.mean(each == NEAREST)
        assert rows[f"{tower} NMI"].value == pytest.approx(nmi_of_items(each, NEAREST).mean())
